//! What an answer, or its absence, means for the delivery: the rules that all channels over HTTP
//! share, and whose fault it is where the guard refuses.

use wharf_plugin_common::answer;
use wharf_plugin_common::types::Scope;

use crate::bindings::exports::wharf::delivery::request_channel::{NoAnswer, Outcome, Response};
use crate::request::Origin;

/// The outcome that a response stands for.
pub(crate) fn outcome(response: &Response, reject_on: &[u16], now_ms: u64) -> Outcome {
    answer::outcome(response.status, &response.headers, reject_on, now_ms)
}

/// The retry that a missing answer stands for.
pub(crate) fn no_answer(no_answer: &NoAnswer, origin: Origin) -> Outcome {
    let refused_scope = match origin {
        Origin::Settings => Scope::Channel,
        Origin::Message => Scope::Destination,
    };
    let NoAnswer { kind, detail, sent } = no_answer;
    answer::no_answer(kind, detail, *sent, refused_scope)
}

#[cfg(test)]
mod tests {
    use wharf_plugin_common::types::{Effect, Failure, Receipt};

    use super::*;

    /// 1994-11-06T08:49:37Z, the date of RFC 9110.
    const NOW_MS: u64 = 784_111_777_000;

    fn answered(status: u16, headers: &[(&str, &str)], reject_on: &[u16]) -> Outcome {
        let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let headers = headers.iter().map(own).collect();
        let response = Response {
            status,
            headers,
            body: vec![],
            elapsed_ms: 1,
        };
        outcome(&response, reject_on, NOW_MS)
    }

    #[track_caller]
    fn retry(outcome: Outcome) -> Failure {
        match outcome {
            Outcome::Retry(failure) => failure,
            other => panic!("not a retry: {other:?}"),
        }
    }

    fn status_note(status: u16) -> Vec<(String, String)> {
        vec![("http-status".to_owned(), status.to_string())]
    }

    #[test]
    fn any_2xx_is_delivered_with_its_location() {
        for status in [200, 201, 202, 204, 299] {
            let receipt = |reference| {
                Outcome::Delivered(Receipt {
                    reference,
                    notes: status_note(status),
                })
            };
            assert_eq!(answered(status, &[], &[]), receipt(None));
            let location = [("location", "/orders/1")];
            assert_eq!(
                answered(status, &location, &[]),
                receipt(Some("/orders/1".to_owned()))
            );
        }
    }

    /// Every other status is a retry: effect and scope, as the module docs of the plugin promise.
    #[test]
    fn other_statuses_are_retries() {
        use Effect::{None as Nothing, Unknown};
        use Scope::{Destination, Message};
        let cases = [
            (301, Unknown, Message),
            (303, Unknown, Message),
            (308, Unknown, Message),
            (400, Nothing, Message),
            (401, Nothing, Message),
            (404, Nothing, Message),
            (410, Nothing, Destination),
            (422, Nothing, Message),
            (429, Nothing, Destination),
            (500, Unknown, Message),
            (501, Unknown, Message),
            (502, Unknown, Destination),
            (503, Unknown, Destination),
            (504, Unknown, Destination),
            (599, Unknown, Message),
            (101, Unknown, Message),
            (700, Unknown, Message),
        ];
        for (status, effect, scope) in cases {
            let failure = retry(answered(status, &[], &[]));
            assert_eq!((failure.effect, failure.scope), (effect, scope), "{status}");
            assert_eq!(failure.pause, status == 410, "{status}");
            assert_eq!(failure.code, format!("http-{status}"));
            assert_eq!(failure.notes, status_note(status));
            assert_eq!(failure.after_ms, None);
            assert!(
                failure.reason.contains(&status.to_string()),
                "{}",
                failure.reason
            );
        }
    }

    #[test]
    fn a_503_that_says_when_to_come_back_did_nothing() {
        let failure = retry(answered(503, &[("retry-after", "120")], &[]));
        assert_eq!(failure.effect, Effect::None);
        assert_eq!(failure.scope, Scope::Destination);
        assert_eq!(failure.after_ms, Some(120_000));
        let nonsense = retry(answered(503, &[("retry-after", "soon")], &[]));
        assert_eq!(
            (nonsense.effect, nonsense.after_ms),
            (Effect::Unknown, None)
        );
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let cases = [
            ("0", Some(0)),
            (" 5 ", Some(5_000)),
            ("99999999999999999999999", Some(u64::MAX)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60_000)),
            ("Sunday, 06-Nov-94 08:50:37 GMT", Some(60_000)),
            ("Sun Nov  6 08:50:37 1994", Some(60_000)),
            ("Sun, 06 Nov 1994 08:40:00 GMT", Some(0)),
            ("", None),
            ("-1", None),
            ("1.5", None),
            ("tomorrow", None),
        ];
        for (value, after_ms) in cases {
            assert_eq!(
                retry(answered(429, &[("retry-after", value)], &[])).after_ms,
                after_ms,
                "{value}"
            );
        }
    }

    #[test]
    fn statuses_in_reject_on_are_final() {
        let Outcome::Rejected(refusal) = answered(422, &[], &[400, 422]) else {
            panic!()
        };
        assert_eq!(refusal.code, "http-422");
        assert_eq!(refusal.notes, status_note(422));
        retry(answered(404, &[], &[400, 422]));
    }

    /// Without an answer, only what was sent can have had an effect; the guard's no is nobody's but
    /// the settings'.
    #[test]
    fn no_answers_are_retries() {
        let failed = |kind: &str, sent, origin| {
            let answer = NoAnswer {
                kind: kind.to_owned(),
                detail: "why".to_owned(),
                sent,
            };
            let failure = retry(no_answer(&answer, origin));
            assert_eq!(failure.code, kind);
            assert!(failure.reason.ends_with(": why"), "{}", failure.reason);
            assert!(!failure.pause);
            (failure.effect, failure.scope)
        };
        for kind in [
            "dns", "connect", "tls", "timeout", "closed", "protocol", "new-kind",
        ] {
            for origin in [Origin::Settings, Origin::Message] {
                assert_eq!(
                    failed(kind, false, origin),
                    (Effect::None, Scope::Destination)
                );
                assert_eq!(
                    failed(kind, true, origin),
                    (Effect::Unknown, Scope::Destination)
                );
            }
        }
        let guard = "refused-by-guard";
        assert_eq!(
            failed(guard, false, Origin::Settings),
            (Effect::None, Scope::Channel)
        );
        assert_eq!(
            failed(guard, false, Origin::Message),
            (Effect::None, Scope::Destination)
        );
    }
}
