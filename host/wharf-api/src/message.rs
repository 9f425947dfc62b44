//! Messages on the wire.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::problem::Problem;

/// One message in the JSON form. Exactly one of the three payload fields, or none for an empty payload.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MessageInput {
    /// `[A-Za-z0-9_-]{1,64}`; made as a ULID where it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What routes match on.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "unique"
    )]
    pub attributes: BTreeMap<String, String>,
    /// Header fields, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// Short for a `content-type` header.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// The payload as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<String>,
    /// The payload as standard base64 with padding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload_base64: Option<String>,
    /// The payload as JSON: its exact source bytes are kept. Sets `content_type` to `application/json` where
    /// none is given.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "present"
    )]
    pub payload_json: Option<Box<RawValue>>,
    /// Messages with the same key keep their order where a channel asks for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ordering_key: Option<String>,
    /// The sender's own numbering over everything it sends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence_global: Option<u64>,
    /// The sender's own numbering within the ordering key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence_key: Option<u64>,
    /// Not to be sent before: RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deliver_after: Option<String>,
    /// Not to be sent after: RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// Its class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    /// W3C trace context of the sender.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

/// A field that is there, also where its value is `null`: that is a payload like any other.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(deserializer).map(Some)
}

/// A map whose keys are unique; serde by itself would keep the last of two.
fn unique<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<String, String>, D::Error> {
    struct Unique;

    impl<'de> Visitor<'de> for Unique {
        type Value = BTreeMap<String, String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a map of texts")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut unique = BTreeMap::new();
            while let Some((key, value)) = map.next_entry::<String, String>()? {
                match unique.entry(key) {
                    Entry::Vacant(entry) => drop(entry.insert(value)),
                    Entry::Occupied(entry) => {
                        return Err(A::Error::custom(format!(
                            "the key {:?} is there twice",
                            entry.key()
                        )));
                    }
                }
            }
            Ok(unique)
        }
    }

    deserializer.deserialize_map(Unique)
}

/// A class of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// Before the others.
    High,
    /// The usual one.
    Normal,
    /// After the others.
    Low,
}

/// The answer to an accepted message: it is on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendAnswer {
    /// The message's id.
    pub id: String,
    /// Whether the same message was accepted before; then nothing new was made.
    pub duplicate: bool,
    /// `accepted`, or `unroutable` where no route matched: kept, listed and never dropped.
    pub status: String,
    /// How many deliveries it has.
    pub deliveries: u32,
}

/// The answer to one line of a batch, in the order of the lines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchLine {
    /// The line, from 1.
    pub line: u64,
    /// 202, or the problem's status.
    pub status: u16,
    /// Where it was accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<SendAnswer>,
    /// Where it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

/// A message and where it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MessageView {
    /// Its id.
    pub id: String,
    /// `unroutable` or `not-wanted`; of a message with deliveries the least advanced of their statuses.
    pub status: String,
    /// When it was accepted.
    pub accepted_at: String,
    /// Its attributes.
    pub attributes: BTreeMap<String, String>,
    /// Its header fields.
    pub headers: Vec<(String, String)>,
    /// Size of its payload, in bytes.
    pub payload_bytes: u64,
    /// Its ordering key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ordering_key: Option<String>,
    /// Not to be sent before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deliver_after: Option<String>,
    /// Not to be sent after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// Its deliveries.
    pub deliveries: Vec<DeliveryView>,
    /// Deliveries that a failover may make: each stands in for the one whose number comes before its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub in_reserve: Vec<ReserveView>,
}

/// A delivery that was planned and not made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReserveView {
    /// Its number.
    pub id: u64,
    /// Its channel.
    pub channel: String,
    /// The route that planned it.
    pub route: String,
    /// After how many definite failures of the one before it its turn comes.
    pub after_failures: u32,
}

/// A delivery and where it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeliveryView {
    /// Its number.
    pub id: u64,
    /// Its channel.
    pub channel: String,
    /// The route that made it.
    pub route: String,
    /// Its status; `sending` while an attempt runs.
    pub status: String,
    /// Attempts made.
    pub attempts: u32,
    /// Where what is stored of it goes: scheme, host and port. Where nothing is, its channel decides when it is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lane: Option<String>,
    /// When it is looked at again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<String>,
    /// Whether it is to be cancelled: what the attempt that runs comes to counts, but it is not tried again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cancelling: bool,
}

/// Whether the server lives, or is ready.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Health {
    /// `ok`, `degraded`, or `failed`.
    pub status: String,
    /// What is wrong, one sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Named>,
}

/// Something and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// Such as `plugin x` or `channel a`.
    pub name: String,
    /// One sentence.
    pub reason: String,
}
