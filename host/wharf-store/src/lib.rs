//! The durable store: messages, their deliveries, the journal, and what has been seen before.
//!
//! One concrete [`Store`] over one file. Its commands are batched and carry no type of the engine below, so that
//! another engine can stand behind the same commands: the tests are written against the commands alone. This is
//! the only crate that names redb.
//!
//! # How it works
//! All writes go through one writer thread, the [`Engine`]. It blocks on the first request, takes what else is
//! waiting, applies it in one transaction, commits, brings the indexes in memory up to date, and only then answers
//! each waiter (*group commit*). Nothing is answered before it is on disk, and nothing is seen before either.
//!
//! What a commit changes is noted (`transaction`) and made durable as one record of a log (`wal`); every so often one is
//! a checkpoint, which puts the engine's tables on disk. A start applies what is in the log.
//!
//! Leases are in memory only: a crash makes every delivery ready again that was being attempted. A claim reads the
//! store only for what is not resident: after a retry, after a restart, or past the bound on resident bytes. After an
//! unclean stop claims go on disk before they are attempted, until what was ready at the start was tried once: what
//! kills the process is found and given up (`index::careful` says how).
//!
//! What is claimed and cannot be sent now is deferred ([`Store::defer`]): it waits for a time, without an attempt.
//!
//! A channel can keep the order of its messages' keys ([`Store::set_order`]): a claim leaves out whatever an earlier one of
//! its key keeps back (`index::order`).
//!
//! Operators' commands ([`Store::cancel`], [`Store::redrive`], [`Store::reroute`]) are commits of their own: they are decided on what is
//! stored and on where the index has a delivery, and within a group the index is behind. So is [`Store::apply`], of status
//! updates.
//!
//! # Layout
//! One value per commit, not one row per message: a random-keyed B-tree on the hot path costs a factor of three
//! and more. The messages of a commit are one `table::chunk`; where their deliveries stand is one
//! `table::tails` value beside it; the journal rows of a commit are one `table::journal` value. Only deliveries
//! that wait for something, or ended other than well, have a row of their own, in `table::delivery`; those of them that
//! can be sent are found by `table::due`, those that keep later ones of their key back by `table::order`, the others that can be sent by `open` tails. What is counted of each channel is a
//! `table::channel`. A start reads that, and neither tails nor rows. `table::keyed` and `table::claimed` are small, and
//! are in memory too. `table::parked` has what could not be used, from readers of the journal and of others' queues.
//!
//! Ids are kept apart, for de-duplication and for look-up: those of a commit are one `table::id_log` value, and go
//! on from there, with those of many commits, into sorted runs that are merged little by little: `ids`.
//!
//! What ended long enough ago is removed, a little at a time, and leaves a stub in its chunk; the journal is removed from
//! its front: `retention` says how what is old enough is found.
//!
//! # Drawbacks of the choice
//! - A settle rewrites the tails of its message's whole chunk (about 10 bytes a delivery).
//! - An id is written some four times before it comes to rest, and every so often a commit writes as many ids as
//!   were kept in memory: `ids` says more.
//! - Of each channel the first deliveries that wait are in memory, the rest is read on a page at a time (`index`). Where
//!   millions wait for one channel, each other channel that has more than its first ones reads past those once.
//! - After an unclean stop a commit comes before each attempt for a while, and what was being attempted then runs alone,
//!   one after the other: where receivers are slow, that takes long.
//! - What outlasts a checkpoint is written twice: into the log, and into the file. A checkpoint keeps everyone waiting for as
//!   long as writing that takes, some 20 ms.
//! - A store that was not closed is two files, which belong together.
//! - A commit that failed is *unknown*, not rolled back: the store refuses everything after it, and the process
//!   has to end. Message ids decide what the next one finds.
//! - After a failed sync Linux keeps pages in memory that never came to the disk, and takes them for written. A store in a
//!   file asks it to drop them (`backend::forget_cached`) before the process ends; one that is killed in between leaves
//!   them for the next to believe.

mod aliases;
mod backend;
mod channels;
mod check;
mod codec;
mod engine;
mod error;
mod group;
mod ids;
mod index;
mod lease;
mod limits;
mod maintain;
mod meter;
mod migrate;
mod open;
mod operation;
mod options;
mod read;
mod recover;
mod request;
mod retention;
mod stand;
mod step;
mod store;
mod table;
mod transaction;
mod wal;
mod walk;

pub use backend::{Backend, Backends};
pub use check::Report;
pub use engine::Engine;
pub use error::{
    CancelError, CheckError, CloseError, FileError, Malformed, OpenError, ReadError, SetStateError,
    UpdateError, WriteError,
};
pub use lease::Lease;
pub use limits::{
    CACHE_BYTES_DEFAULT, ID_FILTER_BYTES_DEFAULT, LIST_ENTRIES_MAX, PRUNE_VALUES_MAX,
    RESIDENT_BYTES_DEFAULT, STATE_BYTES_MAX, STATE_COUNT_MAX, STATE_NAME_BYTES_MAX,
    WAL_BYTES_DEFAULT,
};
pub use maintain::{
    BackupError, CompactError, Compacted, ExportError, ImportError, ImportStage, Inspection,
    Progress, StoreFile, TableBytes, TableSize, compact, import,
};
pub use meter::Distribution;
pub use operation::accept::{Accept, Accepted, Unrouted};
pub use operation::apply::{Applied, Apply};
pub use operation::cancel::{Cancel, Cancelled, Target};
pub use operation::claim::{Claim, Claims, Unpersisted};
pub use operation::defer::Defer;
pub use operation::get::{DeliveryView, MessageView};
pub use operation::journal::{JournalEntry, JournalPage, PassedOver, Unread};
pub use operation::list::{Entry, Filter, Of, Page};
pub use operation::park::Parked;
pub use operation::prune::{Gap, Prune, Pruned, Remains};
pub use operation::redrive::{Redrive, Redriven};
pub use operation::reroute::{Reroute, Rerouted};
pub use operation::settle::{Settle, Settled};
pub use operation::stats::{ChannelStats, Depths, IdStats, Stats};
pub use operation::updates::{DueUpdates, Place, Waiting};
pub use options::{IdSizes, Options, Planted, QueueSizes};
pub use store::{FailureReason, Store};
pub use table::state::{Counts, Space};
