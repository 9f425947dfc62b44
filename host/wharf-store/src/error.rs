//! What can go wrong, one enum per operation.

use std::path::PathBuf;

use wharf_core::invariant::Violation;

use crate::limits::{STATE_BYTES_MAX, STATE_COUNT_MAX, STATE_NAME_BYTES_MAX};
use crate::store::FailureReason;

/// The engine below reported an error.
#[derive(Debug, thiserror::Error)]
#[error("the storage engine reported an error")]
pub struct FileError(#[source] Box<redb::Error>);

/// A stored value cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a stored value is malformed: {0}")]
pub struct Malformed(pub(crate) &'static str);

/// Why a store was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process, or another handle of this one, has the file open.
    #[error("{path} is in use by another process")]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// A later version of wharf wrote the file.
    #[error(
        "the file has format {found}, this version of wharf reads format {known}: use a later one"
    )]
    NewerFormat {
        /// What the file says.
        found: u32,
        /// What this version knows.
        known: u32,
    },
    /// A draft of wharf wrote the file, from before its first release.
    #[error(
        "the file has format {found}, that of a draft; this version of wharf reads format {known}: begin a new file"
    )]
    OlderFormat {
        /// What the file says.
        found: u32,
        /// What this version knows.
        known: u32,
    },
    /// The file is a database, but not one of wharf's.
    #[error("the file is not a wharf store")]
    NotAStore,
    /// The file is damaged, or no database at all.
    #[error("the file is damaged, or not a wharf store: {detail}")]
    Damaged {
        /// What the engine says.
        detail: String,
    },
    /// The store was not closed, and its log is gone.
    #[error(
        "the store was not closed, and {path} is missing, which has what was committed last: put it back beside the store; an empty file of that name says to go on without"
    )]
    LogMissing {
        /// The log.
        path: PathBuf,
    },
    /// The operating system does not let this user at the file.
    #[error("no permission for {path}")]
    Permission {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        #[source]
        source: std::io::Error,
    },
    /// Another error of the file system.
    #[error("cannot use {path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        #[source]
        source: std::io::Error,
    },
    /// The file could be opened and not be read through.
    #[error("cannot read the store")]
    Read(#[source] ReadError),
}

/// Why something could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The store is closed, or has failed.
    #[error("the store is closed")]
    Closed,
    /// The file could not be read.
    #[error("the store file could not be read")]
    File(#[from] FileError),
    /// What was read makes no sense.
    #[error("the store file is damaged")]
    Malformed(#[from] Malformed),
}

/// Why a write was not acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The commit failed. It is not rolled back: after a restart it may be there, or not. Sending the same ids
    /// again is safe. The store refuses everything from now on.
    #[error("the commit failed, its outcome is unknown")]
    CommitUnknown(#[source] FailureReason),
    /// The store is closed, or has failed before: nothing was written.
    #[error("the store takes no more writes")]
    Refused,
    /// Whether an id was accepted before could not be read, and nothing was stored for its message. The commit of
    /// the others stands.
    #[error("whether the id was accepted before could not be read")]
    IdUnreadable(#[source] Malformed),
    /// The commit stands, but what a duplicate is answered with could not be read.
    #[error("the first answer to a duplicate could not be read")]
    FirstAnswer(#[source] ReadError),
}

/// Why nothing was cancelled.
#[derive(Debug, thiserror::Error)]
pub enum CancelError {
    /// A message could not be looked up by its id. Nothing was written.
    #[error("the message to cancel could not be looked up")]
    Find(#[source] ReadError),
    /// It was not acknowledged.
    #[error("the cancellation was not committed")]
    Write(#[source] WriteError),
}

/// Why a named value was not set.
#[derive(Debug, thiserror::Error)]
pub enum SetStateError {
    /// Its name is empty, or has more than [`STATE_NAME_BYTES_MAX`] bytes.
    #[error("the name has {0} bytes: it takes 1 to {STATE_NAME_BYTES_MAX}")]
    Name(usize),
    /// It has more than [`STATE_BYTES_MAX`] bytes.
    #[error("the value has {0} bytes: it takes up to {STATE_BYTES_MAX}")]
    TooLarge(usize),
    /// There are [`STATE_COUNT_MAX`] values with other names.
    #[error("there are {STATE_COUNT_MAX} named values already: remove some")]
    Full,
    /// It was not acknowledged.
    #[error("the named value was not committed")]
    Write(#[source] WriteError),
}

/// Why closing failed.
#[derive(Debug, thiserror::Error)]
pub enum CloseError {
    /// It is closed already, or has failed.
    #[error("the store is closed already, or has failed")]
    AlreadyClosed,
    /// Everything is committed, but the file could not be put in order: the next start repairs it.
    #[error("the store file was not closed cleanly")]
    Unclean(#[source] FileError),
}

/// Why a check did not pass.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// Promises that the file breaks.
    #[error("the store breaks {} of its invariants, the first: {}", .0.len(), .0[0])]
    Violations(Vec<Violation>),
    /// The file could not be read.
    #[error("the store could not be checked")]
    Read(#[from] ReadError),
}

macro_rules! from_engine {
    ($($error:ty),*) => {
        $(
            impl From<$error> for FileError {
                fn from(error: $error) -> Self {
                    Self(Box::new(error.into()))
                }
            }

            impl From<$error> for ReadError {
                fn from(error: $error) -> Self {
                    Self::File(error.into())
                }
            }
        )*
    };
}

from_engine!(
    redb::StorageError,
    redb::TableError,
    redb::TransactionError,
    redb::CommitError,
    redb::DatabaseError,
    redb::CompactionError
);
