//! `id_log`: the ids of each commit, until they are in a run.

use wharf_core::MessageSeq;
use wharf_core::message::ContentHash;

use super::id_entry::{Entry, IdHash, Keyed};
use super::{Numbered, blob};
use crate::error::Malformed;

/// Key: number of the commit's first new message. Value: its ids in the order of their messages, which follow
/// without a gap: `version u8 | (id hash 16 bytes, content hash 16 bytes) × messages`.
///
/// One value a commit, appended at the end: the one write of the id index that every accept pays for. The table is
/// emptied when its ids go into a run.
pub(crate) const TABLE: Numbered = Numbered::new("id_log");

const VERSION: u8 = 1;
const PAIR_BYTES: usize = 32;

/// How many of so many ids go into one value: see [`blob::cut`].
pub(crate) fn cut(count: usize) -> usize {
    let ends: Vec<_> = (1..=count).map(|count| count * PAIR_BYTES).collect();
    blob::cut(&ends)
}

/// Encodes the ids of consecutive messages.
pub(crate) fn encode(ids: &[Keyed]) -> Vec<u8> {
    let mut value = Vec::with_capacity(1 + PAIR_BYTES * ids.len());
    value.push(VERSION);
    for (hash, entry) in ids {
        value.extend_from_slice(&hash.to_bytes());
        value.extend_from_slice(&entry.content.0);
    }
    value
}

/// The ids of a value whose first message has this number.
pub(crate) fn decode(
    first: MessageSeq,
    value: &[u8],
) -> Result<impl Iterator<Item = Keyed>, Malformed> {
    let pairs = match value.split_first() {
        Some((&VERSION, pairs)) => pairs.as_chunks::<PAIR_BYTES>(),
        Some(_) => return Err(Malformed("the version of an id log is unknown")),
        None => return Err(Malformed("an id log is empty")),
    };
    let (pairs, []) = pairs else {
        return Err(Malformed("an id log ends early"));
    };
    Ok((first.0..).zip(pairs).map(|(seq, pair)| {
        let (mut hash, mut content) = ([0; 16], [0; 16]);
        hash.copy_from_slice(&pair[..16]);
        content.copy_from_slice(&pair[16..]);
        let entry = Entry {
            content: ContentHash(content),
            seq: MessageSeq(seq),
        };
        (IdHash::from_bytes(hash), entry)
    }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::id_entry::tests::keyed;
    use super::*;

    proptest! {
        #[test]
        fn logs_round_trip(mut ids in prop::collection::vec(keyed(), 0..20), first in 0..u64::MAX / 2) {
            for (seq, (_, entry)) in (first..).zip(&mut ids) {
                entry.seq = MessageSeq(seq);
            }
            let decoded: Vec<_> = decode(MessageSeq(first), &encode(&ids)).unwrap().collect();
            prop_assert_eq!(decoded, ids);
        }

        #[test]
        fn broken_logs_are_refused(value: Vec<u8>) {
            if let Ok(ids) = decode(MessageSeq(1), &value) {
                prop_assert_eq!(1 + PAIR_BYTES * ids.count(), value.len());
            }
        }
    }
}
