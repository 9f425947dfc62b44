//! The forms that a message comes in.
//!
//! | `content-type` | form |
//! | --- | --- |
//! | any, beside `ce-` headers | a CloudEvent in binary mode: `event::binary` |
//! | `application/json` | the JSON form: `json` |
//! | `application/msgpack`, `application/vnd.msgpack`, `application/x-msgpack` | the envelope: `envelope` |
//! | `application/cloudevents+json` | a CloudEvent in structured mode, whatever headers there are: `event::structured` |
//!
//! and of a batch:
//!
//! | `content-type` | form |
//! | --- | --- |
//! | `application/x-ndjson` | the JSON form, one a line |
//! | `application/cloudevents-batch+json` | CloudEvents in a JSON array; the first is line 1 |

mod beside;
mod check;
mod envelope;
mod event;
mod json;

use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use wharf_api::{FIRST_LINE, JSON, NDJSON, Problem, ProblemCode};
use wharf_core::{Message, MessageId, TimeMs};

use super::identity::{Identity, MessageIds};
use crate::clock;
use crate::limits::{
    BATCH_MESSAGES_MAX, ENVELOPE_OVERHEAD_BYTES, JSON_OVERHEAD_BYTES, JSON_OVERHEAD_FACTOR,
};

/// What a form is read with.
pub(super) struct Reading<'a> {
    pub(super) identity: &'a Identity<'a>,
    /// The line that it is within a batch.
    pub(super) line: Option<u64>,
    pub(super) now: TimeMs,
    pub(super) payload_bytes_max: usize,
}

impl Reading<'_> {
    /// See [`Identity::own`].
    fn own_id(&self, id: MessageId, field: &str) -> Result<MessageId, Problem> {
        self.identity.own(id, field, self.line)
    }

    /// See [`Identity::given`].
    fn given_id(&self) -> Result<MessageId, Problem> {
        self.identity.given(self.line)
    }
}

/// Reads a message in the JSON form as a request without an idempotency key would be read.
pub(crate) fn read_message(body: &[u8], payload_bytes_max: usize) -> Result<Message, Problem> {
    let ids = MessageIds::new();
    let reading = Reading {
        identity: &Identity::without_key(&ids),
        line: None,
        now: clock::now(),
        payload_bytes_max,
    };
    json::read(body, &reading)
}

/// The form of one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    Envelope,
    BinaryEvent,
    StructuredEvent,
}

impl Form {
    /// What the headers say. Those of ours that the form does not read are refused.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let given = content_type(headers);
        let essence = essence(given);
        let is = |media_type: &str| essence.eq_ignore_ascii_case(media_type);
        let form = if is(event::STRUCTURED) {
            Self::StructuredEvent
        } else if begins_with(essence, event::MEDIA_TYPES) {
            return Err(not_read(given, &Self::MEDIA_TYPES));
        } else if has_prefix(headers, event::binary::PREFIX) {
            Self::BinaryEvent
        } else if is(JSON) {
            Self::Json
        } else if envelope::MEDIA_TYPES.into_iter().any(is) {
            return Ok(Self::Envelope);
        } else {
            return Err(not_read(given, &Self::MEDIA_TYPES));
        };
        beside::refuse(headers, "")?;
        Ok(form)
    }

    const MEDIA_TYPES: [&str; 3] = [JSON, event::STRUCTURED, envelope::MEDIA_TYPES[0]];

    /// How large a body can be that has a payload of this size.
    pub(super) fn body_bytes_max(self, payload_bytes_max: usize) -> usize {
        match self {
            Self::Json | Self::StructuredEvent => {
                payload_bytes_max * JSON_OVERHEAD_FACTOR + JSON_OVERHEAD_BYTES
            }
            Self::Envelope => payload_bytes_max + ENVELOPE_OVERHEAD_BYTES,
            Self::BinaryEvent => payload_bytes_max,
        }
    }

    pub(super) fn read(
        self,
        headers: &HeaderMap,
        body: Bytes,
        reading: &Reading<'_>,
    ) -> Result<Message, Problem> {
        match self {
            Self::Json => json::read(&body, reading),
            Self::Envelope => envelope::read(headers, &body, reading),
            Self::BinaryEvent => event::binary::read(headers, body, reading),
            Self::StructuredEvent => event::structured::read(&body, reading),
        }
    }
}

/// The form of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BatchForm {
    Lines,
    Events,
}

impl BatchForm {
    /// What the headers say. Those of ours that a batch does not read are refused.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let given = content_type(headers);
        let is = |media_type: &str| essence(given).eq_ignore_ascii_case(media_type);
        let form = if is(NDJSON) {
            Self::Lines
        } else if is(event::BATCH) {
            Self::Events
        } else {
            return Err(not_read(given, &[NDJSON, event::BATCH]));
        };
        beside::refuse(headers, FIRST_LINE)?;
        Ok(form)
    }

    /// The messages as they are written, with their place from 0.
    pub(super) fn split(self, body: &[u8]) -> Result<Vec<(u64, &[u8])>, Problem> {
        let entries: Vec<_> = match self {
            Self::Lines => {
                let lines = (0..).zip(body.split(|byte| *byte == b'\n'));
                lines
                    .filter(|(_, line)| !line.trim_ascii().is_empty())
                    .take(BATCH_MESSAGES_MAX + 1)
                    .collect()
            }
            Self::Events => (0..).zip(event::structured::events(body)?).collect(),
        };
        if entries.len() > BATCH_MESSAGES_MAX {
            return Err(Problem::new(
                ProblemCode::PayloadTooLarge,
                format!("a batch takes {BATCH_MESSAGES_MAX} messages; nothing of it was stored"),
            ));
        }
        Ok(entries)
    }

    pub(super) fn read(self, entry: &[u8], reading: &Reading<'_>) -> Result<Message, Problem> {
        match self {
            Self::Lines => json::read(entry, reading),
            Self::Events => event::structured::read(entry, reading),
        }
    }
}

/// Refuses what is said to be something else than JSON, or to be nothing.
pub(super) fn only_json(headers: &HeaderMap) -> Result<(), Problem> {
    let given = content_type(headers);
    if essence(given).eq_ignore_ascii_case(JSON) {
        return Ok(());
    }
    Err(not_read(given, &[JSON]))
}

fn content_type(headers: &HeaderMap) -> &str {
    let value = headers.get(CONTENT_TYPE);
    value.and_then(|value| value.to_str().ok()).unwrap_or("")
}

/// The type and subtype, without parameters.
fn essence(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or("").trim()
}

fn begins_with(text: &str, start: &str) -> bool {
    let begin = text.get(..start.len());
    begin.is_some_and(|begin| begin.eq_ignore_ascii_case(start))
}

fn has_prefix(headers: &HeaderMap, prefix: &str) -> bool {
    headers.keys().any(|name| name.as_str().starts_with(prefix))
}

fn not_read(given: &str, read: &[&str]) -> Problem {
    let read = read.join(", ");
    let detail = if given.is_empty() {
        format!("say what the body is: content-type is one of {read}")
    } else {
        format!("content-type {given:?} is not read here; send one of {read}")
    };
    Problem::new(ProblemCode::UnsupportedMediaType, detail).field("content-type")
}

#[cfg(test)]
pub(super) mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;
    use crate::http::identity::MessageIds;

    /// Reads one message as a request without an idempotency key has it, on a server that takes 1 KiB.
    pub(super) fn read_alone<T>(read: impl FnOnce(&Reading<'_>) -> T) -> T {
        read(&Reading {
            identity: &Identity::without_key(&MessageIds::new()),
            line: None,
            now: TimeMs(1),
            payload_bytes_max: 1 << 10,
        })
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        });
        pairs.collect()
    }

    #[test]
    fn headers_decide_the_form() {
        let of = |pairs: &[(&'static str, &'static str)]| {
            Form::of(&headers(pairs)).map_err(|problem| (problem.code, problem.field.unwrap()))
        };
        let event = ("ce-id", "1");
        let by_type = |media_type: &'static str| of(&[("content-type", media_type)]);
        for json in ["application/json", "Application/JSON; charset=utf-8"] {
            assert_eq!(by_type(json), Ok(Form::Json));
            assert_eq!(of(&[("content-type", json), event]), Ok(Form::BinaryEvent));
        }
        for envelope in envelope::MEDIA_TYPES {
            assert_eq!(by_type(envelope), Ok(Form::Envelope));
            let named = [("content-type", envelope), ("wharf-id", "m1")];
            assert_eq!(of(&named), Ok(Form::Envelope));
        }
        assert_eq!(of(&[event]), Ok(Form::BinaryEvent));
        assert_eq!(
            of(&[event, ("content-type", "text/plain")]),
            Ok(Form::BinaryEvent)
        );
        let structured = "application/CloudEvents+json; charset=utf-8";
        assert_eq!(by_type(structured), Ok(Form::StructuredEvent));
        let both = [("content-type", structured), event];
        assert_eq!(of(&both), Ok(Form::StructuredEvent));

        let unsupported = Err((
            "unsupported-media-type".to_owned(),
            "content-type".to_owned(),
        ));
        assert_eq!(of(&[]), unsupported);
        for other in [
            "text/plain",
            "application/jsonx",
            "application/cloudevents+xml",
            "application/cloudevents",
            event::BATCH,
            NDJSON,
        ] {
            assert_eq!(by_type(other), unsupported, "{other}");
        }
        let of_event = [("content-type", "application/cloudevents+xml"), event];
        assert_eq!(of(&of_event), unsupported);
        for other in [
            "wharf-id",
            "wharf-attribute-a",
            "wharf-first-line",
            "wharf-x",
        ] {
            let refused = Err(("unknown-field".to_owned(), other.to_owned()));
            assert_eq!(of(&[("content-type", JSON), (other, "1")]), refused);
            assert_eq!(of(&[event, (other, "1")]), refused);
        }
    }

    #[test]
    fn headers_decide_the_form_of_a_batch() {
        let of = |media_type: &'static str, more: &'static str| {
            let given = headers(&[("content-type", media_type), (more, "1")]);
            BatchForm::of(&given).map_err(|problem| problem.code)
        };
        assert_eq!(of(NDJSON, "x"), Ok(BatchForm::Lines));
        assert_eq!(of(event::BATCH, FIRST_LINE), Ok(BatchForm::Events));
        for other in [JSON, event::STRUCTURED, "application/msgpack", ""] {
            assert_eq!(of(other, "x"), Err("unsupported-media-type".to_owned()));
        }
        assert_eq!(of(NDJSON, "wharf-id"), Err("unknown-field".to_owned()));
    }
}
