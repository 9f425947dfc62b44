//! Every limit of the store, each with its reason.

use std::time::Duration;

/// A page of the engine. It rounds a value up to 2^k of them.
pub(crate) const PAGE_BYTES: usize = 4 << 10;

/// What the engine puts beside a value that has pages of its own, at most.
pub(crate) const OVERHEAD_BYTES: usize = 128;

/// Size up to which the values of one commit share one blob: 256 KiB measured best.
pub(crate) const BLOB_BYTES_MAX: usize = (256 << 10) - OVERHEAD_BYTES;

/// Messages and settles that one group commit takes at most. Past 1024 a larger group gains little (742k against
/// 541k messages/s at 256), and everyone in the group waits for its whole commit.
pub(crate) const GROUP_ITEMS_MAX: usize = 4096;

/// Bytes that one group commit takes at most: what a commit writes is held in memory until its sync. One request
/// is taken whole, however large.
pub(crate) const GROUP_BYTES_MAX: usize = 8 << 20;

/// Requests that wait for the writer at most; whoever comes later awaits (back-pressure).
pub(crate) const REQUESTS_WAITING_MAX: usize = 1024;

/// KiB of messages and wire forms that wait for the writer at most: eight full groups.
pub(crate) const REQUESTS_WAITING_KIB_MAX: usize = 64 << 10;

/// Unclean starts that find a delivery claimed before it is given up. At the first it was one of many, and is tried
/// alone; at the second it was alone.
pub(crate) const FOUND_CLAIMED_MAX: u8 = 2;

/// How long other channels wait for one that has a delivery to try alone and does not come for it: twice the usual
/// time-out of a call, so that what is being attempted ends before.
pub(crate) const SUSPECT_TURN: Duration = Duration::from_secs(60);

/// Length of a named value's name: a channel's and a lane's fit.
pub const STATE_NAME_BYTES_MAX: usize = 512;

/// Size of a named value. All are in memory; it is for marks and reasons.
pub const STATE_BYTES_MAX: usize = 4 << 10;

/// Named values, at most: 18 MB of memory with the two above, where every one of them is as large as it may be.
pub const STATE_COUNT_MAX: u64 = 4096;

/// Deliveries that a call of `list` looks at, at most: it holds up its caller's thread, here for some milliseconds.
pub(crate) const LIST_SCAN_MAX: usize = 16 << 10;

/// Entries of a page of `list`, at most. Each is put together from several values.
pub const LIST_ENTRIES_MAX: usize = 1000;

/// Journal rows that are looked through for the last attempt of a listed delivery. Commands write rows without one;
/// nobody gives a delivery so many of them between two attempts.
pub(crate) const LIST_LOOK_BACK_ROWS: usize = 8;

/// Stored values that a call of `prune` looks at, at most. A value is one commit's, so this is a few milliseconds of a
/// commit that others wait for.
pub const PRUNE_VALUES_MAX: usize = 256;

/// Bytes of messages that a call of `prune` reads to put stubs in their place, one chunk more at most: as many as a group
/// commit writes, and some milliseconds where they are not cached.
pub(crate) const PRUNE_READ_BYTES_MAX: usize = 4 << 20;

/// Memory that the engine caches pages in. Measured: 64 to 256 MiB are as fast as its default of 1 GiB.
pub const CACHE_BYTES_DEFAULT: usize = 128 << 20;

/// Length of the log. A commit that finds it full is a checkpoint, for which everyone waits: that is in proportion, and so
/// is what a start reads after a crash.
pub const WAL_BYTES_DEFAULT: u64 = 16 << 20;

/// How much longer the log gets at once, until it has its length: what is written once is quicker to write again.
pub(crate) const WAL_STEP_BYTES: u64 = 1 << 20;

/// Memory for messages between their acceptance and their first claim. At 100k messages/s of 1 KiB it is half a
/// second of work, which is more than a dispatcher that keeps up ever has waiting.
pub const RESIDENT_BYTES_DEFAULT: usize = 64 << 20;

/// Deliveries of a channel that can be claimed and are in memory, besides those whose messages are: some 300 KB. A
/// thousand channels that are all behind take as much as everything else that is cached.
pub(crate) const READY_COUNT_MAX: usize = 8 << 10;

/// Deliveries of a channel in memory that wait for a time: some 200 KB.
pub(crate) const DUE_COUNT_MAX: usize = 8 << 10;

/// Deliveries that are read from the file at once when those in memory are used up: a few reads where they came in large
/// commits, a few thousand small ones, about 2 ms, where each came alone.
pub(crate) const PAGE_COUNT: usize = 4 << 10;

/// Slots that are looked at for one page, at most: those of other channels are passed over.
pub(crate) const PAGE_SLOTS_MAX: usize = 64 << 10;

/// Pages that one claim reads at most before it says that there is nothing yet.
pub(crate) const PAGES_A_CLAIM_MAX: usize = 4;

/// Buckets of a [`crate::Distribution`], each twice as wide as the one before: 2^23 µs is 8 s, longer than any
/// commit that is not a broken disk.
pub(crate) const BUCKETS_COUNT: usize = 24;

/// A group of so many requests says that there is load: more will come while the writer waits. One sender that waits
/// for each answer makes groups of one or two, however large its batches, and is never kept waiting.
pub(crate) const GATHER_ABOVE_REQUESTS: usize = 8;

/// How long the writer gathers under load. Less than an fsync on a busy disk; measured: it makes groups four times as
/// large in a closed loop of 64 senders.
pub(crate) const GATHER_WAIT: Duration = Duration::from_micros(300);

/// The writer waits for as few requests as came together before, without going to sleep, for this share of the time that
/// their commit took: what it saves is another commit.
pub(crate) const GATHER_FEW_SHARE: u32 = 2;

/// And no longer: a caller makes a thousand messages ready in this time.
pub(crate) const GATHER_FEW_WAIT_MAX: Duration = Duration::from_millis(1);

/// Ids in memory, and in the log, before they go into a run. They take some 6 MB, and a start reads them back in 10 ms.
/// Their run is 2.6 MB written at once, a third of a full group. Half as many would save half of that and add half a
/// level to merge.
pub(crate) const ID_RECENT_COUNT_MAX: usize = 64 << 10;

/// Entries of a block: 16 KiB for a look-up to read. See [`BLOB_BYTES_MAX`] for the 128 bytes less.
pub(crate) const ID_BLOCK_ENTRIES: usize = ((16 << 10) - 128) / 40;

/// Entries of a segment, which has one filter, and which is what a step of a merge moves at once: as many blocks as a
/// filter of one page stands for. A step writes 100 KiB, as much as a commit of a hundred small messages.
pub(crate) const ID_SEGMENT_ENTRIES: usize = 6 * ID_BLOCK_ENTRIES;

/// Bits of a filter for each id in it: one of some 250 ids that are not there is looked for in vain.
pub(crate) const ID_FILTER_BITS: usize = 13;

/// Runs that are merged into one. With fewer each id is written more often, with more a new id asks more filters.
pub(crate) const ID_RUNS_MERGED: usize = 4;

/// Entries that each merge moves for a new id. With 1 it would end when the next one has to begin, at the latest.
pub(crate) const ID_MERGE_RATE: u64 = 2;

/// Memory for filters of ids: those of some forty million. Past it, what is not in memory is read from the file: a
/// new id costs one read a run at most.
pub const ID_FILTER_BYTES_DEFAULT: usize = 64 << 20;

/// Bytes of a commit while a store is copied: large enough that its sync costs nothing beside them, small enough to be
/// held in memory until then.
pub(crate) const COPY_COMMIT_BYTES: usize = 8 << 20;

/// Memory that a copy's pages are cached in while it is made. Each is written once: it holds those of one commit.
pub(crate) const COPY_CACHE_BYTES: usize = 32 << 20;

/// Bytes of a commit while an export is imported, for the same reason.
pub(crate) const IMPORT_COMMIT_BYTES: usize = COPY_COMMIT_BYTES;

/// Length of a line of an export: the largest payload with each byte an escape of six, and as much again around it.
pub(crate) const IMPORT_LINE_BYTES_MAX: u64 = 12 * wharf_core::limits::PAYLOAD_BYTES_HARD as u64;

/// Commits of which a planted bug strikes one: what strikes always would be found by anything.
pub(crate) const PLANTED_ONE_IN: u64 = 32;

/// Removed messages whose ids are held in memory at once during an export: 48 MiB.
pub(crate) const KNOWN_IDS_COUNT: usize = 1 << 20;
