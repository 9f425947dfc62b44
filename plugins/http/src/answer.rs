//! What an answer, or its absence, means for the delivery.

use std::time::{Duration, UNIX_EPOCH};

use crate::bindings::exports::wharf::delivery::request_channel::{
    Failure, NoAnswer, Outcome, Response,
};
use crate::bindings::wharf::delivery::types::{Effect, Receipt, Refusal, Scope};
use crate::request::Origin;

/// The outcome that a response stands for.
pub(crate) fn outcome(response: &Response, reject_on: &[u16], now_ms: u64) -> Outcome {
    let status = response.status;
    let notes = vec![("http-status".to_owned(), status.to_string())];
    if (200..300).contains(&status) {
        let reference = header(response, "location").map(str::to_owned);
        return Outcome::Delivered(Receipt { reference, notes });
    }
    let (code, reason) = (format!("http-{status}"), reason(status));
    if reject_on.contains(&status) {
        return Outcome::Rejected(Refusal {
            code,
            reason,
            notes,
        });
    }
    let after_ms = header(response, "retry-after").and_then(|value| retry_after_ms(value, now_ms));
    let (effect, scope) = class(status, after_ms.is_some());
    let pause = status == 410;
    Outcome::Retry(Failure {
        code,
        reason,
        effect,
        scope,
        pause,
        after_ms,
        notes,
    })
}

/// Could the receiver have acted, and who else fares alike? A 4xx says that it did nothing. A 503
/// says so only with a `Retry-After`. Anything else may have acted, also a 3xx: a 303 is how many
/// services answer a POST they took.
fn class(status: u16, has_retry_after: bool) -> (Effect, Scope) {
    match status {
        410 | 429 => (Effect::None, Scope::Destination),
        400..=499 => (Effect::None, Scope::Message),
        503 if has_retry_after => (Effect::None, Scope::Destination),
        502..=504 => (Effect::Unknown, Scope::Destination),
        _ => (Effect::Unknown, Scope::Message),
    }
}

fn reason(status: u16) -> String {
    let says = match status {
        300..=399 => ": redirects are never followed, send to the new address",
        400 => " Bad Request",
        401 => " Unauthorized: it does not accept the credentials or the signature",
        403 => " Forbidden",
        404 => " Not Found",
        405 => " Method Not Allowed",
        408 => " Request Timeout",
        409 => " Conflict",
        410 => " Gone: it wants nothing more there",
        413 => " Content Too Large",
        415 => " Unsupported Media Type",
        422 => " Unprocessable Content",
        429 => " Too Many Requests",
        500 => " Internal Server Error",
        502 => " Bad Gateway",
        503 => " Service Unavailable",
        504 => " Gateway Timeout",
        _ => "",
    };
    format!("the receiver answered {status}{says}")
}

/// RFC 9110, 10.2.3: seconds, or a date. A date in the past is now; what is neither is ignored.
fn retry_after_ms(value: &str, now_ms: u64) -> Option<u64> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        // More digits than fit are a very long time; the host clamps it.
        return Some(value.parse().unwrap_or(u64::MAX).saturating_mul(1000));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    let now = UNIX_EPOCH + Duration::from_millis(now_ms);
    let wait = date.duration_since(now).unwrap_or_default();
    Some(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX))
}

/// The retry that a missing answer stands for.
pub(crate) fn no_answer(no_answer: &NoAnswer, origin: Origin) -> Outcome {
    let refused = no_answer.kind == "refused-by-guard";
    let what = match no_answer.kind.as_str() {
        "refused-by-guard" => "the host refused to send there",
        "dns" => "the receiver's name could not be resolved",
        "connect" => "the receiver could not be connected to",
        "tls" => "no secure connection could be agreed on",
        "timeout" if no_answer.sent => "the answer did not come in time",
        "timeout" => "the receiver was not reached in time",
        "closed" => "the connection closed before the answer was complete",
        "protocol" => "the exchange broke the rules of HTTP",
        _ => "no answer came",
    };
    let detail = no_answer.detail.trim();
    let reason = if detail.is_empty() {
        what.to_owned()
    } else {
        format!("{what}: {detail}")
    };
    Outcome::Retry(Failure {
        code: no_answer.kind.clone(),
        reason,
        effect: if no_answer.sent && !refused {
            Effect::Unknown
        } else {
            Effect::None
        },
        scope: match (refused, origin) {
            (true, Origin::Settings) => Scope::Channel,
            _ => Scope::Destination,
        },
        pause: false,
        after_ms: None,
        notes: vec![],
    })
}

/// What a poll is answered with: this channel never leaves a delivery pending.
pub(crate) fn no_poll() -> Failure {
    Failure {
        code: "no-poll".to_owned(),
        reason: "http does not poll".to_owned(),
        effect: Effect::None,
        scope: Scope::Message,
        pause: false,
        after_ms: None,
        notes: vec![],
    }
}

/// The first value of a header, by its name in lower case.
fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    let found = response.headers.iter().find(|(key, _)| key == name);
    found.map(|(_, value)| value.as_str())
}

#[cfg(test)]
mod tests {
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
