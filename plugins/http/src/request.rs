//! From a wire form to the request that delivers it.

use wharf_plugin_common::header::{connection_options, is_of_the_connection};
use wharf_plugin_common::refusal;
use wharf_plugin_common::request::is_http;

use crate::bindings::exports::wharf::delivery::request_channel::{
    Call, Outcome, Request, Step, Wire,
};
use crate::settings::Settings;

/// Headers that every request has from us, lower case: a message's own are not passed on.
const OURS: [&str; 3] = ["webhook-id", "webhook-signature", "webhook-timestamp"];

/// W3C trace context of this attempt, in the call's `extra` and in the request.
const TRACEPARENT: &str = "traceparent";

/// Whose endpoint the request goes to; travels in the request's state.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Origin {
    Settings,
    Message,
}

impl Origin {
    fn state(self) -> Vec<u8> {
        match self {
            Self::Settings => vec![],
            Self::Message => vec![1],
        }
    }

    pub(crate) fn of(state: &[u8]) -> Self {
        if state.is_empty() {
            Self::Settings
        } else {
            Self::Message
        }
    }
}

/// The request that delivers `wire`, or the refusal of a message that has nowhere to go.
pub(crate) fn step(settings: &Settings, c: &Call, wire: Wire) -> Step {
    let (url, origin) = match (wire.endpoint.filter(|url| !url.is_empty()), &settings.url) {
        (Some(url), _) => (url, Origin::Message),
        (None, Some(url)) => (url.clone(), Origin::Settings),
        (None, None) => {
            let reason = "the message has no endpoint and the channel has no setting `url`";
            return refuse("no-endpoint", reason);
        }
    };
    if !is_http(&url) {
        let reason = "the message's endpoint does not start with http:// or https://";
        return refuse("bad-endpoint", reason);
    }
    Step::Request(Request {
        method: settings.method.clone(),
        url,
        headers: headers(settings, c, wire.headers, &wire.body),
        body: None,
        timeout_ms: Some(settings.timeout_ms),
        state: origin.state(),
    })
}

fn headers(
    settings: &Settings,
    c: &Call,
    message: Vec<(String, String)>,
    body: &[u8],
) -> Vec<(String, String)> {
    let named_by_connection = connection_options(&message);
    let traceparent = c.extra.iter().find(|(key, _)| key == TRACEPARENT);
    let is_replaced = |name: &str| traceparent.is_some() && name.eq_ignore_ascii_case(TRACEPARENT);
    let passed_on = |name: &str| {
        !is_ours(name)
            && !is_replaced(name)
            && !settings
                .headers
                .iter()
                .any(|(ours, _)| ours.eq_ignore_ascii_case(name))
            && !named_by_connection
                .iter()
                .any(|option| option.eq_ignore_ascii_case(name))
    };
    let mut headers = Vec::with_capacity(message.len() + settings.headers.len() + 4);
    headers.extend(message.into_iter().filter(|(name, _)| passed_on(name)));
    headers.extend(settings.headers.iter().cloned());
    if !headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("content-type"))
    {
        headers.push((
            "content-type".to_owned(),
            "application/octet-stream".to_owned(),
        ));
    }

    let timestamp = (c.now_ms / 1000).to_string();
    if let Some(signer) = &settings.signer {
        let signature = signer.sign(&c.idempotency_key, &timestamp, body);
        headers.push(("webhook-signature".to_owned(), signature));
    }
    headers.push(("webhook-id".to_owned(), c.idempotency_key.clone()));
    headers.push(("webhook-timestamp".to_owned(), timestamp));
    headers.extend(traceparent.cloned());
    headers
}

/// Headers that are not passed on whatever the message or the settings say.
pub(crate) fn is_ours(name: &str) -> bool {
    is_of_the_connection(name) || OURS.iter().any(|ours| ours.eq_ignore_ascii_case(name))
}

fn refuse(code: &str, reason: &str) -> Step {
    Step::Done(Ok(Outcome::Rejected(refusal::new(code, reason))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::tests::{SECRET, read};

    fn call() -> Call {
        Call {
            channel: "partner-a".to_owned(),
            route: "all".to_owned(),
            message_id: "m1".to_owned(),
            delivery: 1,
            idempotency_key: "msg_p5jXN8AQM9LWM0D4loKWxJek".to_owned(),
            attempt: 1,
            accepted_ms: 0,
            now_ms: 1_614_265_330_999,
            ordering_key: None,
            attributes: vec![],
            extra: vec![],
        }
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        pairs.iter().map(own).collect()
    }

    fn run(settings: &[(&str, &str)], endpoint: Option<&str>, headers: &[(&str, &str)]) -> Step {
        let wire = Wire {
            endpoint: endpoint.map(str::to_owned),
            headers: pairs(headers),
            body: br#"{"test": 2432232314}"#.to_vec(),
        };
        step(&read(settings).ok().unwrap(), &call(), wire)
    }

    #[track_caller]
    fn request(step: Step) -> Request {
        match step {
            Step::Request(request) => request,
            Step::Done(done) => panic!("not a request: {done:?}"),
        }
    }

    /// The whole request of the plainest channel: unsigned, but with id and timestamp, and no copy
    /// of the body.
    #[test]
    fn a_plain_request() {
        let url = "https://a.example/hook";
        assert_eq!(
            request(run(&[("url", url)], None, &[])),
            Request {
                method: "POST".to_owned(),
                url: url.to_owned(),
                headers: pairs(&[
                    ("content-type", "application/octet-stream"),
                    ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
                    ("webhook-timestamp", "1614265330"),
                ]),
                body: None,
                timeout_ms: Some(15_000),
                state: vec![],
            }
        );
    }

    #[test]
    fn a_signed_request_carries_the_published_signature() {
        let settings = [("url", "https://a.example"), ("secret", SECRET)];
        let headers = request(run(&settings, None, &[])).headers;
        let signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert!(headers.contains(&("webhook-signature".to_owned(), signature.to_owned())));
    }

    /// The message's headers keep their order; what belongs to a connection, to the host or to us
    /// does not pass; the setting wins over the message.
    #[test]
    fn headers_are_passed_on_filtered_and_replaced() {
        let settings = [
            ("url", "https://a.example"),
            ("headers", r#"{"x-static": "ours"}"#),
        ];
        let message = [
            ("Content-Type", "application/json"),
            ("Host", "evil.example"),
            ("Connection", "close, X-Hop"),
            ("x-hop", "1"),
            ("Transfer-Encoding", "chunked"),
            ("content-length", "7"),
            ("Webhook-Id", "forged"),
            ("webhook-signature", "v1,forged"),
            ("X-Static", "theirs"),
            ("x-b", "2"),
            ("x-b", "3"),
        ];
        assert_eq!(
            request(run(&settings, None, &message)).headers,
            pairs(&[
                ("Content-Type", "application/json"),
                ("x-b", "2"),
                ("x-b", "3"),
                ("x-static", "ours"),
                ("webhook-id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
                ("webhook-timestamp", "1614265330"),
            ])
        );
    }

    /// The host's trace context for this attempt takes the place of the message's own header; without one, that
    /// passes like any other.
    #[test]
    fn the_trace_context_is_the_attempts() {
        let headers = |extra: &[(&str, &str)]| {
            let settings = read(&[("url", "https://a.example")]).ok().unwrap();
            let mut c = call();
            c.extra = pairs(extra);
            let headers = pairs(&[("Traceparent", "old"), ("content-type", "a/b")]);
            super::headers(&settings, &c, headers, b"")
        };
        let is_trace = |(name, _): &&(String, String)| name.eq_ignore_ascii_case(TRACEPARENT);
        let traced = headers(&[("expires-at", "soon"), ("traceparent", "new")]);
        let found: Vec<_> = traced.iter().filter(is_trace).collect();
        assert_eq!(found, [&("traceparent".to_owned(), "new".to_owned())]);
        let untraced = headers(&[]);
        assert_eq!(untraced.iter().find(is_trace).unwrap().1, "old");
    }

    #[test]
    fn the_messages_endpoint_wins_and_is_remembered() {
        let settings = [("url", "https://a.example")];
        let from_message = request(run(&settings, Some("http://b.example/x"), &[]));
        assert_eq!(from_message.url, "http://b.example/x");
        assert_eq!(Origin::of(&from_message.state), Origin::Message);

        let from_settings = request(run(&settings, Some(""), &[]));
        assert_eq!(from_settings.url, "https://a.example");
        assert_eq!(Origin::of(&from_settings.state), Origin::Settings);
    }

    #[test]
    fn nowhere_to_go_is_final() {
        let code = |endpoint| match run(&[], endpoint, &[]) {
            Step::Done(Ok(Outcome::Rejected(refusal))) => refusal.code,
            other => panic!("not rejected: {other:?}"),
        };
        assert_eq!(code(None), "no-endpoint");
        assert_eq!(code(Some("mailto:a@example.org")), "bad-endpoint");
        assert_eq!(code(Some("https://")), "bad-endpoint");
    }
}
