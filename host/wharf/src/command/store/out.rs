//! A file that is there whole or not at all: what is cut off never looks whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::failure::Failure;

/// A file that is being written, under another name. Removed where it is dropped before it is whole.
pub(super) struct Out {
    path: PathBuf,
    partial: PathBuf,
    file: File,
    is_whole: bool,
}

impl Out {
    /// Begins a file that is not there yet. Payloads are nobody else's business: it is its owner's alone.
    pub(super) fn create(path: &Path) -> Result<Self, Failure> {
        if path.try_exists().unwrap_or(false) {
            return Err(there(path));
        }
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options
            .open(&partial)
            .with_context(|| format!("cannot write {}", partial.display()))
            .map_err(|cause| Failure::failed(cause).hint("check the path and its folder"))?;
        Ok(Self {
            path: path.to_owned(),
            partial,
            file,
            is_whole: false,
        })
    }

    /// The file, to be written from its start.
    pub(super) fn file(&self) -> Result<File, Failure> {
        self.file.try_clone().map_err(|cause| self.failed(cause))
    }

    /// Gives it its name, once all of it is on disk.
    pub(super) fn finish(mut self) -> Result<(), Failure> {
        self.file.sync_all().map_err(|cause| self.failed(cause))?;
        // A link fails where the name was taken meanwhile; not every file system has links.
        match fs::hard_link(&self.partial, &self.path) {
            Ok(()) => {}
            Err(cause) if cause.kind() == ErrorKind::AlreadyExists => {
                return Err(there(&self.path));
            }
            Err(_) => {
                fs::rename(&self.partial, &self.path).map_err(|cause| self.failed(cause))?;
                self.is_whole = true;
            }
        }
        let folder = self.path.parent().filter(|dir| !dir.as_os_str().is_empty());
        let folder = File::open(folder.unwrap_or(Path::new(".")));
        let synced = folder.and_then(|folder| folder.sync_all());
        synced.map_err(|cause| self.failed(cause))
    }

    fn failed(&self, cause: io::Error) -> Failure {
        Failure::failed(cause)
            .context(format!("cannot write {}", self.path.display()))
            .hint("check the folder and the disk")
    }
}

impl Drop for Out {
    fn drop(&mut self) {
        if !self.is_whole {
            // Its name is not what anyone asked for.
            let _ = fs::remove_file(&self.partial);
        }
    }
}

fn there(path: &Path) -> Failure {
    Failure::failed(anyhow::anyhow!("{} is there already", path.display()))
        .hint("name a file that is not: nothing is overwritten")
}
