//! A file that counts what goes into it.
//!
//! It does what the store's own file does: reads and writes at an offset, and `fdatasync`.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use wharf_store::Backend;

/// A file, and what was done to it.
#[derive(Debug)]
pub(crate) struct Disk {
    file: File,
    counters: Arc<Counters>,
}

/// What was done to a file.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    written_bytes: AtomicU64,
    syncs_count: AtomicU64,
}

impl Counters {
    /// Bytes that were written so far.
    pub(crate) fn written_bytes(&self) -> u64 {
        self.written_bytes.load(Relaxed)
    }

    /// Syncs so far.
    pub(crate) fn syncs_count(&self) -> u64 {
        self.syncs_count.load(Relaxed)
    }
}

impl Disk {
    /// Opens a file, which is made where there is none, and counts with others.
    pub(crate) fn open(path: &Path, counters: Arc<Counters>) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        Ok(Self { file, counters })
    }
}

impl Backend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(out, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.counters.syncs_count.fetch_add(1, Relaxed);
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let bytes = data.len() as u64;
        self.counters.written_bytes.fetch_add(bytes, Relaxed);
        self.file.write_all_at(data, offset)
    }
}
