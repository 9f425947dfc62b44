//! How a store is opened.

use wharf_core::TimeMs;

use crate::limits::{CACHE_BYTES_DEFAULT, RESIDENT_BYTES_DEFAULT};

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// Memory that file pages are cached in.
    pub cache_bytes: usize,
    /// Memory for messages that wait for their first claim; past it they are read back from the file.
    pub resident_bytes_max: usize,
    /// 32 random bytes that key the hash of message ids, so that no sender can choose ids that collide. Kept in
    /// the file when it is created, ignored afterwards.
    pub id_key: [u8; 32],
    /// When it is opened: what the start itself decides is journalled with it.
    pub now: TimeMs,
    /// Bugs put in on purpose, to prove that the simulation finds them.
    #[doc(hidden)]
    pub planted: Planted,
}

impl Options {
    /// The usual ones, with fresh random bytes for a file that is yet to be created, and the time.
    #[must_use]
    pub fn new(id_key: [u8; 32], now: TimeMs) -> Self {
        Self {
            cache_bytes: CACHE_BYTES_DEFAULT,
            resident_bytes_max: RESIDENT_BYTES_DEFAULT,
            id_key,
            now,
            planted: Planted::None,
        }
    }
}

/// A bug put in on purpose. No configuration reaches it.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Planted {
    /// None.
    #[default]
    None,
    /// Waiters are answered, then the commit is made.
    AnswerBeforeCommit,
}
