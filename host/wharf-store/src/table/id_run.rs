//! `id_run`: ids in sorted runs, each cut into blocks.

use redb::TableDefinition;

use super::id_entry::{self, ENTRY_BYTES, Entry, IdHash, Keyed};
use crate::error::Malformed;

/// Key: [`key`]. Value: [`Block`]. The blocks of a run are in the order of their hashes and do not overlap; each is
/// written once and never changed, only removed.
pub(crate) const TABLE: TableDefinition<'static, &'static [u8; KEY_BYTES], &'static [u8]> =
    TableDefinition::new("id_run");

/// Bytes of a key in this table, and in that of the filters.
pub(crate) const KEY_BYTES: usize = 24;

/// Number of a run. Given once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct RunNumber(pub(crate) u64);

/// `run u64 BE | id hash 16 bytes`, so that the block that may hold an id is the last one up to it.
pub(crate) fn key(run: RunNumber, hash: IdHash) -> [u8; KEY_BYTES] {
    let mut key = [0; KEY_BYTES];
    key[..8].copy_from_slice(&run.0.to_be_bytes());
    key[8..].copy_from_slice(&hash.to_bytes());
    key
}

/// The run, and the hash of its first entry.
pub(crate) fn decode_key(key: &[u8; KEY_BYTES]) -> (RunNumber, IdHash) {
    let (mut run, mut hash) = ([0; 8], [0; 16]);
    run.copy_from_slice(&key[..8]);
    hash.copy_from_slice(&key[8..]);
    (RunNumber(u64::from_be_bytes(run)), IdHash::from_bytes(hash))
}

const VERSION: u8 = 1;

/// Encodes a block: `version u8 | entry 40 bytes × n`, sorted by hash, each hash once; at least one entry.
pub(crate) fn encode(entries: &[Keyed]) -> Vec<u8> {
    let mut value = Vec::with_capacity(1 + ENTRY_BYTES * entries.len());
    value.push(VERSION);
    for entry in entries {
        value.extend_from_slice(&id_entry::encode(*entry));
    }
    value
}

/// A block that is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block<'a> {
    entries: &'a [[u8; ENTRY_BYTES]],
}

impl<'a> Block<'a> {
    /// Trusts the order of the entries: a look-up reads only some of them.
    pub(crate) fn read(value: &'a [u8]) -> Result<Self, Malformed> {
        let entries = match value.split_first() {
            Some((&VERSION, entries)) => entries.as_chunks::<ENTRY_BYTES>(),
            Some(_) => return Err(Malformed("the version of an id block is unknown")),
            None => return Err(Malformed("an id block is empty")),
        };
        match entries {
            ([], _) => Err(Malformed("an id block is empty")),
            (entries, []) => Ok(Self { entries }),
            _ => Err(Malformed("an id block ends early")),
        }
    }

    pub(crate) fn find(self, hash: IdHash) -> Option<Entry> {
        let bytes = hash.to_bytes();
        let at = self
            .entries
            .binary_search_by(|entry| entry[..16].cmp(&bytes))
            .ok()?;
        Some(id_entry::decode(&self.entries[at]).1)
    }

    /// Hash of the last entry.
    pub(crate) fn last(self) -> IdHash {
        id_entry::decode(&self.entries[self.entries.len() - 1]).0
    }

    /// All entries, whose order is verified: what is merged out of order would be lost to every look-up.
    pub(crate) fn entries(self) -> Result<Vec<Keyed>, Malformed> {
        let entries: Vec<_> = self.entries.iter().map(id_entry::decode).collect();
        if entries.is_sorted_by(|(a, _), (b, _)| a < b) {
            Ok(entries)
        } else {
            Err(Malformed("an id block is out of order"))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::super::id_entry::tests::keyed;
    use super::*;

    proptest! {
        #[test]
        fn blocks_round_trip(entries in prop::collection::vec(keyed(), 1..50), other: u128) {
            let known: BTreeMap<_, _> = entries.into_iter().collect();
            let entries: Vec<_> = known.clone().into_iter().collect();
            let value = encode(&entries);
            let block = Block::read(&value).unwrap();
            prop_assert_eq!(block.entries().unwrap(), entries.as_slice());
            prop_assert_eq!(block.last(), entries[entries.len() - 1].0);
            for (hash, entry) in &entries {
                prop_assert_eq!(block.find(*hash), Some(*entry));
            }
            prop_assert_eq!(block.find(IdHash(other)), known.get(&IdHash(other)).copied());
        }

        #[test]
        fn keys_round_trip_and_keep_their_order(a: (u64, u128), b: (u64, u128)) {
            let made = |(run, hash)| key(RunNumber(run), IdHash(hash));
            prop_assert_eq!(decode_key(&made(a)), (RunNumber(a.0), IdHash(a.1)));
            prop_assert_eq!(a.cmp(&b), made(a).cmp(&made(b)));
        }

        #[test]
        fn broken_blocks_are_refused(mut value: Vec<u8>, other: u128) {
            if let Some(first) = value.first_mut() {
                *first = VERSION;
            }
            if let Ok(block) = Block::read(&value) {
                let _ = (block.find(IdHash(other)), block.last(), block.entries());
            }
        }
    }

    #[test]
    fn a_block_out_of_order_is_not_merged() {
        let entry = id_entry::decode(&[0; ENTRY_BYTES]).1;
        let value = encode(&[(IdHash(2), entry), (IdHash(1), entry)]);
        assert!(Block::read(&value).unwrap().entries().is_err());
    }
}
