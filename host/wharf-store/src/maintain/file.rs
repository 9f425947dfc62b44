//! A store's file that no host runs on.

use std::fs::File;
use std::path::{Path, PathBuf};

use redb::{Database, ReadableDatabase};

use super::backup::{self, BackupError};
use super::inspect::{self, Inspection};
use super::progress::{Progress, Steps};
use super::untouched::Untouched;
use crate::check::{self, Report};
use crate::error::{CheckError, OpenError, ReadError};
use crate::ids::{self, Ids};
use crate::migrate;
use crate::open;
use crate::read::Snapshot;
use crate::recover;

/// A store's file, opened to look at it. No byte of it changes, also where the last stop was not clean: found claims and
/// the mark of the stop stay as they are, and what the engine repairs it repairs in memory.
///
/// While it is open no host can open the file; others can look at it too.
#[derive(Debug)]
pub struct StoreFile {
    path: PathBuf,
    database: Database,
}

impl StoreFile {
    /// Opens a file of this version's format, or of one that has a way to it. Every page's checksum is verified where `is_verified`, which reads the whole
    /// file; without it damage is found only where it is read.
    pub fn open(
        path: &Path,
        cache_bytes: usize,
        is_verified: bool,
        told: impl Fn(Progress) + 'static,
    ) -> Result<Self, OpenError> {
        let untouched = Untouched::open(path).map_err(|source| open::io_error(source, path))?;
        open::refuse_empty(path)?;
        let mut builder = open::builder(cache_bytes, told);
        builder.set_check_integrity_on_open(is_verified);
        let database = open::guard(|| {
            let database = builder
                .create_with_backend(untouched)
                .map_err(|cause| open::open_error(cause, path))?;
            open::check_format(&database)?;
            // In memory, like all that is written.
            migrate::run(&database)?;
            open::apply_log(&database, path)?;
            Ok(database)
        })?;
        Ok(Self {
            path: path.to_owned(),
            database,
        })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Verifies every invariant that a file alone can be held against. See [`crate::Store::check`].
    pub fn check(
        &self,
        id_filter_bytes_max: usize,
        told: &mut dyn FnMut(Progress),
    ) -> Result<Report, CheckError> {
        let snapshot = self.snapshot()?;
        let state = recover::state(&snapshot)?;
        let manifest = snapshot.id_manifest()?;
        let memory = ids::load(&snapshot, &manifest, id_filter_bytes_max)?;
        let ids = Ids::new(recover::id_key(&snapshot)?, memory);
        let mut steps = Steps::new(check::steps_count(&state), told);
        let checked = check::check_file(&snapshot, &ids, &state, &manifest, &mut steps)?;
        checked.map_err(CheckError::Violations)
    }

    /// What is in it. Sizes of tables where `with_sizes`, which reads the whole file.
    pub fn inspect(
        &self,
        with_sizes: bool,
        told: &mut dyn FnMut(Progress),
    ) -> Result<Inspection, ReadError> {
        inspect::inspect(&self.snapshot()?, with_sizes, told)
    }

    /// Copies it into an empty file. See [`crate::Store::backup`].
    pub fn backup(&self, into: File, told: &mut dyn FnMut(Progress)) -> Result<(), BackupError> {
        backup::copy(&self.snapshot()?, into, told)
    }

    pub(super) fn snapshot(&self) -> Result<Snapshot, ReadError> {
        Ok(Snapshot::new(self.database.begin_read()?))
    }
}
