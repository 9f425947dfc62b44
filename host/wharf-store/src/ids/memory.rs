//! What of the id index is in memory, shared by the writer and the handles.

use std::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use rustc_hash::FxHashMap;
use wharf_core::{HashKey, MessageId, MessageSeq};

use super::change::{Effects, FilterChange, Moved};
use super::filters::Filters;
use crate::operation::stats::IdStats;
use crate::table::id_entry::{Entry, IdHash};
use crate::table::id_manifest::Manifest;
use crate::table::id_run::RunNumber;

pub(crate) struct Ids {
    key: HashKey,
    memory: RwLock<Memory>,
}

/// Changed only after the commit that it mirrors. No lock on it is held over I/O.
pub(crate) struct Memory {
    /// What is in the log and in no run yet.
    pub(crate) recent: FxHashMap<IdHash, Entry>,
    pub(crate) filters: Filters,
    pub(crate) runs_count: usize,
    pub(crate) floor: MessageSeq,
}

impl Ids {
    pub(crate) fn new(key: HashKey, memory: Memory) -> Self {
        Self {
            key,
            memory: RwLock::new(memory),
        }
    }

    pub(crate) fn key(&self) -> &HashKey {
        &self.key
    }

    pub(crate) fn hash(&self, id: &MessageId) -> IdHash {
        IdHash::new(&self.key, id)
    }

    /// What is known of a recent id. To be asked before the snapshot is opened in which runs are searched.
    pub(crate) fn recent(&self, hash: IdHash) -> Option<Entry> {
        self.read().recent.get(&hash).copied()
    }

    pub(crate) fn recent_count(&self) -> usize {
        self.read().recent.len()
    }

    pub(crate) fn stats(&self) -> IdStats {
        let memory = self.read();
        IdStats {
            recent: memory.recent.len() as u64,
            runs: memory.runs_count as u64,
            filter_bytes: memory.filters.bytes(),
            from: memory.floor,
        }
    }

    /// The runs that have to be read for an id.
    pub(crate) fn candidates(&self, manifest: &Manifest, hash: IdHash) -> Vec<RunNumber> {
        let memory = self.read();
        manifest
            .covering(hash)
            .filter(|run| memory.filters.may_contain(*run, hash))
            .collect()
    }

    /// Brings the memory up to date with what was committed.
    pub(crate) fn reflect(&self, effects: Effects, manifest: &Manifest) {
        let mut memory = self.write();
        let outdated = match effects.moved {
            Moved::Nothing => None,
            Moved::IntoLog => {
                memory.recent.extend(effects.new);
                None
            }
            Moved::IntoRun => Some(std::mem::take(&mut memory.recent)),
        };
        for change in effects.filters {
            match change {
                FilterChange::Added(run, first, segment) => memory.filters.add(run, first, segment),
                FilterChange::Consumed(run, next) => memory.filters.remove_below(run, next),
                FilterChange::Gone(run) => memory.filters.remove(run),
            }
        }
        memory.runs_count = manifest.all().count();
        memory.floor = manifest.floor;
        drop(memory);
        // Freeing a large map takes a while, which no reader has to wait for.
        drop(outdated);
    }

    pub(crate) fn read(&self) -> RwLockReadGuard<'_, Memory> {
        self.memory
            .read()
            .expect("no panic has left the ids half changed")
    }

    fn write(&self) -> RwLockWriteGuard<'_, Memory> {
        self.memory
            .write()
            .expect("no panic has left the ids half changed")
    }
}
