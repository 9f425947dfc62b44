//! The JSON form: every field checked, every error naming its field.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use serde::de::IgnoredAny;
use wharf_api::{MessageInput, Priority, Problem, ProblemCode};
use wharf_core::{Message, MessageId, Pairs, message};

use super::Reading;
use super::check::{self, invalid};

/// Reads one message.
pub(super) fn read(body: &[u8], reading: &Reading<'_>) -> Result<Message, Problem> {
    check(parse(body)?, reading)
}

fn parse(body: &[u8]) -> Result<MessageInput, Problem> {
    // Derived code would also take an array, as the fields in their order.
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(Problem::new(
            ProblemCode::MalformedBody,
            "the body is no JSON object",
        ));
    }
    serde_json::from_slice(body).map_err(|error| explain(body, &error))
}

/// What is wrong with a JSON form that serde refused. Off the hot path: it may look twice.
fn explain(body: &[u8], error: &serde_json::Error) -> Problem {
    let Ok(fields) = serde_json::from_slice::<std::collections::BTreeMap<String, IgnoredAny>>(body)
    else {
        return Problem::new(
            ProblemCode::MalformedBody,
            format!("the body is no JSON object: {error}"),
        );
    };
    if let Some(unknown) = fields
        .keys()
        .find(|field| !FIELDS.contains(&field.as_str()))
    {
        return Problem::new(
            ProblemCode::UnknownField,
            format!(
                "there is no field {unknown:?}; there are {}",
                FIELDS.join(", ")
            ),
        )
        .field(unknown);
    }
    let mut track = serde_path_to_error::Track::new();
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let _: Result<MessageInput, _> = serde::Deserialize::deserialize(
        serde_path_to_error::Deserializer::new(&mut deserializer, &mut track),
    );
    let path = track.path().to_string();
    Problem::new(ProblemCode::InvalidField, format!("{path}: {error}")).field(path)
}

/// The fields of [`MessageInput`].
const FIELDS: &[&str] = &[
    "id",
    "attributes",
    "headers",
    "content_type",
    "payload",
    "payload_base64",
    "payload_json",
    "ordering_key",
    "sequence_global",
    "sequence_key",
    "deliver_after",
    "expires_at",
    "priority",
    "traceparent",
];

fn check(mut input: MessageInput, reading: &Reading<'_>) -> Result<Message, Problem> {
    let id = match &input.id {
        Some(text) => {
            let id = MessageId::parse(text).map_err(|e| {
                Problem::new(ProblemCode::InvalidId, format!("id: {e}")).field("id")
            })?;
            reading.own_id(id, "id")?
        }
        None => reading.given_id()?,
    };
    let (payload, is_json) = payload(&mut input)?;
    check::payload_size(payload.len(), "payload", reading.payload_bytes_max)?;
    let headers = headers(input.headers, input.content_type, is_json)?;
    let attributes = check::attributes(input.attributes)?;
    if let Some(key) = &input.ordering_key {
        check::ordering_key(key, "ordering_key")?;
    }
    Ok(Message {
        id,
        accepted_at: reading.now,
        attributes,
        headers,
        payload,
        ordering_key: input.ordering_key,
        sequence_global: input.sequence_global,
        sequence_key: input.sequence_key,
        deliver_after: check::time("deliver_after", input.deliver_after.as_deref())?,
        expires_at: check::time("expires_at", input.expires_at.as_deref())?,
        priority: match input.priority {
            Some(Priority::High) => message::Priority::High,
            Some(Priority::Normal) | None => message::Priority::Normal,
            Some(Priority::Low) => message::Priority::Low,
        },
        traceparent: check::traceparent(input.traceparent)?,
    })
}

/// The payload, and whether it came as JSON. Takes what the form has: nothing is copied.
fn payload(input: &mut MessageInput) -> Result<(Bytes, bool), Problem> {
    let given = (
        input.payload.take(),
        input.payload_base64.take(),
        input.payload_json.take(),
    );
    match given {
        (None, None, None) => Ok((Bytes::new(), false)),
        (Some(text), None, None) => Ok((text.into(), false)),
        (None, Some(text), None) => match BASE64.decode(text) {
            Ok(bytes) => Ok((bytes.into(), false)),
            Err(e) => Err(invalid("payload_base64", &format!("it is no base64: {e}"))),
        },
        (None, None, Some(json)) => {
            let text: Box<str> = json.into();
            Ok((text.into_boxed_bytes().into(), true))
        }
        _ => Err(invalid(
            "payload",
            "give one of payload, payload_base64 and payload_json, not several",
        )),
    }
}

fn headers(
    mut headers: Pairs,
    content_type: Option<String>,
    is_json: bool,
) -> Result<Pairs, Problem> {
    let has_content_type = headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    match content_type {
        Some(_) if has_content_type => {
            return Err(invalid(
                "content_type",
                "headers has a content-type already",
            ));
        }
        Some(value) => headers.push(("content-type".to_owned(), value)),
        None if is_json && !has_content_type => {
            headers.push(("content-type".to_owned(), "application/json".to_owned()));
        }
        None => {}
    }
    check::headers(headers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::form::tests::read_alone;

    fn check_form(form: &str) -> Result<Message, (String, Option<String>)> {
        read_alone(|reading| read(form.as_bytes(), reading))
            .map_err(|problem| (problem.code, problem.field))
    }

    #[track_caller]
    fn refused(form: &str, code: &str, field: Option<&str>) {
        assert_eq!(
            check_form(form),
            Err((code.to_owned(), field.map(str::to_owned))),
            "{form}"
        );
    }

    #[test]
    fn bad_input_is_refused_by_field() {
        refused("", "malformed-body", None);
        refused("[]", "malformed-body", None);
        refused(r#"{"payload":"a"}x"#, "malformed-body", None);
        refused(r#"{"paylod":"a"}"#, "unknown-field", Some("paylod"));
        refused(r#"{"id":"a.b"}"#, "invalid-id", Some("id"));
        refused(r#"{"id":7}"#, "invalid-field", Some("id"));
        refused(
            r#"{"attributes":{"a":1}}"#,
            "invalid-field",
            Some("attributes.a"),
        );
        refused(
            r#"{"attributes":{"a":"1","a":"2"}}"#,
            "invalid-field",
            Some("attributes"),
        );
        refused(
            r#"{"headers":[["a b","c"]]}"#,
            "invalid-field",
            Some("headers"),
        );
        refused(
            r#"{"headers":[["a","b\nc"]]}"#,
            "invalid-field",
            Some("headers"),
        );
        refused(
            r#"{"payload":"a","payload_json":1}"#,
            "invalid-field",
            Some("payload"),
        );
        refused(
            r#"{"payload_base64":"*"}"#,
            "invalid-field",
            Some("payload_base64"),
        );
        refused(
            r#"{"expires_at":"soon"}"#,
            "invalid-field",
            Some("expires_at"),
        );
        refused(
            r#"{"priority":"urgent"}"#,
            "invalid-field",
            Some("priority"),
        );
        let large = format!(r#"{{"payload":"{}"}}"#, "x".repeat(1025));
        refused(&large, "payload-too-large", Some("payload"));
    }

    #[test]
    fn payload_json_keeps_its_exact_bytes() {
        let message = check_form(r#"{"payload_json": {"b" : 1.50,"a":"\u0041"} }"#).unwrap();
        assert_eq!(&message.payload[..], br#"{"b" : 1.50,"a":"\u0041"}"#);
        let null = check_form(r#"{"payload_json":null}"#).unwrap();
        assert_eq!(&null.payload[..], b"null");
        assert_eq!(
            &check_form(r#"{"payload_json":null}"#).unwrap().payload[..],
            b"null"
        );
        assert_eq!(
            message.headers,
            [("content-type".into(), "application/json".into())]
        );
    }

    #[test]
    fn every_field_is_known_to_the_explanation() {
        let all = serde_json::json!({
            "id": "a", "attributes": {"k": "v"}, "headers": [["a", "b"]], "content_type": "x/y",
            "payload": "p", "ordering_key": "k", "sequence_global": 1, "sequence_key": 2,
            "deliver_after": "2026-01-01T00:00:00Z", "expires_at": "2026-01-01T00:00:00Z",
            "priority": "low", "traceparent": "00-00"
        });
        assert!(check_form(&all.to_string()).is_ok());
        for field in all.as_object().unwrap().keys() {
            assert!(FIELDS.contains(&field.as_str()), "{field}");
        }
    }
}
