//! From a message to its line, with the line break at its end.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use wharf_plugin_common::refusal;
use wharf_plugin_common::types::Refusal;

use crate::bindings::exports::wharf::delivery::channel::{Call, Wire};

/// A message as the API takes it.
#[derive(Serialize)]
struct Line<'a> {
    id: &'a str,
    #[serde(serialize_with = "map", skip_serializing_if = "<[_]>::is_empty")]
    attributes: &'a [(String, String)],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    headers: &'a [(String, String)],
    #[serde(skip_serializing_if = "Option::is_none")]
    ordering_key: Option<&'a str>,
    #[serde(flatten)]
    payload: Payload<'a>,
}

#[derive(Serialize)]
enum Payload<'a> {
    #[serde(rename = "payload")]
    Text(&'a str),
    #[serde(rename = "payload_json")]
    Json(&'a RawValue),
    #[serde(rename = "payload_base64")]
    Bytes(String),
}

fn map<S: Serializer>(pairs: &[(String, String)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(key, value)| (key, value)))
}

/// The message as a JSON object.
pub(crate) fn json(c: &Call, msg: &Wire) -> Result<Vec<u8>, Refusal> {
    let line = Line {
        id: &c.message_id,
        attributes: &c.attributes,
        headers: &msg.headers,
        ordering_key: c.ordering_key.as_deref(),
        payload: payload(msg),
    };
    let mut line = serde_json::to_vec(&line).map_err(|error| {
        refusal::new("no-line", format!("it cannot be written as JSON: {error}"))
    })?;
    line.push(b'\n');
    Ok(line)
}

fn payload(msg: &Wire) -> Payload<'_> {
    let json = has_json(msg).then(|| as_json(&msg.body)).flatten();
    match (json, std::str::from_utf8(&msg.body)) {
        (Some(json), _) => Payload::Json(json),
        (None, Ok(text)) => Payload::Text(text),
        (None, Err(_)) => Payload::Bytes(BASE64.encode(&msg.body)),
    }
}

/// Whether the content type says JSON.
fn has_json(msg: &Wire) -> bool {
    let content_type = msg
        .headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    content_type.is_some_and(|(_, value)| {
        let kind = value.split(';').next().unwrap_or("").trim();
        let kind = kind.to_ascii_lowercase();
        kind == "application/json" || kind.ends_with("+json")
    })
}

/// The body where it can stand in a line as it is: JSON without a line break, and without blanks
/// around it, which would be lost.
fn as_json(body: &[u8]) -> Option<&RawValue> {
    if body.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
        return None;
    }
    let json: &RawValue = serde_json::from_slice(body).ok()?;
    (json.get().len() == body.len()).then_some(json)
}

/// The body itself.
pub(crate) fn raw(msg: &Wire) -> Result<Vec<u8>, Refusal> {
    let body = msg.body.strip_suffix(b"\n").unwrap_or(&msg.body);
    if body.contains(&b'\n') {
        let reason = "the body has a line break in it and would be more than one line; \
                      `format = \"json\"` takes any body";
        return Err(refusal::new("line-break", reason));
    }
    Ok([body, b"\n"].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::tests::call;

    fn message(content_type: &str, body: &[u8]) -> Wire {
        Wire {
            endpoint: None,
            headers: vec![("Content-Type".to_owned(), content_type.to_owned())],
            body: body.to_vec(),
        }
    }

    #[track_caller]
    fn check_json(content_type: &str, body: &[u8], payload: &str) {
        let line = json(&call(), &message(content_type, body)).unwrap();
        let expected = format!(
            r#"{{"id":"01J","attributes":{{"type":"a"}},"headers":[["Content-Type","{content_type}"]],{payload}}}"#
        );
        assert_eq!(String::from_utf8(line).unwrap(), expected + "\n");
    }

    /// A body is JSON where it says so and can stay as it is, else text, else base64; never more
    /// than one line.
    #[test]
    fn a_json_line_has_the_body_in_the_plainest_form() {
        let json = "application/json";
        check_json(json, b"{\"a\": 1.50}", r#""payload_json":{"a": 1.50}"#);
        let typed = "application/vnd.a+JSON; charset=utf-8";
        check_json(typed, b"[1]", r#""payload_json":[1]"#);
        check_json(json, b"{\n}", r#""payload":"{\n}""#);
        check_json(json, b" 1", r#""payload":" 1""#);
        check_json(json, b"{", r#""payload":"{""#);
        check_json("text/plain", b"{}", r#""payload":"{}""#);
        check_json("text/plain", b"", r#""payload":"""#);
        check_json("a/b", b"\xff\0", r#""payload_base64":"/wA=""#);
    }

    #[test]
    fn what_is_empty_is_left_out() {
        let mut c = call();
        c.attributes.clear();
        c.ordering_key = Some("k".to_owned());
        let bare = Wire {
            headers: vec![],
            ..message("", b"x")
        };
        let expected = r#"{"id":"01J","ordering_key":"k","payload":"x"}"#;
        let line = json(&c, &bare).unwrap();
        assert_eq!(String::from_utf8(line).unwrap(), format!("{expected}\n"));
    }

    #[test]
    fn a_raw_line_is_the_body() {
        let line = |body: &[u8]| raw(&message("a/b", body));
        assert_eq!(line(b"a\rb").unwrap(), b"a\rb\n");
        assert_eq!(line(b"a\n").unwrap(), b"a\n");
        assert_eq!(line(b"").unwrap(), b"\n");
        for body in [b"a\nb".as_slice(), b"a\n\n", b"\na"] {
            assert_eq!(line(body).unwrap_err().code, "line-break");
        }
    }
}
