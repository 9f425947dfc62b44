//! An event as one JSON object: JSON Event Format for CloudEvents 1.0.2. A batch is an array of them.
//!
//! | data | payload | `content-type` |
//! | --- | --- | --- |
//! | `data`, with a JSON content type | the JSON text, byte by byte as it was written | `datacontenttype` |
//! | `data`, without any | the same | `application/json`, as the format says |
//! | `data`, a string, with another content type | its text | `datacontenttype` |
//! | `data_base64` | the bytes | `datacontenttype`, or none |
//! | neither | empty | `datacontenttype`, or none |
//!
//! `null` is an attribute that is not there. As `data` it is none either, but with a JSON content type, where `null` is a
//! value like any other.

use axum::body::Bytes;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use wharf_api::{Problem, ProblemCode};
use wharf_core::Message;
use wharf_core::limits::ATTRIBUTES_COUNT_MAX;

use super::super::Reading;
use super::super::check::invalid;
use super::{Draft, Mode};
use crate::limits::BATCH_MESSAGES_MAX;

/// Members beside a message's attributes: `specversion`, `datacontenttype`, `data`, `data_base64`.
const MEMBERS_MORE: usize = 4;

/// Attributes that only a string can be. Extensions can be integers and truth values too.
const STRINGS: [&str; 8] = [
    "specversion",
    "id",
    "source",
    "type",
    "subject",
    "time",
    "dataschema",
    "datacontenttype",
];

pub(in crate::http::form) fn read(body: &[u8], reading: &Reading<'_>) -> Result<Message, Problem> {
    let Members(members) = serde_json::from_slice(body).map_err(|e| {
        Problem::new(
            ProblemCode::MalformedBody,
            format!("it is no event in JSON: {e}"),
        )
    })?;
    let mut draft = Draft::new(Mode::Structured);
    let (mut data, mut base64) = (None, None);
    for (name, value) in members {
        let is_first = match name.as_str() {
            "data" => data.replace(value).is_none(),
            "data_base64" => base64.replace(value).is_none(),
            name => {
                if let Some(value) = attribute(name, value)? {
                    draft.attribute(name, value)?;
                }
                continue;
            }
        };
        if !is_first {
            return Err(invalid(&name, "it is there twice"));
        }
    }
    let payload = payload(&mut draft, data, base64)?;
    draft.finish(payload, reading)
}

/// The events of a batch, each as it is written.
pub(in crate::http::form) fn events(body: &[u8]) -> Result<Vec<&[u8]>, Problem> {
    let Events(events) = serde_json::from_slice(body).map_err(|e| {
        Problem::new(
            ProblemCode::MalformedBody,
            format!("it is no batch of events in JSON: {e}"),
        )
    })?;
    Ok(events.iter().map(|event| event.get().as_bytes()).collect())
}

/// An attribute's value in its canonical form as text; none for `null`.
fn attribute(name: &str, value: &RawValue) -> Result<Option<String>, Problem> {
    let text = value.get();
    let is_string_only = STRINGS.contains(&name);
    match text.as_bytes()[0] {
        b'n' => return Ok(None),
        b'"' => return string(name, value).map(Some),
        b't' | b'f' if !is_string_only => return Ok(Some(text.to_owned())),
        b'-' | b'0'..=b'9' if !is_string_only => {
            if let Ok(number) = text.parse::<i32>() {
                return Ok(Some(number.to_string()));
            }
        }
        _ => {}
    }
    Err(invalid(
        name,
        if is_string_only {
            "it must be a string"
        } else {
            "it must be a string, true or false, or an integer of 32 bits"
        },
    ))
}

fn payload(
    draft: &mut Draft,
    data: Option<&RawValue>,
    base64: Option<&RawValue>,
) -> Result<Bytes, Problem> {
    let is_null = |value: &&RawValue| value.get() == "null";
    let base64 = base64.filter(|value| !is_null(value));
    let is_json = draft.content_type().map(is_json);
    let data = data.filter(|value| !is_null(value) || is_json == Some(true));
    match (data, base64) {
        (None, None) => Ok(Bytes::new()),
        (Some(_), Some(_)) => Err(invalid("data_base64", "the event has `data` too")),
        (None, Some(base64)) => match BASE64.decode(string("data_base64", base64)?) {
            Ok(bytes) => Ok(bytes.into()),
            Err(e) => Err(invalid("data_base64", &format!("it is no base64: {e}"))),
        },
        (Some(data), None) if is_json == Some(false) => {
            if !data.get().starts_with('"') {
                let why = "it must be a string, since `datacontenttype` is no JSON";
                return Err(invalid("data", why));
            }
            string("data", data).map(Bytes::from)
        }
        (Some(data), None) => {
            if is_json.is_none() {
                draft.attribute("datacontenttype", wharf_api::JSON.to_owned())?;
            }
            // Not a slice of the body, which would stay in memory whole.
            Ok(Bytes::copy_from_slice(data.get().as_bytes()))
        }
    }
}

fn string(name: &str, value: &RawValue) -> Result<String, Problem> {
    serde_json::from_str(value.get())
        .map_err(|_| invalid(name, "it must be a string whose escapes are Unicode"))
}

/// Whether a media type is JSON: `*/json` or `*/*+json`.
fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    let subtype = essence.split_once('/').map_or("", |(_, subtype)| subtype);
    let subtype = subtype.to_ascii_lowercase();
    subtype == "json" || subtype.ends_with("+json")
}

/// The members of an object, no more than a message can have.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    if members.len() == ATTRIBUTES_COUNT_MAX + MEMBERS_MORE {
                        return Err(A::Error::custom(format_args!(
                            "it has more than {ATTRIBUTES_COUNT_MAX} attributes"
                        )));
                    }
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

/// The values of an array, no more than a batch can have: a reference to each takes more than the value.
struct Events<'a>(Vec<&'a RawValue>);

impl<'de> Deserialize<'de> for Events<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Array;

        impl<'de> Visitor<'de> for Array {
            type Value = Events<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut events = Vec::new();
                while let Some(event) = seq.next_element()? {
                    if events.len() == BATCH_MESSAGES_MAX {
                        return Err(A::Error::custom(format_args!(
                            "it has more than {BATCH_MESSAGES_MAX} events"
                        )));
                    }
                    events.push(event);
                }
                Ok(Events(events))
            }
        }

        deserializer.deserialize_seq(Array)
    }
}
