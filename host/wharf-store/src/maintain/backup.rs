//! Copying a store, as of one commit, into a file of its own.
//!
//! The copy is made table by table from one snapshot, so it is consistent whatever is committed meanwhile, and holds no
//! free space. It opens as after a clean stop: claims that were on disk are left out, since what was being attempted when
//! the copy was made did not end this process. Such a delivery is ready in the copy, as after any restart.

use std::fs::File;

use redb::backends::FileBackend;
use redb::{
    Builder, Database, DatabaseError, Key, ReadableTable, ReadableTableMetadata, TableDefinition,
    TableHandle, Value,
};

use super::progress::{Progress, Steps};
use crate::error::{FileError, ReadError};
use crate::limits::{COPY_CACHE_BYTES, COPY_COMMIT_BYTES};
use crate::open;
use crate::read::Snapshot;
use crate::recover;
use crate::store::Store;
use crate::table::all::{self, Visit};
use crate::table::claimed;

/// Why a copy was not made.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The store could not be read.
    #[error("the store could not be read")]
    Read(#[from] ReadError),
    /// The copy could not be written.
    #[error("the copy could not be written")]
    Write(#[source] FileError),
}

impl Store {
    /// Copies the store as of the last commit into an empty file, which is on disk when this returns. Commits go on
    /// meanwhile. Reads and writes as much as is stored: not for an async thread.
    ///
    /// The copy is a store that was closed cleanly.
    pub fn backup(&self, into: File, told: &mut dyn FnMut(Progress)) -> Result<(), BackupError> {
        copy(&self.shared.snapshot()?, into, told)
    }
}

/// Copies a snapshot into an empty file.
pub(super) fn copy(
    snapshot: &Snapshot,
    into: File,
    told: &mut dyn FnMut(Progress),
) -> Result<(), BackupError> {
    let mut count = Count { snapshot, rows: 0 };
    all::each(&mut count)?;
    let to = create(into).map_err(BackupError::write)?;
    let mut copy = Copy {
        snapshot,
        to: &to,
        steps: Steps::new(count.rows, told),
    };
    all::each(&mut copy)?;
    let log = recover::log_position(snapshot)?;
    open::mark_clean_stop(&to, log).map_err(BackupError::Write)?;
    to.close().map_err(BackupError::write)
}

fn create(into: File) -> Result<Database, DatabaseError> {
    Builder::new()
        .set_cache_size(COPY_CACHE_BYTES)
        .create_with_backend(FileBackend::new(into)?)
}

impl BackupError {
    fn write(cause: impl Into<FileError>) -> Self {
        Self::Write(cause.into())
    }
}

struct Count<'a> {
    snapshot: &'a Snapshot,
    rows: u64,
}

impl Visit for Count<'_> {
    type Error = ReadError;

    fn table<K: Key + 'static, V: Value + 'static>(
        &mut self,
        table: TableDefinition<'static, K, V>,
    ) -> Result<(), ReadError> {
        self.rows += self.snapshot.tx().open_table(table)?.len()?;
        Ok(())
    }
}

struct Copy<'a> {
    snapshot: &'a Snapshot,
    to: &'a Database,
    steps: Steps<'a>,
}

impl Visit for Copy<'_> {
    type Error = BackupError;

    /// In several commits: what one of them writes is in memory until it ends.
    fn table<K: Key + 'static, V: Value + 'static>(
        &mut self,
        table: TableDefinition<'static, K, V>,
    ) -> Result<(), BackupError> {
        let from = self
            .snapshot
            .tx()
            .open_table(table)
            .map_err(ReadError::from)?;
        let mut rows = from.iter().map_err(ReadError::from)?;
        let mut is_through = false;
        while !is_through {
            let tx = self.to.begin_write().map_err(BackupError::write)?;
            {
                let mut to = tx.open_table(table).map_err(BackupError::write)?;
                let mut bytes = 0;
                while bytes < COPY_COMMIT_BYTES {
                    let Some(row) = rows
                        .next()
                        .filter(|_| table.name() != claimed::TABLE.name())
                    else {
                        is_through = true;
                        break;
                    };
                    let (key, value) = row.map_err(ReadError::from)?;
                    to.insert(key.value(), value.value())
                        .map_err(BackupError::write)?;
                    bytes += V::as_bytes(&value.value()).as_ref().len();
                    self.steps.advance(1);
                }
            }
            tx.commit().map_err(BackupError::write)?;
        }
        Ok(())
    }
}
