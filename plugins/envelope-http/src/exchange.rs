//! The request that a message asks for, and what came of it.

use wharf_plugin_common::request::is_http;
use wharf_plugin_common::types::Scope;
use wharf_plugin_common::{answer, refusal};

use crate::bindings::exports::wharf::delivery::request_channel::{
    NoAnswer, Outcome, Request, Response, Step, Wire,
};
use crate::settings::Settings;

/// The request that delivers `wire`, or the refusal of a message that has nowhere to go.
pub(crate) fn request(settings: &Settings, wire: Wire) -> Step {
    let rejected = |code, reason| Step::Done(Ok(Outcome::Rejected(refusal::new(code, reason))));
    let Some(url) = wire.endpoint.filter(|url| !url.is_empty()) else {
        return rejected("no-endpoint", "the message has no endpoint");
    };
    if !is_http(&url) {
        return rejected(
            "unsupported-scheme",
            "the message's endpoint does not start with http:// or https://: nothing else can be \
             delivered to",
        );
    }
    Step::Request(Request {
        method: "POST".to_owned(),
        url,
        headers: wire.headers,
        body: None,
        timeout_ms: Some(settings.timeout_ms),
        state: vec![],
    })
}

/// What came of it. The endpoint is always the message's: where the guard refuses it, others on
/// their way there fare alike, and the channel is not to blame.
pub(crate) fn outcome(
    settings: &Settings,
    answer: &Result<Response, NoAnswer>,
    now_ms: u64,
) -> Outcome {
    match answer {
        Ok(Response {
            status, headers, ..
        }) => answer::outcome(*status, headers, &settings.reject_on, now_ms),
        Err(NoAnswer { kind, detail, sent }) => {
            answer::no_answer(kind, detail, *sent, Scope::Destination)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use wharf_plugin_common::types::{Effect, Failure};

    use super::*;
    use crate::settings::tests::read;

    /// 1994-11-06T08:49:37Z, the date of RFC 9110.
    const NOW_MS: u64 = 784_111_777_000;

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        pairs.iter().map(own).collect()
    }

    fn wire(endpoint: Option<&str>, headers: &[(&str, &str)], body: Vec<u8>) -> Wire {
        Wire {
            endpoint: endpoint.map(str::to_owned),
            headers: pairs(headers),
            body,
        }
    }

    /// The request is the message's endpoint, headers and body (none of its own: the host sends the
    /// wire form's), whatever they are.
    #[track_caller]
    fn check(endpoint: &str, headers: &[(&str, &str)], body: Vec<u8>) {
        let settings = read(&[]).unwrap();
        assert_eq!(
            request(&settings, wire(Some(endpoint), headers, body)),
            Step::Request(Request {
                method: "POST".to_owned(),
                url: endpoint.to_owned(),
                headers: pairs(headers),
                body: None,
                timeout_ms: Some(15_000),
                state: vec![],
            })
        );
    }

    /// Messages as agents write them: packed, encrypted and plain.
    #[test]
    fn messages_of_agents_are_sent_as_they_are() {
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/didcomm");
        let mut sent = 0;
        for file in std::fs::read_dir(data).unwrap() {
            let body = std::fs::read(file.unwrap().path()).unwrap();
            let headers = [("Content-Type", "application/ssi-agent-wire")];
            check("https://agent.example/didcomm", &headers, body);
            sent += 1;
        }
        assert_eq!(sent, 12);
    }

    /// Nothing is added, taken away, joined or put in another order.
    #[test]
    fn headers_are_exactly_the_messages() {
        check("http://10.0.0.1:8020", &[], vec![]);
        check("HTTPS://agent.example/a?b=c", &[], vec![0xff, 0xfe]);
        let headers = [
            ("x-b", "2"),
            ("Host", "other.example"),
            ("X-A", ""),
            ("Connection", "close"),
            ("content-length", "7"),
            ("webhook-id", "theirs"),
            ("x-b", "3"),
        ];
        check("https://agent.example", &headers, b"{}".to_vec());
    }

    #[test]
    fn nowhere_to_go_is_final() {
        let cases = [
            (None, "no-endpoint"),
            (Some(""), "no-endpoint"),
            (Some("ws://agent.example"), "unsupported-scheme"),
            (Some("wss://agent.example/ws"), "unsupported-scheme"),
            (Some("didcomm:transport/queue"), "unsupported-scheme"),
            (Some("did:sov:LjgpST2rjsoxYegQDRm7EL"), "unsupported-scheme"),
            (Some("mailto:a@agent.example"), "unsupported-scheme"),
            (Some("agent.example:443"), "unsupported-scheme"),
            (Some("https:agent.example"), "unsupported-scheme"),
            (Some("https://"), "unsupported-scheme"),
            (Some(" https://agent.example"), "unsupported-scheme"),
        ];
        for (endpoint, code) in cases {
            match request(&read(&[]).unwrap(), wire(endpoint, &[], vec![])) {
                Step::Done(Ok(Outcome::Rejected(refusal))) => assert_eq!(refusal.code, code),
                other => panic!("{endpoint:?} is not rejected: {other:?}"),
            }
        }
    }

    fn answered(status: u16, headers: &[(&str, &str)]) -> Outcome {
        let response = Response {
            status,
            headers: pairs(headers),
            body: vec![],
            elapsed_ms: 1,
        };
        let settings = read(&[("reject-on", "[400]")]).unwrap();
        outcome(&settings, &Ok(response), NOW_MS)
    }

    #[track_caller]
    fn retry(outcome: Outcome) -> Failure {
        match outcome {
            Outcome::Retry(failure) => failure,
            other => panic!("not a retry: {other:?}"),
        }
    }

    /// The rules of `http`: its own tests have the whole table.
    #[test]
    fn answers_mean_what_they_mean_for_http() {
        assert!(matches!(answered(202, &[]), Outcome::Delivered(_)));
        assert!(matches!(answered(400, &[]), Outcome::Rejected(_)));
        assert!(retry(answered(410, &[])).pause);
        let date = [("retry-after", "Sun, 06 Nov 1994 08:50:37 GMT")];
        assert_eq!(retry(answered(503, &date)).after_ms, Some(60_000));
    }

    /// Where nothing came back, or the guard refused, it is the destination's affair.
    #[test]
    fn no_answers_are_the_destinations() {
        let settings = read(&[]).unwrap();
        for (kind, sent, effect) in [
            ("refused-by-guard", false, Effect::None),
            ("connect", false, Effect::None),
            ("timeout", true, Effect::Unknown),
        ] {
            let no_answer = NoAnswer {
                kind: kind.to_owned(),
                detail: "why".to_owned(),
                sent,
            };
            let failure = retry(outcome(&settings, &Err(no_answer), NOW_MS));
            assert_eq!(failure.code, kind);
            assert_eq!(
                (failure.effect, failure.scope),
                (effect, Scope::Destination)
            );
        }
    }
}
