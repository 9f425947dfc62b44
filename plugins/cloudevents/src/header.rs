//! Attribute values as header values: HTTP Protocol Binding for CloudEvents 1.0.2, section 3.1.3.2.
//! Pure: text in, text out.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

/// What is percent-encoded of ASCII. Everything outside of ASCII always is.
const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'%');

/// The header value of an attribute's value: each byte of the UTF-8 form of a space, a double quote,
/// a percent sign, or what is not printable ASCII becomes `%` and two upper-case hex digits.
pub(crate) fn encode(value: &str) -> String {
    utf8_percent_encode(value, ENCODED).to_string()
}

#[cfg(test)]
mod tests {
    use percent_encoding::percent_decode_str;
    use proptest::prelude::*;

    use super::*;

    const VECTORS: &str = include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/data/cloudevents/http/header-value-encoding.json"
    ));

    /// The published values that have one encoding. The other groups of the file are for those who
    /// decode.
    #[test]
    fn published_vectors() {
        let vectors: serde_json::Value = serde_json::from_str(VECTORS).unwrap();
        let cases = vectors["round_trip"].as_array().unwrap();
        assert_eq!(cases.len(), 7);
        for case in cases {
            assert_eq!(encode(case["value"].as_str().unwrap()), case["header"]);
        }
    }

    /// The ends of what stays as it is, and their neighbours.
    #[test]
    fn the_edges() {
        for (value, header) in [
            ("", ""),
            ("!#$&~", "!#$&~"),
            ("\u{1f}\u{7f}\u{80}", "%1F%7F%C2%80"),
            ("%20", "%2520"),
            ("a\\b", "a\\b"),
        ] {
            assert_eq!(encode(value), header);
        }
    }

    proptest! {
        /// A value comes back from a decoder that is not ours, and is printable ASCII on the way.
        #[test]
        fn values_come_back(value: String) {
            let header = encode(&value);
            prop_assert!(header.bytes().all(|b| b.is_ascii_graphic() && b != b'"'));
            prop_assert_eq!(percent_decode_str(&header).decode_utf8().unwrap(), value);
        }
    }
}
