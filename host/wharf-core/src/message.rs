//! The message: what a caller hands over, and what wharf keeps.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::hash::HashKey;
use crate::id::MessageId;
use crate::journal::Attempt;
use crate::time::TimeMs;

/// Names and values, in order.
pub type Pairs = Vec<(String, String)>;

/// Which of several ready messages goes first.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Priority {
    /// Before the others.
    High = 0,
    /// The usual class.
    #[default]
    Normal = 1,
    /// After the others.
    Low = 2,
}

/// A message. Immutable once accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The caller's id, or a ULID.
    pub id: MessageId,
    /// When it was accepted, by the host's clock. Not part of its content.
    pub accepted_at: TimeMs,
    /// What routes match on: sorted by key, keys unique.
    pub attributes: Pairs,
    /// Header fields in the caller's order; `content-type` is one of them.
    pub headers: Pairs,
    /// The exact bytes.
    pub payload: Bytes,
    /// Messages with the same key keep their order where a channel asks for it.
    pub ordering_key: Option<String>,
    /// The caller's own numbering over everything it sends.
    pub sequence_global: Option<u64>,
    /// The caller's own numbering within the ordering key.
    pub sequence_key: Option<u64>,
    /// Not to be sent before.
    pub deliver_after: Option<TimeMs>,
    /// Not to be sent after.
    pub expires_at: Option<TimeMs>,
    /// Its class.
    pub priority: Priority,
    /// W3C trace context of the producer. Not part of the content: a resend carries another one.
    pub traceparent: Option<String>,
}

/// 128 bits of a message's content: equal for equal content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ContentHash(pub [u8; 16]);

impl Message {
    /// Hash of the canonical fields as they were sent: everything but the id, the time of acceptance and the
    /// trace context.
    #[must_use]
    pub fn content_hash(&self, key: &HashKey) -> ContentHash {
        let mut hasher = key.hasher();
        let mut part = |bytes: &[u8]| hasher.part(bytes);
        for pairs in [&self.attributes, &self.headers] {
            part(&(pairs.len() as u64).to_le_bytes());
            for (name, value) in pairs {
                part(name.as_bytes());
                part(value.as_bytes());
            }
        }
        part(&self.payload);
        match &self.ordering_key {
            Some(key) => part(key.as_bytes()),
            None => part(&[0xff]),
        }
        for number in [
            self.sequence_global,
            self.sequence_key,
            self.deliver_after.map(|t| t.0),
            self.expires_at.map(|t| t.0),
        ] {
            match number {
                Some(n) => part(&n.to_le_bytes()),
                None => part(&[]),
            }
        }
        part(&[self.priority as u8]);
        ContentHash(hasher.finish())
    }

    /// The value of an attribute.
    #[must_use]
    pub fn attribute(&self, key: &str) -> Option<&str> {
        let at = self
            .attributes
            .binary_search_by(|(k, _)| k.as_str().cmp(key))
            .ok()?;
        Some(&self.attributes[at].1)
    }

    /// About how much memory it takes, for the bound on what is resident.
    #[must_use]
    pub fn resident_bytes(&self) -> usize {
        let pairs = |pairs: &Pairs| {
            pairs
                .iter()
                .map(|(name, value)| name.len() + value.len() + 48)
                .sum::<usize>()
        };
        size_of::<Self>() + self.payload.len() + pairs(&self.attributes) + pairs(&self.headers)
    }
}

/// What goes on the wire: what the last converter gave. Stored by the first settle that is not final, or where it is put
/// off before it was sent, and sent again as it is by later attempts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WireForm {
    /// Where it goes; none: the channel's configuration decides.
    pub endpoint: Option<String>,
    /// Header fields, in order.
    pub headers: Pairs,
    /// The exact bytes.
    pub body: Vec<u8>,
    /// The attempt that it was made for, as far as that came, where it was put off and nothing is recorded of it yet.
    pub begun: Option<Box<Attempt>>,
}
