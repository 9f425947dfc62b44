//! What is known of an id: the entries of the id index, as its tables hold them.

use wharf_core::message::ContentHash;
use wharf_core::{HashKey, MessageId, MessageSeq};

/// 128 bits of a message id, in the order that runs are sorted by: that of the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct IdHash(pub(crate) u128);

impl IdHash {
    pub(crate) const MIN: Self = Self(0);
    pub(crate) const MAX: Self = Self(u128::MAX);

    pub(crate) fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(bytes))
    }

    pub(crate) fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }
}

impl IdHash {
    /// Of an id: no two of a store share one, short of 2^64 of them, and nobody outside can find two that do.
    pub(crate) fn new(key: &HashKey, id: &MessageId) -> Self {
        Self::from_bytes(key.hash(id.as_str().as_bytes()))
    }
}

/// What is known of an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) content: ContentHash,
    pub(crate) seq: MessageSeq,
}

/// An id, and what is known of it.
pub(crate) type Keyed = (IdHash, Entry);

/// Bytes of an entry in a run.
pub(crate) const ENTRY_BYTES: usize = 40;

/// `id hash 16 bytes | content hash 16 bytes | message number u64 LE`
pub(crate) fn encode((hash, entry): Keyed) -> [u8; ENTRY_BYTES] {
    let mut bytes = [0; ENTRY_BYTES];
    bytes[..16].copy_from_slice(&hash.to_bytes());
    bytes[16..32].copy_from_slice(&entry.content.0);
    bytes[32..].copy_from_slice(&entry.seq.0.to_le_bytes());
    bytes
}

pub(crate) fn decode(bytes: &[u8; ENTRY_BYTES]) -> Keyed {
    let (mut hash, mut content, mut seq) = ([0; 16], [0; 16], [0; 8]);
    hash.copy_from_slice(&bytes[..16]);
    content.copy_from_slice(&bytes[16..32]);
    seq.copy_from_slice(&bytes[32..]);
    let entry = Entry {
        content: ContentHash(content),
        seq: MessageSeq(u64::from_le_bytes(seq)),
    };
    (IdHash::from_bytes(hash), entry)
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(crate) fn keyed() -> impl Strategy<Value = Keyed> {
        (any::<u128>(), any::<[u8; 16]>(), any::<u64>()).prop_map(|(hash, content, seq)| {
            let (content, seq) = (ContentHash(content), MessageSeq(seq));
            (IdHash(hash), Entry { content, seq })
        })
    }

    proptest! {
        #[test]
        fn entries_round_trip(entry in keyed()) {
            prop_assert_eq!(decode(&encode(entry)), entry);
        }

        #[test]
        fn hashes_are_in_the_order_of_their_bytes(a: u128, b: u128) {
            let (a, b) = (IdHash(a), IdHash(b));
            prop_assert_eq!(a.cmp(&b), a.to_bytes().cmp(&b.to_bytes()));
        }
    }
}
