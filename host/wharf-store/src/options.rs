//! How a store is opened.

use wharf_core::{Cursor, TimeMs};

use crate::limits::{
    CACHE_BYTES_DEFAULT, DUE_COUNT_MAX, ID_BLOCK_ENTRIES, ID_FILTER_BYTES_DEFAULT,
    ID_RECENT_COUNT_MAX, ID_SEGMENT_ENTRIES, PAGE_COUNT, PLANTED_ONE_IN, READY_COUNT_MAX,
    RESIDENT_BYTES_DEFAULT, WAL_BYTES_DEFAULT,
};

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct Options {
    /// Memory that file pages are cached in.
    pub cache_bytes: usize,
    /// Memory for messages that wait for their first claim; past it they are read back from the file.
    pub resident_bytes_max: usize,
    /// Memory for the filters that say which ids were never seen; past it the file is read.
    pub id_filter_bytes_max: usize,
    /// Length of the log that commits go to before they go to the file.
    pub wal_bytes_max: u64,
    /// 32 random bytes that key the hash of message ids, so that no sender can choose ids that collide. Kept in
    /// the file when it is created, ignored afterwards.
    pub id_key: [u8; 32],
    /// When it is opened: what the start itself decides is journalled with it.
    pub now: TimeMs,
    /// Sizes of the id index. No configuration reaches them, and a file may be opened with others than before.
    #[doc(hidden)]
    pub id_sizes: IdSizes,
    /// Sizes of what waits in memory. No configuration reaches them.
    #[doc(hidden)]
    pub queue_sizes: QueueSizes,
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
            id_filter_bytes_max: ID_FILTER_BYTES_DEFAULT,
            wal_bytes_max: WAL_BYTES_DEFAULT,
            id_key,
            now,
            id_sizes: IdSizes::default(),
            queue_sizes: QueueSizes::default(),
            planted: Planted::None,
        }
    }
}

/// Sizes of the id index, in entries. Tests make them small, so that runs are written and merged all the time.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct IdSizes {
    /// Ids in memory before they go into a run.
    pub recent: usize,
    /// Ids in a block; not 0.
    pub block: usize,
    /// Ids in a segment, which a step of a merge moves; not 0.
    pub segment: usize,
}

impl Default for IdSizes {
    fn default() -> Self {
        Self {
            recent: ID_RECENT_COUNT_MAX,
            block: ID_BLOCK_ENTRIES,
            segment: ID_SEGMENT_ENTRIES,
        }
    }
}

/// Sizes of what waits in memory, each of one channel. Tests make them small, so that much is on disk alone; none is 0.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct QueueSizes {
    /// Deliveries that can be claimed, new ones and others each, apart from those whose messages are in memory.
    pub ready: usize,
    /// Deliveries that wait for a time.
    pub due: usize,
    /// Deliveries that are read at once.
    pub page: usize,
}

impl Default for QueueSizes {
    fn default() -> Self {
        Self {
            ready: READY_COUNT_MAX,
            due: DUE_COUNT_MAX,
            page: PAGE_COUNT,
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
    /// Recent ids are written as a run that no manifest knows.
    LoseIdRun,
    /// A step is answered and journalled, and where its delivery stands is not written.
    DropAcknowledgement,
    /// A settle counts although its lease was taken back, where the delivery has another one.
    IgnoreFence,
    /// A delivery that is to be tried again is stored without the time.
    ForgetDue,
    /// The last journal row of a commit is not written.
    DropJournalRow,
    /// Messages are removed as soon as they ended.
    PruneTooEarly,
    /// A delivery is superseded, and what stands in for it is not made.
    ForgetReserve,
    /// A delivery that is to be tried again does not keep later ones of its key back.
    ForgetOrder,
    /// A status update is applied, and stays in the queue.
    KeepUpdate,
    /// The last row that a commit changes is not in its record of the log.
    LoseLogChange,
}

impl Planted {
    /// What strikes in the commit whose first journal row this is.
    pub(crate) fn in_commit(self, first: Cursor) -> Self {
        match first.0.is_multiple_of(PLANTED_ONE_IN) {
            true => self,
            false => Self::None,
        }
    }
}
