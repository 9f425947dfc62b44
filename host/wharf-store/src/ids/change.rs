//! The id index's part of one group commit.

use std::borrow::Cow;

use rustc_hash::FxHashMap;
use wharf_core::{HashKey, MessageId, MessageSeq};

use super::find;
use super::memory::Ids;
use super::merge;
use super::tables::RunTables;
use crate::error::ReadError;
use crate::options::{IdSizes, Planted};
use crate::table::id_entry::{Entry, IdHash, Keyed};
use crate::table::id_filter::Segment;
use crate::table::id_log;
use crate::table::id_manifest::{Manifest, Run};
use crate::table::id_run::RunNumber;
use crate::transaction::Transaction;

/// What a group changes of the index, while it is made.
pub(crate) struct Change<'a> {
    tx: &'a Transaction,
    ids: &'a Ids,
    sizes: &'a IdSizes,
    planted: Planted,
    manifest: Cow<'a, Manifest>,
    /// Opened by the first look-up or step that needs them: most groups do not.
    tables: Option<RunTables<'a>>,
    new: FxHashMap<IdHash, Entry>,
    /// The same in the order of their messages.
    new_in_order: Vec<Keyed>,
}

/// What the commit means for the memory.
#[derive(Default)]
pub(crate) struct Effects {
    pub(super) new: Vec<Keyed>,
    pub(super) moved: Moved,
    pub(super) filters: Vec<FilterChange>,
    /// The manifest, where it changed.
    pub(crate) manifest: Option<Manifest>,
}

/// Where the new ids are.
#[derive(Default)]
pub(super) enum Moved {
    /// There are none.
    #[default]
    Nothing,
    /// Among the recent ones.
    IntoLog,
    /// In a run, with all that were recent.
    IntoRun,
}

pub(super) enum FilterChange {
    Added(RunNumber, IdHash, Segment),
    Consumed(RunNumber, IdHash),
    Gone(RunNumber),
}

impl<'a> Change<'a> {
    pub(crate) fn begin(
        tx: &'a Transaction,
        ids: &'a Ids,
        manifest: &'a Manifest,
        sizes: &'a IdSizes,
        planted: Planted,
    ) -> Self {
        Self {
            tx,
            ids,
            sizes,
            planted,
            manifest: Cow::Borrowed(manifest),
            tables: None,
            new: FxHashMap::default(),
            new_in_order: Vec::new(),
        }
    }

    /// What is known of an id, this group included.
    pub(crate) fn find(&mut self, hash: IdHash) -> Result<Option<Entry>, ReadError> {
        let known = self.new.get(&hash).copied();
        let known = known.or_else(|| self.ids.recent(hash));
        if let Some(entry) = known.filter(|entry| entry.seq >= self.manifest.floor) {
            return Ok(Some(entry));
        }
        let candidates = self.ids.candidates(&self.manifest, hash);
        if candidates.is_empty() {
            return Ok(None);
        }
        let tables = tables(&mut self.tables, self.tx)?;
        find::search(&tables.blocks, &candidates, hash, self.manifest.floor)
    }

    /// Adds the id of the next message.
    pub(crate) fn add(&mut self, hash: IdHash, entry: Entry) {
        self.new.insert(hash, entry);
        self.new_in_order.push((hash, entry));
    }

    /// What an id is known by here.
    pub(crate) fn hash(&self, id: &MessageId) -> IdHash {
        self.ids.hash(id)
    }

    /// What contents are hashed with here.
    pub(crate) fn key(&self) -> &HashKey {
        self.ids.key()
    }

    pub(crate) fn floor(&self) -> MessageSeq {
        self.manifest.floor
    }

    /// Raises the floor; false where it is there already.
    pub(crate) fn forget(&mut self, below: MessageSeq) -> bool {
        let is_higher = below > self.manifest.floor;
        if is_higher {
            self.manifest.to_mut().floor = below;
        }
        is_higher
    }

    /// Writes what was collected; a checkpoint makes runs too, and the steps of merges that are paid for. Returns it with
    /// the manifest where that changed.
    pub(crate) fn finish(mut self, next_seq: MessageSeq) -> Result<Effects, ReadError> {
        let mut effects = Effects::default();
        if !self.new_in_order.is_empty() {
            let is_full = self.ids.recent_count() + self.new.len() >= self.sizes.recent
                && self.tx.is_checkpoint();
            effects.moved = if is_full {
                self.flush(&mut effects.filters)?;
                Moved::IntoRun
            } else {
                self.log()?;
                Moved::IntoLog
            };
        }
        if self.tx.is_checkpoint() {
            merge::advance(
                tables(&mut self.tables, self.tx)?,
                self.manifest.to_mut(),
                next_seq,
                self.sizes,
                &mut effects.filters,
            )?;
        }
        effects.new = self.new_in_order;
        if let Cow::Owned(manifest) = self.manifest {
            effects.manifest = Some(manifest);
        }
        Ok(effects)
    }

    fn log(&self) -> Result<(), ReadError> {
        let mut log = self.tx.open_table(id_log::TABLE)?;
        let mut rest = self.new_in_order.as_slice();
        while let Some((_, first)) = rest.first() {
            let (now, later) = rest.split_at(id_log::cut(rest.len()));
            log.insert(first.seq.0, id_log::encode(now).as_slice())?;
            rest = later;
        }
        Ok(())
    }

    /// Moves all recent ids, with those of this group, into a run.
    fn flush(&mut self, changes: &mut Vec<FilterChange>) -> Result<(), ReadError> {
        let floor = self.manifest.floor;
        let mut entries: Vec<Keyed> = {
            let memory = self.ids.read();
            let before = memory.recent.iter().map(|(hash, entry)| (*hash, *entry));
            // One that was forgotten may be there again.
            let all = before.chain(self.new_in_order.iter().copied());
            all.filter(|(_, entry)| entry.seq >= floor).collect()
        };
        entries.sort_unstable_by_key(|(hash, _)| *hash);
        let manifest = self.manifest.to_mut();
        let mut run = Run::new(manifest.number(), 0);
        let tables = tables(&mut self.tables, self.tx)?;
        for segment in entries.chunks(self.sizes.segment) {
            changes.push(tables.append(&mut run, segment, self.sizes.block)?);
        }
        if self.planted != Planted::LoseIdRun {
            manifest.runs.push(run);
        }
        // Quicker than to remove value by value.
        let tx = self.tx.unlogged();
        tx.delete_table(id_log::TABLE)?;
        tx.open_table(id_log::TABLE)?;
        Ok(())
    }
}

fn tables<'a, 'tx>(
    tables: &'a mut Option<RunTables<'tx>>,
    tx: &'tx Transaction,
) -> Result<&'a mut RunTables<'tx>, ReadError> {
    match tables {
        Some(tables) => Ok(tables),
        none => Ok(none.insert(RunTables::open(tx.unlogged())?)),
    }
}
