//! Looking an id up in the runs.

use redb::{ReadOnlyTable, ReadTransaction, ReadableTable};
use wharf_core::MessageSeq;

use super::memory::Ids;
use crate::error::ReadError;
use crate::table::id_entry::{Entry, IdHash};
use crate::table::id_manifest::Manifest;
use crate::table::id_run::{self, Block, KEY_BYTES, RunNumber};

type Key = &'static [u8; KEY_BYTES];

/// The runs of a snapshot.
pub(crate) struct Runs {
    blocks: ReadOnlyTable<Key, &'static [u8]>,
    manifest: Manifest,
}

impl Runs {
    pub(crate) fn open(tx: &ReadTransaction, manifest: Manifest) -> Result<Self, ReadError> {
        Ok(Self {
            blocks: tx.open_table(id_run::TABLE)?,
            manifest,
        })
    }

    /// Ids of messages below it are as if never seen.
    pub(crate) fn floor(&self) -> MessageSeq {
        self.manifest.floor
    }

    /// What is known of an id, given what [`Ids::recent`] knew before the snapshot was opened.
    pub(crate) fn find(
        &self,
        ids: &Ids,
        hash: IdHash,
        recent: Option<Entry>,
    ) -> Result<Option<Entry>, ReadError> {
        let floor = self.manifest.floor;
        match recent.filter(|entry| entry.seq >= floor) {
            Some(entry) => Ok(Some(entry)),
            None => {
                let candidates = ids.candidates(&self.manifest, hash);
                search(&self.blocks, &candidates, hash, floor)
            }
        }
    }
}

/// Reads one block of each run, until one has the id. An entry from below the floor does not count; the same id
/// may be in a newer run once more.
pub(super) fn search(
    blocks: &impl ReadableTable<Key, &'static [u8]>,
    candidates: &[RunNumber],
    hash: IdHash,
    floor: MessageSeq,
) -> Result<Option<Entry>, ReadError> {
    for run in candidates {
        // Not bounded below: the engine would read the run's first block for the bound.
        let upper = id_run::key(*run, hash);
        let Some(found) = blocks.range::<&[u8; KEY_BYTES]>(..=&upper)?.next_back() else {
            continue;
        };
        let (key, value) = found?;
        if id_run::decode_key(key.value()).0 != *run {
            continue;
        }
        let entry = Block::read(value.value())?.find(hash);
        if let Some(entry) = entry.filter(|entry| entry.seq >= floor) {
            return Ok(Some(entry));
        }
    }
    Ok(None)
}
