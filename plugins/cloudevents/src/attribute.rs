//! What the values of context attributes may be: CloudEvents 1.0.2, "Type System" and the
//! constraints of each attribute.

use iri_string::types::{UriReferenceStr, UriStr};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use wharf_plugin_common::header::is_token;

/// Whether the attribute `name` may have this value. The error finishes the sentence "… must be".
pub(crate) fn check(name: &str, value: &str) -> Result<(), &'static str> {
    let (right, what) = match name {
        "source" => (
            !value.is_empty() && UriReferenceStr::new(value).is_ok(),
            "a URI reference that is not empty",
        ),
        // The specification's absolute URI has no fragment, but schemas are commonly named with
        // one, and receivers take it.
        "dataschema" => (UriStr::new(value).is_ok(), "a URI with its scheme"),
        "time" | "expirytime" => (
            is_timestamp(value),
            "an RFC 3339 time, such as 2018-04-05T17:31:00Z",
        ),
        "datacontenttype" => (
            is_media_type(value),
            "a media type, such as application/json",
        ),
        "id" | "type" | "subject" | "partitionkey" => (
            !value.is_empty() && is_string(value),
            "text that is not empty, without control characters",
        ),
        _ => (is_string(value), "text without control characters"),
    };
    if right { Ok(()) } else { Err(what) }
}

/// Whether this can be an attribute's name at all. 20 characters are only recommended as the most.
pub(crate) fn is_name(name: &str) -> bool {
    let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    !name.is_empty() && name.bytes().all(legal)
}

pub(crate) fn is_timestamp(value: &str) -> bool {
    // The parser takes any character between date and time; the grammar of RFC 3339 has this one.
    let is_separated = matches!(value.as_bytes().get(10), Some(b'T' | b't'));
    is_separated && OffsetDateTime::parse(value, &Rfc3339).is_ok()
}

/// Neither control characters nor Unicode's noncharacters; a Rust string has no surrogates.
fn is_string(value: &str) -> bool {
    let noncharacter =
        |c: char| matches!(c, '\u{fdd0}'..='\u{fdef}') || u32::from(c) & 0xfffe == 0xfffe;
    !value.chars().any(|c| c.is_control() || noncharacter(c))
}

/// RFC 2045, section 5.1, as far as type and subtype go.
fn is_media_type(value: &str) -> bool {
    let essence = value.split(';').next().unwrap_or_default().trim();
    let parts = essence.split_once('/');
    parts.is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype)) && is_string(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE_TIMES: &str = include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/data/json-formats/format-date-time.json"
    ));

    #[track_caller]
    fn check_all(name: &str, right: &[&str], wrong: &[&str]) {
        for value in right {
            assert_eq!(check(name, value), Ok(()), "{name} = {value:?}");
        }
        for value in wrong {
            assert!(check(name, value).is_err(), "{name} = {value:?}");
        }
    }

    #[test]
    fn every_attribute_has_its_rule() {
        check_all(
            "id",
            &["1", "A234-1234", "Euro € 😀", "\u{fdf0}"],
            &[
                "",
                "a\nb",
                "\u{85}",
                "\u{7f}",
                "\u{fdd0}",
                "\u{1fffe}",
                "\u{ffff}",
            ],
        );
        check_all(
            "source",
            &[
                "wharf",
                "/mycontext/4",
                "#fragment",
                "//authority/path",
                "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66",
                "mailto:cncf-wg-serverless@lists.cncf.io",
                "1-555-123-4567",
                "http://localhost/source",
            ],
            &["", "my shop", "%zz", "http://[", "café", "a\nb"],
        );
        check_all(
            "dataschema",
            &[
                "http://localhost/schema",
                "urn:x:y",
                "https://a.example/s#/order",
            ],
            &["", "/schema", "schema.json", "http://a b"],
        );
        check_all("subject", &["sub", "a b"], &["", "a\tb"]);
        check_all("type", &["com.example.someevent"], &["", "\0"]);
        check_all("partitionkey", &["k"], &[""]);
        check_all(
            "datacontenttype",
            &["application/json", "Text/XML ; charset=utf-8", "a/b+c"],
            &["", "xyz", "a/", "/b", "a b/c", "a/b;x=\n"],
        );
        check_all("anything", &["", "a b", "5"], &["a\rb"]);
    }

    /// Every published case of RFC 3339 that is about a text, and what only our parser would take.
    #[test]
    fn times_are_rfc_3339() {
        let groups: serde_json::Value = serde_json::from_str(DATE_TIMES).unwrap();
        let mut checked = 0;
        for group in groups.as_array().unwrap() {
            for case in group["tests"].as_array().unwrap() {
                let Some(value) = case["data"].as_str() else {
                    continue;
                };
                assert_eq!(
                    is_timestamp(value),
                    case["valid"],
                    "{}",
                    case["description"]
                );
                checked += 1;
            }
        }
        assert_eq!(checked, 27);
        check_all(
            "expirytime",
            &[
                "2018-04-05T17:31:00.000000000Z",
                "2018-04-26T14:48:09+02:00",
            ],
            &[
                "",
                "lunchtime",
                "2018-04-05 17:31:00Z",
                "2018-04-05T18:31Z",
                "2018-04-05T18:31:00X",
                "2018-04-05T18:31:00+25:00",
                "2018-04-05T18:31:00+05",
            ],
        );
    }

    #[test]
    fn names_are_lower_case_letters_and_digits() {
        for name in [
            "a",
            "comexampleextension1",
            "2nd",
            "longerthantwentycharacters",
        ] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "aString", "a_b", "my.extension", "x-a", "é"] {
            assert!(!is_name(name), "{name}");
        }
    }
}
