//! Giving free space back.
//!
//! A file does not shrink by itself: what is deleted is used again. The engine moves what lies at the end to the front and
//! cuts the file; it needs the file for itself. The mark of the last stop and found claims stay as they are. Ended in
//! between, it leaves a file that the next start repairs.

use std::fs;
use std::io;
use std::path::Path;

use redb::CompactionError;

use super::progress::Progress;
use crate::error::{FileError, OpenError};
use crate::migrate;
use crate::open;

/// What compacting gave back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compacted {
    /// Bytes of the file before.
    pub before: u64,
    /// Bytes of the file now.
    pub after: u64,
}

/// Why a file was not compacted.
#[derive(Debug, thiserror::Error)]
pub enum CompactError {
    /// It cannot be opened.
    #[error("cannot open the store")]
    Open(#[from] OpenError),
    /// The engine failed on the way. What is stored is all there.
    #[error("the store could not be compacted")]
    Engine(#[source] FileError),
    /// How large it is cannot be found out.
    #[error("the size of the store cannot be found out")]
    Size(#[source] io::Error),
}

/// Compacts the file of a store that no host runs on. `repaired` is told how far a repair is, where the last stop was not
/// clean.
pub fn compact(
    path: &Path,
    cache_bytes: usize,
    repaired: impl Fn(Progress) + 'static,
) -> Result<Compacted, CompactError> {
    open::refuse_foreign(path, cache_bytes)?;
    let before = len(path)?;
    let mut database = open::builder(cache_bytes, repaired)
        .open(path)
        .map_err(|cause| open::open_error(cause, path))?;
    open::check_format(&database)?;
    migrate::run(&database)?;
    open::apply_log(&database, path)?;
    database.compact().map_err(engine)?;
    database
        .close()
        .map_err(|cause| CompactError::Engine(cause.into()))?;
    Ok(Compacted {
        before,
        after: len(path)?,
    })
}

fn len(path: &Path) -> Result<u64, CompactError> {
    Ok(fs::metadata(path).map_err(CompactError::Size)?.len())
}

fn engine(cause: CompactionError) -> CompactError {
    CompactError::Engine(cause.into())
}
