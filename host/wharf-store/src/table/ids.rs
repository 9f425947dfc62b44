//! `ids`: which messages were seen, for de-duplication and for look-up by id.

use redb::TableDefinition;
use wharf_core::message::ContentHash;
use wharf_core::{MessageId, MessageSeq};

use crate::error::Malformed;

/// Key: [`IdKey::hash`] of the message id. Value: [`Entry`].
///
/// A random-keyed tree on the hot path, which grows slow with the number of ids: to be replaced by sorted runs
/// behind the same functions.
pub(crate) const TABLE: TableDefinition<'static, &'static [u8; 16], &'static [u8; 25]> =
    TableDefinition::new("ids");

const VERSION: u8 = 1;

/// What is known of an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) content: ContentHash,
    pub(crate) seq: MessageSeq,
}

impl Entry {
    /// `version u8 | content hash 16 bytes | message number u64 LE`
    pub(crate) fn encode(self) -> [u8; 25] {
        let mut value = [VERSION; 25];
        value[1..17].copy_from_slice(&self.content.0);
        value[17..].copy_from_slice(&self.seq.0.to_le_bytes());
        value
    }

    pub(crate) fn decode(value: &[u8; 25]) -> Result<Self, Malformed> {
        if value[0] != VERSION {
            return Err(Malformed("the version of an id entry is unknown"));
        }
        let (mut content, mut seq) = ([0; 16], [0; 8]);
        content.copy_from_slice(&value[1..17]);
        seq.copy_from_slice(&value[17..]);
        Ok(Self {
            content: ContentHash(content),
            seq: MessageSeq(u64::from_le_bytes(seq)),
        })
    }
}

/// The secret of this store that ids are hashed with.
#[derive(Clone)]
pub(crate) struct IdKey(pub(crate) [u8; 32]);

impl IdKey {
    /// First 128 bits of the keyed BLAKE3 hash: no two ids of a store share it, short of 2^64 of them, and nobody
    /// outside can find two that do.
    pub(crate) fn hash(&self, id: &MessageId) -> [u8; 16] {
        let hash = blake3::keyed_hash(&self.0, id.as_str().as_bytes());
        let mut first = [0; 16];
        first.copy_from_slice(&hash.as_bytes()[..16]);
        first
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn entries_round_trip(content: [u8; 16], seq: u64) {
            let entry = Entry { content: ContentHash(content), seq: MessageSeq(seq) };
            prop_assert_eq!(Entry::decode(&entry.encode()).unwrap(), entry);
        }
    }
}
