//! The JSON Event Format for CloudEvents 1.0.2. Pure: an event in, bytes out.
//!
//! The data is written in the first of these forms that fits, so that its bytes can be had back:
//!
//! 1. JSON content (`*/json`, `*/*+json`) that is valid: the member `data` with the value as it is
//!    written, number by number.
//! 2. Text (`text/*`, `application/xml`, `*/*+xml`) that is valid UTF-8 and does not claim another
//!    charset: the member `data` with a JSON string.
//! 3. Anything else: the member `data_base64`.
//!
//! No content type counts as "anything else": the format reads a `data` without one as JSON, and we
//! do not guess that these bytes are.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::event::Event;

/// The event as a JSON object. No data, no member for it.
pub(crate) fn object(event: &Event, data: &[u8]) -> Vec<u8> {
    let mut out = String::with_capacity(data.len() * 4 / 3 + 512);
    let mut separator = '{';
    for (name, value) in event.members() {
        out.push(separator);
        separator = ',';
        out += &string(name);
        out.push(':');
        out += &string(value);
    }
    if !data.is_empty() {
        write_data(event.content_type.as_deref(), data, &mut out);
    }
    out.push('}');
    out.into_bytes()
}

fn write_data(content_type: Option<&str>, data: &[u8], out: &mut String) {
    let media = Media::new(content_type.unwrap_or_default());
    let text = std::str::from_utf8(data).ok();
    let json = text.filter(|_| media.is_json()).and_then(value);
    if let Some(json) = json {
        out.push_str(r#","data":"#);
        out.push_str(json);
    } else if let Some(text) = text.filter(|_| media.is_text()) {
        out.push_str(r#","data":"#);
        out.push_str(&string(text));
    } else {
        out.push_str(r#","data_base64":""#);
        STANDARD.encode_string(data, out);
        out.push('"');
    }
}

/// The one JSON value that this text is, without the blanks around it.
fn value(text: &str) -> Option<&str> {
    let raw: Option<&RawValue> = serde_json::from_str(text).ok();
    raw.map(RawValue::get)
}

fn string(text: &str) -> String {
    Value::from(text).to_string()
}

/// A media type, taken apart as far as it decides how data is written.
struct Media {
    kind: String,
    subtype: String,
    /// Whether a charset is named that is not UTF-8.
    is_foreign: bool,
}

impl Media {
    fn new(content_type: &str) -> Self {
        let content_type = content_type.to_ascii_lowercase();
        let mut parts = content_type.split(';').map(str::trim);
        let essence = parts.next().unwrap_or_default();
        let (kind, subtype) = essence.split_once('/').unwrap_or_default();
        let charset = |part: &str| {
            let (name, value) = part.split_once('=')?;
            (name == "charset").then(|| value.trim_matches('"').to_owned())
        };
        Self {
            kind: kind.to_owned(),
            subtype: subtype.to_owned(),
            is_foreign: parts.filter_map(charset).any(|charset| charset != "utf-8"),
        }
    }

    /// JSON is UTF-8 whatever a parameter says (RFC 8259, section 8.1).
    fn is_json(&self) -> bool {
        self.subtype == "json" || self.subtype.ends_with("+json")
    }

    fn is_text(&self) -> bool {
        let is_xml =
            self.subtype.ends_with("+xml") || (self.kind == "application" && self.subtype == "xml");
        !self.is_foreign && !self.is_json() && (self.kind == "text" || is_xml)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn event(content_type: Option<&str>) -> Event {
        Event {
            attributes: vec![("id".to_owned(), "1".to_owned())],
            content_type: content_type.map(str::to_owned),
        }
    }

    /// What stands behind the attributes.
    #[track_caller]
    fn check(content_type: Option<&str>, data: &[u8], expected: &str) {
        let text = String::from_utf8(object(&event(content_type), data)).unwrap();
        let start = match content_type {
            Some(value) => format!(r#"{{"id":"1","datacontenttype":{}"#, string(value)),
            None => r#"{"id":"1""#.to_owned(),
        };
        let rest = text.strip_prefix(&start).unwrap();
        assert_eq!(rest, format!("{expected}}}"), "{content_type:?}");
    }

    #[test]
    fn json_content_is_embedded_as_it_is_written() {
        let exact =
            r#"{"n": 12345678901234567890.10, "big": 1e999, "s": "é\u00e9", "b": 1, "b": 2}"#;
        for content_type in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "text/json",
            "application/vnd.example+json",
            "application/json;charset=iso-8859-1",
        ] {
            check(
                Some(content_type),
                format!(" {exact}\r\n").as_bytes(),
                &format!(r#","data":{exact}"#),
            );
        }
        let json = Some("application/json");
        check(json, b"null", r#","data":null"#);
        check(json, b"1.50", r#","data":1.50"#);
        check(json, br#""{}""#, r#","data":"{}""#);
    }

    #[test]
    fn text_is_a_string() {
        for content_type in [
            "text/plain",
            "TEXT/html; charset=\"UTF-8\"",
            "application/xml",
            "image/svg+xml",
        ] {
            check(
                Some(content_type),
                "<é a=\"b\">\n".as_bytes(),
                r#","data":"<é a=\"b\">\n""#,
            );
        }
    }

    #[test]
    fn anything_else_is_base64() {
        let cases: &[(Option<&str>, &[u8], &str)] = &[
            (None, b"{}", "e30="),
            (Some("application/octet-stream"), b"\0\xff", "AP8="),
            (Some("application/x-www-form-urlencoded"), b"a=b", "YT1i"),
            (Some("text/plain; charset=iso-8859-1"), b"a", "YQ=="),
            (Some("text/plain"), b"\xe9", "6Q=="),
            (Some("application/xml"), b"<\xe9/>", "POkvPg=="),
            // It claims to be JSON and is not: the receiver gets the same bytes as in binary mode.
            (Some("application/json"), b"{", "ew=="),
            (Some("application/json"), b"1 2", "MSAy"),
            (Some("application/json"), b"\"\xff\"", "Iv8i"),
            (Some("application/json"), b" ", "IA=="),
            (Some("text/json"), b"{", "ew=="),
            (Some("multipart/xml"), b"a", "YQ=="),
        ];
        for (content_type, data, base64) in cases {
            check(
                *content_type,
                data,
                &format!(r#","data_base64":"{base64}""#),
            );
        }
    }

    #[test]
    fn no_data_is_no_member() {
        for content_type in [None, Some("application/json"), Some("text/plain")] {
            check(content_type, b"", "");
        }
    }

    proptest! {
        /// Whatever the bytes and whatever they are said to be, a reader of the format finds every
        /// attribute, and the same bytes.
        #[test]
        fn an_event_comes_back(
            attributes: Vec<String>,
            content_type in prop::option::of("(text|application)/(plain|json|xml|x)(; charset=(utf-8|x))?"),
            data in prop_oneof![
                any::<Vec<u8>>(),
                any::<String>().prop_map(String::into_bytes),
                any::<Vec<i64>>().prop_map(|v| format!("{v:?}").into_bytes()),
            ],
        ) {
            let named = attributes.iter().enumerate();
            let event = Event {
                attributes: named.map(|(n, value)| (format!("a{n}"), value.clone())).collect(),
                content_type: content_type.clone(),
            };
            prop_assume!(!attributes.is_empty());
            let read: serde_json::Map<String, Value> =
                serde_json::from_slice(&object(&event, &data)).unwrap();
            for (name, value) in event.members() {
                prop_assert_eq!(&read[name], value);
            }
            let is_json = content_type.is_some_and(|text| text.contains("/json"));
            let bytes = match (read.get("data"), read.get("data_base64")) {
                (None, None) => vec![],
                (None, Some(base64)) => STANDARD.decode(base64.as_str().unwrap()).unwrap(),
                (Some(json), None) if is_json => {
                    let given: Value = serde_json::from_slice(&data).unwrap();
                    prop_assert_eq!(json, &given);
                    data.clone()
                }
                (Some(text), None) => text.as_str().unwrap().as_bytes().to_vec(),
                (Some(_), Some(_)) => panic!("both members"),
            };
            prop_assert_eq!(bytes, data);
        }
    }
}
