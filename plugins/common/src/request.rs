//! What the channels that make HTTP requests have in common before one is made.

use crate::setting::Problem;

/// The lower end of what Standard Webhooks recommends.
pub const TIMEOUT_DEFAULT: &str = "15s";

/// Whether this is an `http` or `https` URL, as far as its beginning tells: the host judges the
/// rest.
#[must_use]
pub fn is_http(url: &str) -> bool {
    let starts_with = |scheme: &str| {
        url.get(..scheme.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(scheme))
    };
    (starts_with("http://") || starts_with("https://")) && !url.ends_with("://")
}

/// The setting `timeout`: for one exchange, connecting included.
pub fn timeout_ms(text: Option<String>) -> Result<u32, Problem> {
    let text = text.as_deref().unwrap_or(TIMEOUT_DEFAULT);
    let span = humantime::parse_duration(text.trim()).ok();
    let ms = span.and_then(|span| u32::try_from(span.as_millis()).ok());
    ms.filter(|ms| *ms > 0).ok_or_else(|| {
        Problem::new(
            "timeout",
            "must be a time above zero with its unit, such as 15s or 1500ms",
        )
    })
}

/// The setting `reject-on`: statuses that are final.
pub fn reject_on(text: Option<String>) -> Result<Vec<u16>, Problem> {
    let Some(text) = text else { return Ok(vec![]) };
    let statuses: Option<Vec<u16>> = serde_json::from_str(&text).ok();
    statuses
        .filter(|all| all.iter().all(|status| (300..600).contains(status)))
        .ok_or_else(|| Problem::new("reject-on", "must be a list of statuses from 300 to 599"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_urls() {
        for url in ["http://a", "HTTPS://a.example/x?y", "https://[::1]:8443"] {
            assert!(is_http(url), "{url}");
        }
        for url in [
            "",
            "http:",
            "http://",
            "https://",
            "httpé://a",
            "ftp://a",
            "ws://a",
            "a.example",
            " http://a",
        ] {
            assert!(!is_http(url), "{url:?}");
        }
    }

    #[test]
    fn timeouts() {
        let cases = [
            (None, Some(15_000)),
            (Some("1500ms"), Some(1_500)),
            (Some(" 1m "), Some(60_000)),
            (Some("15"), None),
            (Some("0s"), None),
            (Some("500us"), None),
            (Some("99years"), None),
            (Some(""), None),
        ];
        for (text, ms) in cases {
            assert_eq!(timeout_ms(text.map(str::to_owned)).ok(), ms, "{text:?}");
        }
    }

    #[test]
    fn final_statuses() {
        let cases: &[(Option<&str>, Option<&[u16]>)] = &[
            (None, Some(&[])),
            (Some("[]"), Some(&[])),
            (Some("[400, 422]"), Some(&[400, 422])),
            (Some("[300,599]"), Some(&[300, 599])),
            (Some("[299]"), None),
            (Some("[600]"), None),
            (Some("422"), None),
            (Some(r#"["4xx"]"#), None),
            (Some(""), None),
        ];
        for (text, statuses) in cases {
            let read = reject_on(text.map(str::to_owned));
            assert_eq!(read.ok().as_deref(), *statuses, "{text:?}");
        }
    }
}
