//! What an HTTP answer, or its absence, means for the delivery.
//!
//! | answer | outcome | effect | scope |
//! | --- | --- | --- | --- |
//! | 2xx | delivered; `location` becomes the reference | | |
//! | a status in `reject-on` | rejected, `http-<status>` | | |
//! | 410 | retry, and asks the host to pause the destination | none | destination |
//! | 429 | retry | none | destination |
//! | other 4xx | retry | none | message |
//! | 503 with `Retry-After` | retry | none | destination |
//! | 502, 503, 504 | retry | unknown | destination |
//! | 3xx (never followed), other 5xx | retry | unknown | message |
//! | no answer | retry | unknown once anything was sent, else none | destination |
//! | `refused-by-guard` | retry | none | the caller says |

use std::time::{Duration, UNIX_EPOCH};

use crate::types::{Effect, Failure, Outcome, Receipt, Refusal, Scope};

/// The outcome that a response stands for. Header names are in lower case, as the contract has
/// them; `now_ms` is the clock that a `Retry-After` date is held against.
#[must_use]
pub fn outcome(
    status: u16,
    headers: &[(String, String)],
    reject_on: &[u16],
    now_ms: u64,
) -> Outcome {
    let notes = vec![("http-status".to_owned(), status.to_string())];
    if (200..300).contains(&status) {
        let reference = header(headers, "location").map(str::to_owned);
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
    let after_ms = header(headers, "retry-after").and_then(|value| retry_after_ms(value, now_ms));
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

/// The retry that a missing answer stands for. `kind`, `detail` and `sent` are those of the
/// contract's `no-answer`; `refused_scope` is whose fault it is where the host's guard refused: the
/// channel's for a URL of its settings.
#[must_use]
pub fn no_answer(kind: &str, detail: &str, sent: bool, refused_scope: Scope) -> Outcome {
    let refused = kind == "refused-by-guard";
    let what = match kind {
        "refused-by-guard" => "the host refused to send there",
        "dns" => "the receiver's name could not be resolved",
        "connect" => "the receiver could not be connected to",
        "tls" => "no secure connection could be agreed on",
        "timeout" if sent => "the answer did not come in time",
        "timeout" => "the receiver was not reached in time",
        "closed" => "the connection closed before the answer was complete",
        "protocol" => "the exchange broke the rules of HTTP",
        _ => "no answer came",
    };
    let detail = detail.trim();
    let reason = if detail.is_empty() {
        what.to_owned()
    } else {
        format!("{what}: {detail}")
    };
    Outcome::Retry(Failure {
        code: kind.to_owned(),
        reason,
        effect: if sent && !refused {
            Effect::Unknown
        } else {
            Effect::None
        },
        scope: if refused {
            refused_scope
        } else {
            Scope::Destination
        },
        pause: false,
        after_ms: None,
        notes: vec![],
    })
}

/// What a poll is answered with by a plugin that never leaves a delivery pending.
#[must_use]
pub fn no_poll(plugin: &str) -> Failure {
    Failure {
        code: "no-poll".to_owned(),
        reason: format!("{plugin} does not poll"),
        effect: Effect::None,
        scope: Scope::Message,
        pause: false,
        after_ms: None,
        notes: vec![],
    }
}

/// The first value of a header, by its name in lower case.
fn header<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let found = headers.iter().find(|(key, _)| key == name);
    found.map(|(_, value)| value.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 1994-11-06T08:49:37Z, the date of RFC 9110.
    const NOW_MS: u64 = 784_111_777_000;

    /// An outcome in one line: what it is, whose, and when again.
    fn told(outcome: Outcome) -> String {
        match outcome {
            Outcome::Delivered(receipt) => format!("delivered {:?}", receipt.reference),
            Outcome::Rejected(refusal) => format!("rejected {}", refusal.code),
            Outcome::Retry(failure) => {
                let pause = if failure.pause { " pause" } else { "" };
                let after = failure.after_ms.map(|ms| format!(" after {ms}"));
                format!(
                    "{} {:?} {:?}{pause}{}",
                    failure.code,
                    failure.effect,
                    failure.scope,
                    after.unwrap_or_default()
                )
            }
            other => panic!("never made here: {other:?}"),
        }
    }

    #[track_caller]
    fn check(status: u16, headers: &[(&str, &str)], expected: &str) {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let headers: Vec<_> = headers.iter().map(own).collect();
        let outcome = outcome(status, &headers, &[422, 500], NOW_MS);
        assert_eq!(told(outcome), expected, "{status} {headers:?}");
    }

    /// The table of the module's docs, line by line.
    #[test]
    fn what_a_status_means() {
        check(200, &[], "delivered None");
        check(202, &[("location", "/1")], "delivered Some(\"/1\")");
        check(422, &[], "rejected http-422");
        check(500, &[("retry-after", "1")], "rejected http-500");
        check(303, &[], "http-303 Effect::Unknown Scope::Message");
        check(404, &[], "http-404 Effect::None Scope::Message");
        check(410, &[], "http-410 Effect::None Scope::Destination pause");
        check(429, &[], "http-429 Effect::None Scope::Destination");
        check(501, &[], "http-501 Effect::Unknown Scope::Message");
        for status in [502, 503, 504] {
            let expected = format!("http-{status} Effect::Unknown Scope::Destination");
            check(status, &[], &expected);
        }
        check(
            503,
            &[("retry-after", "120")],
            "http-503 Effect::None Scope::Destination after 120000",
        );
    }

    /// Seconds, or a date of any of the three forms; what is neither is as if it were not there.
    #[test]
    fn when_to_come_back() {
        let cases = [
            ("0", " after 0"),
            ("99999999999999999999999", " after 18446744073709551615"),
            ("Sun, 06 Nov 1994 08:50:37 GMT", " after 60000"),
            ("Sunday, 06-Nov-94 08:50:37 GMT", " after 60000"),
            ("Sun Nov  6 08:50:37 1994", " after 60000"),
            ("Sun, 06 Nov 1994 08:40:00 GMT", " after 0"),
            ("-1", ""),
            ("tomorrow", ""),
        ];
        for (value, after) in cases {
            let expected = format!("http-429 Effect::None Scope::Destination{after}");
            check(429, &[("retry-after", value)], &expected);
        }
    }

    /// Only what was sent can have had an effect; the guard sends nothing, and its no is whose the
    /// caller says.
    #[test]
    fn what_no_answer_means() {
        for kind in [
            "dns", "connect", "tls", "timeout", "closed", "protocol", "new",
        ] {
            for (sent, effect) in [(false, "None"), (true, "Unknown")] {
                let outcome = no_answer(kind, "why", sent, Scope::Channel);
                let expected = format!("{kind} Effect::{effect} Scope::Destination");
                assert_eq!(told(outcome), expected);
            }
        }
        for scope in [Scope::Channel, Scope::Destination] {
            let outcome = no_answer("refused-by-guard", "", true, scope);
            let expected = format!("refused-by-guard Effect::None {scope:?}");
            assert_eq!(told(outcome), expected);
        }
    }

    #[test]
    fn reasons_say_what_and_why() {
        let reason = |kind, detail| match no_answer(kind, detail, true, Scope::Channel) {
            Outcome::Retry(failure) => failure.reason,
            other => panic!("not a retry: {other:?}"),
        };
        assert_eq!(
            reason("timeout", " after 15s "),
            "the answer did not come in time: after 15s"
        );
        assert_eq!(reason("new", ""), "no answer came");
        assert_eq!(no_poll("http").reason, "http does not poll");
    }
}
