//! A CloudEvent, in either of its modes over HTTP, as a message.
//!
//! The attributes of an event become those of the message under their own names, as they are written: `id`, `source`,
//! `type`, `subject`, `time`, `dataschema` and every extension. `datacontenttype` becomes the header `content-type`, the
//! data the payload, and `specversion`, which is always 1.0, goes without saying. So the `cloudevents` plugin can make the
//! same event of the message again.
//!
//! Some attributes say what a message has a field for; they are both:
//!
//! | attribute | field |
//! | --- | --- |
//! | `source` and `id` | the message's id: `ce_` and a hash of both, which are what tells events apart |
//! | `partitionkey` | the ordering key |
//! | `sequence` | the sequence within the key, where it is a number of 64 bits |
//! | `expirytime` | when it expires |
//! | `traceparent` | the trace context |
//!
//! # Limits of the choice
//!
//! Attributes of a message are text, so an extension's type is lost: the number 5 and the text "5" are the same. All of
//! them are content, `traceparent` included: it is the trace that the event was made in, and stays as it is when the event
//! is sent again.

mod attribute;
pub(super) mod binary;
mod header;
pub(super) mod structured;

use std::collections::BTreeMap;

use axum::body::Bytes;
use wharf_api::{Problem, ProblemCode};
use wharf_core::{Message, limits, message};

use super::Reading;
use super::check::{self, invalid};
use crate::http::identity;

/// One event as a JSON object.
pub(super) const STRUCTURED: &str = wharf_api::CLOUDEVENT_JSON;
/// A JSON array of them.
pub(super) const BATCH: &str = "application/cloudevents-batch+json";
/// What every content type of an event begins with.
pub(super) const MEDIA_TYPES: &str = "application/cloudevents";

/// How an event comes, which decides what its parts are called in a problem.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Binary,
    Structured,
}

/// An event while its attributes are read.
struct Draft {
    mode: Mode,
    attributes: BTreeMap<String, String>,
    content_type: Option<String>,
    has_version: bool,
}

impl Draft {
    fn new(mode: Mode) -> Self {
        Self {
            mode,
            attributes: BTreeMap::new(),
            content_type: None,
            has_version: false,
        }
    }

    fn content_type(&self) -> Option<&str> {
        self.content_type.as_deref()
    }

    /// What the sender calls the attribute.
    fn field(&self, name: &str) -> String {
        match (self.mode, name) {
            (Mode::Binary, "datacontenttype") => "content-type".to_owned(),
            (Mode::Binary, name) => format!("{}{name}", binary::PREFIX),
            (Mode::Structured, name) => name.to_owned(),
        }
    }

    fn attribute(&mut self, name: &str, value: String) -> Result<(), Problem> {
        if !attribute::is_name(name) {
            return Err(invalid(
                &self.field(name),
                "the name of an attribute has lower-case letters and digits, and is not `data`",
            ));
        }
        attribute::check(name, &value)
            .map_err(|what| invalid(&self.field(name), &format!("it must be {what}")))?;
        let is_first = match name {
            "specversion" => !std::mem::replace(&mut self.has_version, true),
            "datacontenttype" => self.content_type.replace(value).is_none(),
            name => self.attributes.insert(name.to_owned(), value).is_none(),
        };
        if is_first {
            Ok(())
        } else {
            Err(invalid(&self.field(name), "it is there twice"))
        }
    }

    fn finish(self, payload: Bytes, reading: &Reading<'_>) -> Result<Message, Problem> {
        let required = |name: &str, has: bool| match has {
            true => Ok(()),
            false => Err(invalid(&self.field(name), "it is missing")),
        };
        required("specversion", self.has_version)?;
        for name in ["id", "source", "type"] {
            required(name, self.attributes.contains_key(name))?;
        }
        if self.attributes.len() > limits::ATTRIBUTES_COUNT_MAX {
            return Err(Problem::new(
                ProblemCode::InvalidField,
                format!(
                    "the event has {} attributes, the most is {}",
                    self.attributes.len(),
                    limits::ATTRIBUTES_COUNT_MAX
                ),
            ));
        }
        let data = match self.mode {
            Mode::Binary => "body",
            Mode::Structured => "data",
        };
        check::payload_size(payload.len(), data, reading.payload_bytes_max)?;
        let get = |name: &str| self.attributes.get(name).map(String::as_str);
        let ordering_key = get("partitionkey");
        if let Some(key) = ordering_key {
            check::ordering_key(key, &self.field("partitionkey"))?;
        }
        let id = identity::of_event(&self.attributes["source"], &self.attributes["id"]);
        let traceparent = get("traceparent").map(str::to_owned);
        Ok(Message {
            id: reading.own_id(id, "source and id")?,
            accepted_at: reading.now,
            headers: self
                .content_type()
                .map(|value| ("content-type".to_owned(), value.to_owned()))
                .into_iter()
                .collect(),
            payload,
            ordering_key: ordering_key.map(str::to_owned),
            sequence_global: None,
            sequence_key: get("sequence").and_then(number),
            deliver_after: None,
            expires_at: check::time(&self.field("expirytime"), get("expirytime"))?,
            priority: message::Priority::Normal,
            // One that cannot be used is no reason to refuse the event; it stays among the attributes.
            traceparent: check::traceparent(traceparent).unwrap_or_default(),
            attributes: self.attributes.into_iter().collect(),
        })
    }
}

fn number(text: &str) -> Option<u64> {
    // `parse` alone would take a sign.
    let is_plain = text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| is_plain)
}

#[cfg(test)]
mod tests;
