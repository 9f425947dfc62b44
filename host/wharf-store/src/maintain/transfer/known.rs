//! What is known of the ids of removed messages, whose texts are gone: they are in the id index alone, in the order of
//! their hashes, and are needed in the order of their messages.
//!
//! The index is read through once for every [`KNOWN_IDS_COUNT`] messages among which something was removed.

use redb::ReadableTable;
use wharf_core::MessageSeq;
use wharf_core::message::ContentHash;

use crate::error::ReadError;
use crate::limits::KNOWN_IDS_COUNT;
use crate::read::Snapshot;
use crate::table::id_entry::{IdHash, Keyed};
use crate::table::id_log;
use crate::table::id_manifest::Manifest;
use crate::table::id_run::{self, Block, KEY_BYTES};

pub(super) struct Known {
    manifest: Manifest,
    /// The first message that is known of.
    from: MessageSeq,
    /// By number from there on.
    ids: Vec<Option<(IdHash, ContentHash)>>,
}

impl Known {
    pub(super) fn new(snapshot: &Snapshot) -> Result<Self, ReadError> {
        Ok(Self {
            manifest: snapshot.id_manifest()?,
            from: MessageSeq(0),
            ids: Vec::new(),
        })
    }

    /// What is known of a message's id; none where it is forgotten. Asked in the order of messages.
    pub(super) fn find(
        &mut self,
        snapshot: &Snapshot,
        seq: MessageSeq,
    ) -> Result<Option<(IdHash, ContentHash)>, ReadError> {
        if seq < self.manifest.floor {
            return Ok(None);
        }
        if seq.0 - self.from.0 >= self.ids.len() as u64 {
            self.read(snapshot, seq)?;
        }
        Ok(self.ids[(seq.0 - self.from.0) as usize])
    }

    fn read(&mut self, snapshot: &Snapshot, from: MessageSeq) -> Result<(), ReadError> {
        self.from = from;
        self.ids.clear();
        self.ids.resize(KNOWN_IDS_COUNT, None);
        for entry in snapshot.tx().open_table(id_log::TABLE)?.iter()? {
            let (first, value) = entry?;
            for keyed in id_log::decode(MessageSeq(first.value()), value.value())? {
                note(&mut self.ids, from, keyed);
            }
        }
        let blocks = snapshot.tx().open_table(id_run::TABLE)?;
        for (run, counts_from) in self.manifest.all() {
            let lower = id_run::key(run.number, IdHash::MIN);
            let upper = id_run::key(run.number, IdHash::MAX);
            for entry in blocks.range::<&[u8; KEY_BYTES]>(&lower..=&upper)? {
                for keyed in Block::read(entry?.1.value())?.entries()? {
                    if keyed.0 >= counts_from {
                        note(&mut self.ids, from, keyed);
                    }
                }
            }
        }
        Ok(())
    }
}

fn note(ids: &mut [Option<(IdHash, ContentHash)>], from: MessageSeq, (hash, entry): Keyed) {
    let place = entry.seq.0.checked_sub(from.0);
    if let Some(id) = place.and_then(|place| ids.get_mut(usize::try_from(place).ok()?)) {
        *id = Some((hash, entry.content));
    }
}
