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
    /// All of it.
    pub(super) fn read(&self) -> Result<Vec<u8>, OpenError> {
        let read = || {
            let mut bytes = vec![0; self.backend.len()? as usize];
            self.backend.read(0, &mut bytes)?;
            Ok(bytes)
        };
        read().map_err(|source| self.error(source))
    }

    /// Something in it that is not as it should be.
    pub(super) fn wrong(&self, detail: String) -> OpenError {
        OpenError::Log {
            path: self.path(),
            detail,
        }
    }

    /// An error of its file.
    pub(super) fn error(&self, source: io::Error) -> OpenError {
        open::io_error(source, &self.path())
    }

    fn path(&self) -> PathBuf {
        self.store.as_deref().map(path).unwrap_or_default()
    }
}

/// Who may look at the store may look at its log.
#[cfg(unix)]
fn allow_as(options: &mut OpenOptions, store: &Path) -> io::Result<()> {
    use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
    let mode = store.metadata()?.permissions().mode();
    options.mode(mode & 0o777);
    Ok(())
}

/// Refuses to make a store where a log is left that may belong to another one.
pub(crate) fn refuse_left_over(store: &Path) -> Result<(), OpenError> {
    let path = path(store);
    match path.metadata() {
        Ok(log) if log.len() > 0 => Err(OpenError::Log {
            path,
            detail: "is there, and its store is not".to_owned(),
        }),
        _ => Ok(()),
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
            allow_as(&mut options, &store).map_err(in_path)?;
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
    let store = &store
        .canonicalize()
        .map_err(|source| open::io_error(source, store))?;
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
