//! Where the bytes go.

use std::fs;
use std::path::Path;

/// What a store is kept in: a file, or what a test puts in its place. Named here, so that whoever implements it
/// need not name the engine.
pub use redb::StorageBackend as Backend;

/// What a store is kept in, where it is not a file.
#[derive(Debug)]
pub struct Backends {
    /// In place of its file. Empty where the store is yet to be made.
    pub tables: Box<dyn Backend>,
    /// In place of its log.
    pub log: Box<dyn Backend>,
}

/// A backend behind a pointer: the engine takes a sized one.
#[derive(Debug)]
pub(crate) struct Boxed(pub(crate) Box<dyn Backend>);

type Io<T> = Result<T, std::io::Error>;

impl Backend for Boxed {
    fn len(&self) -> Io<u64> {
        self.0.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Io<()> {
        self.0.read(offset, out)
    }

    fn set_len(&self, len: u64) -> Io<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> Io<()> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> Io<()> {
        self.0.write(offset, data)
    }

    fn close(&self) -> Io<()> {
        self.0.close()
    }
}

/// Has the operating system drop what it keeps of a file in memory and counts as written. After a sync that failed it
/// keeps what never came to the disk, and tries no more: whoever reads that believes in a commit that the next power
/// cut takes away, and with it what was built upon it (Rebello et al., "Can Applications Recover from fsync
/// Failures?", 2020). What is yet to be written stays.
///
/// Best effort: nothing else could be done about an error.
pub(crate) fn forget_cached(path: &Path) {
    #[cfg(target_os = "linux")]
    if let Ok(file) = fs::File::open(path) {
        let _ = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = path;
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs::File;
    use std::io::{IoSliceMut, Write};

    use rustix::io::{Errno, ReadWriteFlags, preadv2};

    use super::forget_cached;

    /// What is in memory is read without waiting; what is not is not.
    #[test]
    fn what_is_cached_is_forgotten() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().write_all(&[1; 64 << 10]).unwrap();
        file.as_file().sync_all().unwrap();
        let cached = || {
            let mut out = [0; 4 << 10];
            let file = File::open(file.path()).unwrap();
            preadv2(
                &file,
                &mut [IoSliceMut::new(&mut out)],
                0,
                ReadWriteFlags::NOWAIT,
            )
        };
        // Not every file system can say so.
        if cached() == Ok(4 << 10) {
            forget_cached(file.path());
            assert_eq!(cached(), Err(Errno::AGAIN));
        }
    }
}
