//! What goes wrong on a disk that keeps its power.

use std::io;

/// What goes wrong on a disk that keeps its power.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// No space is left, until [`super::PowerCut::make_room`]: the file does not get longer, and now and then a write
    /// fails too, as into a hole or where a file system copies what it changes.
    Full,
    /// One write fails. What it wrote before it did is not undone.
    Write,
    /// One sync fails. Some of what it was to make durable is, and all of it counts as written: no later sync tries
    /// again. Reads see it until the machine's memory of the file is dropped, as Linux does it.
    Sync,
    /// One read fails.
    Read,
}

/// A call to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Read,
    Write,
    /// To make the file longer.
    Grow,
    Shrink,
    Sync,
}

impl Fault {
    /// Every one.
    pub const ALL: &'static [Self] = &[Self::Full, Self::Write, Self::Sync, Self::Read];

    /// Whether such a call can be the one at which it begins.
    pub(super) fn is_of(self, call: Call) -> bool {
        match self {
            Self::Full => matches!(call, Call::Write | Call::Grow),
            Self::Write => matches!(call, Call::Write | Call::Grow | Call::Shrink),
            Self::Sync => call == Call::Sync,
            Self::Read => call == Call::Read,
        }
    }

    /// What the operating system says.
    pub(super) fn error(self) -> io::Error {
        match self {
            Self::Full => io::Error::new(io::ErrorKind::StorageFull, "no space left on device"),
            Self::Write | Self::Sync | Self::Read => io::Error::other("input/output error"),
        }
    }
}
