//! A file that is read and never written.
//!
//! The engine writes to a file that it only wants to read: it marks it as open, repairs it after a kill, and puts it in
//! order when it is closed. Here these writes go to memory, page by page, and are read from there: the engine works as on
//! any file, and no byte of the real one changes, whatever it finds. Nothing outlives the handle.
//!
//! Limits of the choice: what is written stays in memory, so this is for reading.

use std::fs::File;
use std::io;
use std::ops::Bound;
use std::path::Path;
use std::sync::{Mutex, MutexGuard};

use redb::backends::FileBackend;
use redb::{BackendError, StorageBackend};
use rustc_hash::FxHashMap;

use crate::limits::PAGE_BYTES;

type Page = Box<[u8; PAGE_BYTES]>;

#[derive(Debug)]
pub(super) struct Untouched {
    file: FileBackend,
    memory: Mutex<Memory>,
}

#[derive(Debug)]
struct Memory {
    /// How long the engine takes the file for.
    len: u64,
    /// Up to where the file's own bytes count; zeros follow.
    file_end: u64,
    /// Pages that were written, by their place.
    pages: FxHashMap<u64, Page>,
}

impl Untouched {
    /// Opens a file to read it. Fails where there is none; locks nothing yet.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let len = file.metadata()?.len();
        Ok(Self {
            file: FileBackend::new(file).map_err(io::Error::other)?,
            memory: Mutex::new(Memory {
                len,
                file_end: len,
                pages: FxHashMap::default(),
            }),
        })
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory
            .lock()
            .expect("nothing panics with the pages locked")
    }
}

/// The pages that a range touches: the place of each, the part of it, and the part of the range.
fn pages(offset: u64, len: usize) -> impl Iterator<Item = (u64, usize, std::ops::Range<usize>)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = offset + done as u64;
        let within = (at % PAGE_BYTES as u64) as usize;
        let count = (PAGE_BYTES - within).min(len - done);
        let range = done..done + count;
        done += count;
        (count > 0).then_some((at / PAGE_BYTES as u64, within, range))
    })
}

impl Memory {
    /// Reads from the file what counts of it, and zeros.
    fn read_file(&self, file: &FileBackend, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let own = self.file_end.saturating_sub(offset).min(out.len() as u64);
        let (own, zeros) = out.split_at_mut(own as usize);
        if !own.is_empty() {
            file.read(offset, own)?;
        }
        zeros.fill(0);
        Ok(())
    }

    fn check_end(&self, offset: u64, len: usize) -> io::Result<()> {
        let end = offset.checked_add(len as u64);
        if end.is_none_or(|end| end > self.len) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }
}

impl StorageBackend for Untouched {
    fn len(&self) -> io::Result<u64> {
        Ok(self.memory().len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let memory = self.memory();
        memory.check_end(offset, out.len())?;
        memory.read_file(&self.file, offset, out)?;
        if memory.pages.is_empty() {
            return Ok(());
        }
        for (place, within, range) in pages(offset, out.len()) {
            if let Some(page) = memory.pages.get(&place) {
                let count = range.len();
                out[range].copy_from_slice(&page[within..within + count]);
            }
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut memory = self.memory();
        memory.len = len;
        memory.file_end = memory.file_end.min(len);
        // What is cut off reads as zeros where the file grows again.
        memory
            .pages
            .retain(|place, _| place * (PAGE_BYTES as u64) < len);
        let (last, within) = (len / PAGE_BYTES as u64, (len % PAGE_BYTES as u64) as usize);
        if let Some(page) = memory.pages.get_mut(&last) {
            page[within..].fill(0);
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut memory = self.memory();
        memory.check_end(offset, data.len())?;
        for (place, within, range) in pages(offset, data.len()) {
            if !memory.pages.contains_key(&place) {
                let mut page = Box::new([0; PAGE_BYTES]);
                memory.read_file(&self.file, place * PAGE_BYTES as u64, &mut page[..])?;
                memory.pages.insert(place, page);
            }
            let page = memory.pages.get_mut(&place);
            let page = page.expect("it is there, or was just put there");
            let count = range.len();
            page[within..within + count].copy_from_slice(&data[range]);
        }
        Ok(())
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }

    // Locked as a reader whatever the engine asks for: several may look at once, and none while a host runs.

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_shared_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.file.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_shared_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.query_lock_range(start, end)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Write(u64, Vec<u8>),
        SetLen(u64),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let data = (any::<u8>(), 1usize..9000).prop_map(|(byte, len)| vec![byte; len]);
        let step = prop_oneof![
            3 => (0u64..30_000, data).prop_map(|(at, data)| Step::Write(at, data)),
            1 => (0u64..40_000).prop_map(Step::SetLen),
        ];
        prop::collection::vec(step, 1..12)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Goal: it reads as a file would that was written, and the file is as it was.
        #[test]
        fn it_reads_like_a_file_and_leaves_it_alone(len in 0usize..30_000, steps in steps()) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("file");
            let original: Vec<u8> = (0..len).map(|at| (at % 251) as u8).collect();
            fs::write(&path, &original).unwrap();
            let untouched = Untouched::open(&path).unwrap();
            let mut model = original.clone();
            for step in steps {
                match step {
                    Step::Write(at, data) => {
                        let end = at as usize + data.len();
                        let written = untouched.write(at, &data);
                        prop_assert_eq!(written.is_ok(), end <= model.len());
                        if written.is_ok() {
                            model[at as usize..end].copy_from_slice(&data);
                        }
                    }
                    Step::SetLen(len) => {
                        untouched.set_len(len).unwrap();
                        model.resize(len as usize, 0);
                    }
                }
                prop_assert_eq!(untouched.len().unwrap(), model.len() as u64);
                let mut read = vec![0xff; model.len()];
                untouched.read(0, &mut read).unwrap();
                prop_assert_eq!(&read, &model);
            }
            let mut past = vec![0; model.len() + 1];
            prop_assert!(untouched.read(0, &mut past).is_err());
            prop_assert_eq!(fs::read(&path).unwrap(), original);
        }
    }
}
