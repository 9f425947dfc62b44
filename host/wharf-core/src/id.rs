//! Identifiers. Each is a type of its own, so that one is never passed for another.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Longest message id, in bytes.
pub const MESSAGE_ID_LEN_MAX: usize = 64;

/// A message's id: `[A-Za-z0-9_-]{1,64}`, given by the caller or made as a ULID.
///
/// No `.` may occur: Standard Webhooks signs `{id}.{timestamp}.{body}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MessageId(Box<str>);

/// Why a text is no [`MessageId`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Nothing there.
    #[error("id is empty: it takes 1 to 64 of A-Z a-z 0-9 _ -")]
    Empty,
    /// Longer than 64 bytes.
    #[error("id has {0} bytes: it takes 1 to 64 of A-Z a-z 0-9 _ -")]
    TooLong(usize),
    /// A character outside the alphabet.
    #[error("id has {0:?}: it takes 1 to 64 of A-Z a-z 0-9 _ -")]
    BadCharacter(char),
}

impl MessageId {
    /// Checks the text.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        if text.is_empty() {
            return Err(IdError::Empty);
        }
        if let Some(bad) = text
            .chars()
            .find(|c| !(c.is_ascii_alphanumeric() || *c == '_' || *c == '-'))
        {
            return Err(IdError::BadCharacter(bad));
        }
        if text.len() > MESSAGE_ID_LEN_MAX {
            return Err(IdError::TooLong(text.len()));
        }
        Ok(Self(text.into()))
    }

    /// The id's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for MessageId {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        Self::parse(&text)
    }
}

impl From<MessageId> for String {
    fn from(id: MessageId) -> Self {
        id.0.into()
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A channel's name, as configured. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelName(Arc<str>);

impl ChannelName {
    /// Wraps a name that the configuration has checked, or that comes from the store.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// The name's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for ChannelName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ChannelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// A message's number in its store: rises in the order of acceptance, from 1. Below 2^48.
    MessageSeq
}
number! {
    /// A journal row's number: rises without repeating, from 1.
    Cursor
}
number! {
    /// A lease's fencing number: rises with every claim of a process; what a stale settle is known by.
    Fence
}
number! {
    /// A delivery's number: its message's number and its place within the message, `seq << 16 | place`.
    DeliveryId
}

impl DeliveryId {
    /// The delivery at `place` of message `seq`.
    #[must_use]
    pub fn new(seq: MessageSeq, place: u16) -> Self {
        debug_assert!(seq.0 < 1 << 48, "message numbers stay below 2^48");
        Self(seq.0 << 16 | u64::from(place))
    }

    /// The message that it delivers.
    #[must_use]
    pub fn message(self) -> MessageSeq {
        MessageSeq(self.0 >> 16)
    }

    /// Its place among the message's deliveries, from 0.
    #[must_use]
    pub fn place(self) -> u16 {
        (self.0 & 0xffff) as u16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_1_to_64_of_its_alphabet() {
        assert!(MessageId::parse("01JD-a_Z").is_ok());
        assert!(MessageId::parse(&"a".repeat(64)).is_ok());
        assert_eq!(MessageId::parse(""), Err(IdError::Empty));
        assert_eq!(MessageId::parse(&"a".repeat(65)), Err(IdError::TooLong(65)));
        assert_eq!(MessageId::parse("a.b"), Err(IdError::BadCharacter('.')));
        assert_eq!(MessageId::parse("é"), Err(IdError::BadCharacter('é')));
    }

    #[test]
    fn a_delivery_id_holds_message_and_place() {
        let id = DeliveryId::new(MessageSeq(77), 3);
        assert_eq!((id.message(), id.place()), (MessageSeq(77), 3));
    }
}
