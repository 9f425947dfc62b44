//! The write-ahead log: what makes a commit durable with one write, in one place, and one sync.
//!
//! The engine writes a commit as some fifteen pages at as many places, and its own bookkeeping with them. Here a commit
//! appends a record with what it changes in the tables, syncs that, and only then is it made visible in the tables, which
//! the engine keeps in memory for now. Every so often a commit is a *checkpoint* instead: the tables go to the disk as they
//! are, in the engine's own way, and the log begins again at its start. What changes only where things lie, like merging
//! ids, is left to checkpoints: it never goes through the log.
//!
//! A row in the tables says where in the log they stand ([`Position`]). A start that finds the store open, because it was
//! not closed, applies the records that are in the log to the tables: setting and removing rows, so that it does no harm to
//! those that were there already.
//!
//! ```text
//! first block: head    | record | record | …      each at a multiple of 4 KiB
//! record: magic u32 | version u8 | 0 u8 × 3 | epoch u64 | number u64 | length u64 | hash [u8; 16] | changes | zeros
//! change: table × 2, + 1 where it sets a row | length, key | length, value, where it sets a row
//! ```
//! Little-endian; lengths in changes are LEB128. The hash is keyed with the store's own key and covers all that is in front
//! of it and the changes: what a cut has torn, what an earlier turn has left, and what a payload pretends to be has another.
//!
//! The log is a file of its own beside the store's: its sync concerns no other pages. It is there while the store is open,
//! or was not closed; a store that was closed is one file again.

mod changes;
mod file;
mod position;
mod record;
mod replay;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use wharf_core::HashKey;

pub(crate) use changes::Changes;
pub(crate) use file::{Log, Place, open_to_read, path};
pub(crate) use position::Position;
pub(crate) use replay::replay;

use crate::backend::Backend;
use crate::error::{OpenError, ReadError};
use crate::limits::WAL_STEP_BYTES;

/// What records and their places are a multiple of: a sector that is torn belongs to one record alone.
const BLOCK_BYTES: u64 = 4096;

/// The log of an open store.
pub(crate) struct Wal {
    backend: Box<dyn Backend>,
    /// The file that the store is kept in, where it is kept in one.
    store: Option<PathBuf>,
    key: HashKey,
    /// Where the tables stand.
    position: Position,
    /// Where the next record goes.
    at: u64,
    /// Up to here the file was written before: to write there again is quicker than to make a file longer.
    len: u64,
    bytes_max: u64,
    /// Kept for the next record.
    spare: Changes,
}

impl Wal {
    /// Makes the log ready for the first record after the next checkpoint, which has to come first.
    pub(crate) fn open(
        log: Log,
        key: HashKey,
        position: Position,
        bytes_max: u64,
    ) -> Result<Self, OpenError> {
        let prepared = prepare(&*log.backend, &key, position);
        let len = prepared.map_err(|source| log.error(source))?;
        Ok(Self {
            backend: log.backend,
            store: log.store,
            key,
            position,
            at: bytes_max,
            len,
            bytes_max,
            spare: Changes::default(),
        })
    }

    /// The file that the store is kept in, where it is kept in one.
    pub(crate) fn store(&self) -> Option<&Path> {
        self.store.as_deref()
    }

    pub(crate) fn position(&self) -> Position {
        self.position
    }

    /// Whether a record of these changes fits.
    pub(crate) fn has_room(&self, changes: &Changes) -> bool {
        self.has_room_for(changes.record_bytes() as u64)
    }

    /// Whether a record of so many bytes fits.
    pub(crate) fn has_room_for(&self, bytes: u64) -> bool {
        self.at.saturating_add(bytes) <= self.bytes_max
    }

    /// Appends a record, and syncs it.
    pub(crate) fn append(&mut self, changes: &mut Changes) -> Result<(), ReadError> {
        let position = self.position.after_record();
        let record = changes.seal(&self.key, self.position);
        let end = self.at + record.len() as u64;
        if end > self.len {
            let len = end.next_multiple_of(WAL_STEP_BYTES).min(self.bytes_max);
            grow(&*self.backend, self.len, len).map_err(file)?;
            self.len = len;
        }
        self.backend.write(self.at, record).map_err(file)?;
        self.backend.sync_data().map_err(file)?;
        self.at = end;
        self.position = position;
        Ok(())
    }

    /// After a checkpoint the tables have all of it.
    pub(crate) fn begin_again(&mut self, position: Position) {
        self.position = position;
        self.at = BLOCK_BYTES;
    }

    /// Empty changes, in memory that was used before.
    pub(crate) fn changes(&mut self) -> Changes {
        std::mem::take(&mut self.spare)
    }

    /// Gives back the memory of changes.
    pub(crate) fn recycle(&mut self, mut changes: Changes) {
        changes.clear();
        self.spare = changes;
    }

    /// Removes it once the store is closed, and nothing in it counts.
    pub(crate) fn remove(&self) -> io::Result<()> {
        self.backend.set_len(0)?;
        self.backend.close()?;
        self.store()
            .map_or(Ok(()), |store| fs::remove_file(path(store)))
    }
}

/// Writes the head. Returns how much of the file was written before.
fn prepare(backend: &dyn Backend, key: &HashKey, position: Position) -> io::Result<u64> {
    if !position.is_open {
        // Whatever it is, it is not of this store as it is: it could be of a later one that was put back to this.
        backend.set_len(0)?;
    }
    let mut len = backend.len()?;
    len -= len % BLOCK_BYTES;
    if len < BLOCK_BYTES {
        grow(backend, 0, BLOCK_BYTES)?;
        len = BLOCK_BYTES;
    }
    backend.write(0, &record::head(key))?;
    backend.sync_data()?;
    Ok(len)
}

/// Makes the file longer, and has it written: a sync after a later write has less to do.
fn grow(backend: &dyn Backend, from: u64, to: u64) -> io::Result<()> {
    backend.set_len(to)?;
    backend.write(from, &vec![0; (to - from) as usize])
}

fn file(source: io::Error) -> ReadError {
    redb::StorageError::Io(source).into()
}

/// What is wrong with a log, where something is.
fn damaged(detail: impl Into<String>) -> OpenError {
    OpenError::Damaged {
        detail: detail.into(),
    }
}
