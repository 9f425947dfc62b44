//! The id index: which ids were accepted, for de-duplication and for look-up by id. Exact.
//!
//! An entry is a keyed 128-bit hash of the id, a 128-bit hash of the content, and the message's number. A table
//! keyed by the hash would be the plain way, and is the trap: each id of a commit is another leaf page to copy.
//! So the index is a log-structured merge tree of its own, whose only write on the hot path is one value a commit.
//!
//! # How it works
//! - **Recent** ids are in a map in memory and in `table::id_log`, one value a commit. The map is changed after the
//!   commit that it mirrors, and rebuilt from the log at start.
//! - When there are enough of them, the next commit writes them all as one sorted **run** of blocks
//!   (`table::id_run`) and empties the log.
//! - Four runs of a level are **merged** into one of the next: [`merge`]. The writer does it in steps which ride on
//!   group commits. Every merge under way moves two entries for each new id, and four runs of a level hold as many
//!   entries as arrive until there are four more: so a merge is over in half of that time, a level never holds more
//!   than four runs being merged and three at rest, no commit pays for more than its own ids, and nothing depends
//!   on a clock. The manifest (`table::id_manifest`) says how far each merge is, so a crash resumes it.
//! - A **filter** a segment of a run (`table::id_filter`) says without a read that an id is not there. Filters are
//!   in memory within a budget: [`filters`]. Where one is not, its segment is read.
//! - **Forgetting**: ids of messages below a floor are as if never seen. Merges leave their entries out, and a run
//!   that lies below the floor as a whole is never read again: it is removed by the same steps.
//!
//! | what | holds | changed by |
//! | --- | --- | --- |
//! | `id_log` | recent ids | every commit with new messages; emptied into a run |
//! | `id_run`, `id_filter` | sorted blocks; what is in them | whole segments appended, consumed ones removed |
//! | `meta`: `ids` | floor, runs, merges and their next hash | commits that change one of them |
//!
//! A look-up asks the recent ids first and opens its snapshot after that: what leaves the map in between is in a
//! run of that snapshot.
//!
//! # When something is wrong
//! | fault | what happens |
//! | --- | --- |
//! | a crash between any two writes | a commit is all or nothing; the steps go on where the manifest says |
//! | a block cannot be read | only ids that fall into it cannot be looked up; its merge stands still, says so, and is tried again later; `check` names it |
//! | a filter cannot be read | its segment is read instead |
//!
//! # Drawbacks of the choice
//! - Each id is written once a level, 40 bytes each time: three times among a million, once more with four times as
//!   many.
//! - A commit that moves the recent ids into a run writes all of them at once, and takes some 3 to 10 ms for it.
//! - A new id asks the filter of every run, some three a level. Past the budget it costs a read a run.
//! - What is forgotten takes its space until its run is merged or lies below the floor as a whole.

mod change;
mod filters;
mod find;
mod load;
mod memory;
mod merge;
mod tables;

pub(crate) use change::{Change, Effects};
pub(crate) use find::Runs;
pub(crate) use load::load;
pub(crate) use memory::Ids;
