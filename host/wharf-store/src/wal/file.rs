//! Where a log is kept.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use redb::backends::FileBackend;

use crate::backend::Backend;
use crate::error::OpenError;
use crate::open;

/// Where a log is kept.
pub(crate) enum Place {
    /// Beside the store in this file.
    Beside(PathBuf),
    /// In what a test puts in its place.
    Backend(Box<dyn Backend>),
}

/// A log that is open.
pub(crate) struct Log {
    pub(super) backend: Box<dyn Backend>,
    /// The file that it is beside, where it is a file itself.
    pub(super) store: Option<PathBuf>,
}

impl Log {
    /// An error of its file.
    pub(super) fn error(&self, source: io::Error) -> OpenError {
        let path = self.store.as_deref().map(path).unwrap_or_default();
        open::io_error(source, &path)
    }
}

/// The log's file, beside a store's.
pub(crate) fn path(store: &Path) -> PathBuf {
    let mut path = OsString::from(store);
    path.push("-wal");
    path.into()
}

impl Place {
    /// Opens the log, which must be there where the store is open, and is made otherwise.
    pub(crate) fn open(self, is_open: bool) -> Result<Log, OpenError> {
        let store = match self {
            Self::Backend(backend) => {
                return Ok(Log {
                    backend,
                    store: None,
                });
            }
            Self::Beside(store) => store,
        };
        let path = path(&store);
        let in_path = |source| open::io_error(source, &path);
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        if !is_open {
            options.create(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        }
        let file = options
            .open(&path)
            .map_err(|source| missing(source, &path))?;
        if !is_open {
            open::sync_folder(&path).map_err(in_path)?;
        }
        Ok(Log {
            backend: backend(file).map_err(in_path)?,
            store: Some(store),
        })
    }
}

/// Opens the log of a store to read it.
pub(crate) fn open_to_read(store: &Path) -> Result<Log, OpenError> {
    let path = path(store);
    let file = File::open(&path).map_err(|source| missing(source, &path))?;
    Ok(Log {
        backend: backend(file).map_err(|source| open::io_error(source, &path))?,
        store: Some(store.to_owned()),
    })
}

fn backend(file: File) -> io::Result<Box<dyn Backend>> {
    Ok(Box::new(FileBackend::new(file).map_err(io::Error::other)?))
}

fn missing(source: io::Error, path: &Path) -> OpenError {
    match source.kind() {
        ErrorKind::NotFound => OpenError::LogMissing {
            path: path.to_owned(),
        },
        _ => open::io_error(source, path),
    }
}
