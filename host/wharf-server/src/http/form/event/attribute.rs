//! What names and values of context attributes may be: CloudEvents 1.0.2, "Type System" and the constraints of each
//! attribute. The `cloudevents` plugin has the same rules for what goes out, so that an event which comes in here can.

use iri_string::types::{UriReferenceStr, UriStr};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use wharf_core::limits::{NAME_BYTES_MAX, VALUE_BYTES_MAX};

/// Lower-case letters and digits. 20 characters are only recommended as the most.
pub(super) fn is_name(name: &str) -> bool {
    let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    (1..=NAME_BYTES_MAX).contains(&name.len()) && name.bytes().all(legal) && name != "data"
}

/// Whether the attribute `name` may have this value. The error finishes the sentence "it must be …".
pub(super) fn check(name: &str, value: &str) -> Result<(), &'static str> {
    let (is_right, what) = match name {
        "specversion" => (value == "1.0", "1.0, the only version that is read"),
        "source" => (
            !value.is_empty() && UriReferenceStr::new(value).is_ok(),
            "a URI reference that is not empty",
        ),
        // The specification's absolute URI has no fragment, but schemas are commonly named with one.
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
    match is_right {
        true if value.len() > VALUE_BYTES_MAX => Err("of at most 8 KiB"),
        true => Ok(()),
        false => Err(what),
    }
}

// The words above say it in figures.
const _: () = assert!(VALUE_BYTES_MAX == 8 << 10);

fn is_timestamp(value: &str) -> bool {
    // The parser takes any character between date and time; the grammar has this one.
    let is_separated = matches!(value.as_bytes().get(10), Some(b'T' | b't'));
    is_separated && OffsetDateTime::parse(value, &Rfc3339).is_ok()
}

/// Neither control characters nor Unicode's noncharacters; a Rust string has no surrogates.
fn is_string(value: &str) -> bool {
    let noncharacter =
        |c: char| matches!(c, '\u{fdd0}'..='\u{fdef}') || u32::from(c) & 0xfffe == 0xfffe;
    !value.chars().any(|c| c.is_control() || noncharacter(c))
}

/// RFC 2045, section 5.1, as far as type and subtype go; and what a header can carry, since it becomes one.
fn is_media_type(value: &str) -> bool {
    let essence = value.split(';').next().unwrap_or_default().trim();
    let parts = essence.split_once('/');
    let token = |text: &str| {
        let is_of_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        !text.is_empty() && text.bytes().all(is_of_token)
    };
    parts.is_some_and(|(kind, subtype)| token(kind) && token(subtype))
        && http::HeaderValue::from_str(value).is_ok()
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
        let long = "x".repeat(VALUE_BYTES_MAX);
        let too_long = format!("{long}x");
        check_all("specversion", &["1.0"], &["", "1", "0.3", "1.1", "1.0 "]);
        check_all(
            "id",
            &["1", "Euro € 😀", "\u{fdf0}", &long],
            &[
                "",
                "a\nb",
                "\u{85}",
                "\u{7f}",
                "\u{fdd0}",
                "\u{1fffe}",
                &too_long,
            ],
        );
        check_all(
            "source",
            &[
                "wharf",
                "#fragment",
                "//authority/path",
                "urn:uuid:6e8bc430",
                "1-555-123-4567",
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
            &["", "/schema", "http://a b"],
        );
        check_all("subject", &["sub", "a b"], &["", "a\tb"]);
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
        let groups = groups.as_array().unwrap().iter();
        let cases = groups.flat_map(|group| group["tests"].as_array().unwrap());
        let texts = cases.filter_map(|case| Some((case["data"].as_str()?, case)));
        let mut checked = 0;
        for (text, case) in texts {
            assert_eq!(is_timestamp(text), case["valid"], "{}", case["description"]);
            checked += 1;
        }
        assert_eq!(checked, 27);
        check_all(
            "expirytime",
            &[
                "2018-04-05T17:31:00.000000000Z",
                "2018-04-26T14:48:09+02:00",
            ],
            &["", "lunchtime", "2018-04-05 17:31:00Z", "2018-04-05T18:31Z"],
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
        let long = "x".repeat(NAME_BYTES_MAX + 1);
        for name in [
            "",
            "aString",
            "a_b",
            "my.extension",
            "x-a",
            "é",
            "data",
            &long,
        ] {
            assert!(!is_name(name), "{name}");
        }
    }
}
