//! Values of `ce-` headers: HTTP Protocol Binding for CloudEvents 1.0.2, section 3.1.3.2. Pure: bytes in, text out.

/// The attribute's value: quotes are undone first, then percent-encoding. None where either is broken, or what comes out
/// is no UTF-8.
///
/// A quoted part, in which `\` stands before what is taken as it is, may be followed by one that is not quoted. Bytes past
/// ASCII are taken where they are UTF-8: many senders do not encode them.
pub(super) fn decode(value: &[u8]) -> Option<String> {
    String::from_utf8(percent_decoded(&unquoted(value)?)?).ok()
}

fn unquoted(value: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::with_capacity(value.len());
    let mut bytes = value.iter();
    let mut is_quoted = false;
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => is_quoted = !is_quoted,
            b'\\' if is_quoted => text.push(*bytes.next()?),
            byte => text.push(*byte),
        }
    }
    (!is_quoted).then_some(text)
}

fn percent_decoded(text: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => hex(*bytes.next()?)? << 4 | hex(*bytes.next()?)?,
            byte => *byte,
        });
    }
    Some(decoded)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|digit| digit as u8)
}

#[cfg(test)]
mod tests {
    use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
    use proptest::prelude::*;

    use super::*;

    const VECTORS: &str = include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/data/cloudevents/http/header-value-encoding.json"
    ));

    #[test]
    fn published_vectors() {
        let vectors: serde_json::Value = serde_json::from_str(VECTORS).unwrap();
        let mut checked = 0;
        for group in ["round_trip", "decode_only"] {
            for case in vectors[group].as_array().unwrap() {
                let header = case["header"].as_str().unwrap();
                assert_eq!(decode(header.as_bytes()).as_deref(), case["value"].as_str());
                checked += 1;
            }
        }
        for header in vectors["invalid_headers"].as_array().unwrap() {
            let header = header.as_str().unwrap();
            assert_eq!(decode(header.as_bytes()), None, "{header}");
            checked += 1;
        }
        assert_eq!(checked, 7 + 6 + 16);
    }

    proptest! {
        /// What an encoder that is not ours wrote comes back, quoted or not; whatever the bytes, nothing panics.
        #[test]
        fn values_come_back(value: String, any: Vec<u8>) {
            let encoded = utf8_percent_encode(&value, NON_ALPHANUMERIC).to_string();
            prop_assert_eq!(decode(encoded.as_bytes()), Some(value.clone()));
            let quoted = value.replace('%', "%25").replace('\\', r"\\").replace('"', r#"\""#);
            let quoted = format!("\"{quoted}\"");
            prop_assert_eq!(decode(quoted.as_bytes()), Some(value));
            let _ = decode(&any);
        }
    }

    #[test]
    fn the_edges() {
        for (header, value) in [
            (&b""[..], Some("")),
            (b"\"\"", Some("")),
            (b"\"a\"\"b\"c", Some("abc")),
            (b"\"%41\"", Some("A")),
            (b"\"\\%41\"", Some("A")),
            (b"%25%34%31", Some("%41")),
            ("é".as_bytes(), Some("é")),
            (b"\xe9", None),
            (b"%+1", None),
            (b"a\"", None),
        ] {
            assert_eq!(decode(header).as_deref(), value, "{header:?}");
        }
    }
}
