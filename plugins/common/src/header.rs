//! What header fields are made of, and which of them are never passed on.

/// Fields of a message that do not go on with it, lower case: they belong to one connection (RFC
/// 9110, 7.6.1), or the host's HTTP client sets them.
const OF_THE_CONNECTION: [&str; 12] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Whether a field of this name belongs to one connection, or is set by the host's HTTP client.
/// What a `connection` field names belongs to it too: see [`connection_options`].
#[must_use]
pub fn is_of_the_connection(name: &str) -> bool {
    OF_THE_CONNECTION
        .iter()
        .any(|field| field.eq_ignore_ascii_case(name))
}

/// What the `connection` fields name, as it is written.
#[must_use]
pub fn connection_options(headers: &[(String, String)]) -> Vec<String> {
    let connection = headers
        .iter()
        .filter(|(name, _)| name.eq_ignore_ascii_case("connection"));
    let options = connection.flat_map(|(_, value)| value.split(','));
    options.map(|option| option.trim().to_owned()).collect()
}

/// RFC 9110, 5.6.2: what methods and field names are made of.
#[must_use]
pub fn is_token(text: &str) -> bool {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !text.is_empty() && text.bytes().all(token)
}

/// RFC 9110, 5.5: a field's value has no control characters but the tab.
#[must_use]
pub fn is_value(text: &str) -> bool {
    text.chars().all(|c| c == '\t' || !c.is_control())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_and_values() {
        for token in ["a", "X-Request-Id", "PROPFIND", "!#$%&'*+-.^_`|~09"] {
            assert!(is_token(token), "{token}");
        }
        for other in ["", "a b", "a:", "é", "a\r\n", "(a)", "a/b"] {
            assert!(!is_token(other), "{other:?}");
        }
        for value in ["", "a b", "a\tb", "é", "\"quoted\""] {
            assert!(is_value(value), "{value:?}");
        }
        for other in ["a\r\nb: c", "a\n", "\0", "\u{7f}", "\u{85}"] {
            assert!(!is_value(other), "{other:?}");
        }
    }

    /// Names compare without their case; what a `connection` field lists is found in each of them.
    #[test]
    fn fields_of_the_connection() {
        for name in ["Host", "content-length", "TE", "Proxy-Authorization"] {
            assert!(is_of_the_connection(name), "{name}");
        }
        for name in ["content-type", "hosts", "webhook-id", "authorization", ""] {
            assert!(!is_of_the_connection(name), "{name}");
        }
        let headers = [
            ("Connection", "close, X-Hop"),
            ("x-hop", "1"),
            ("connection", "x-b"),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(connection_options(&headers), ["close", "X-Hop", "x-b"]);
    }
}
