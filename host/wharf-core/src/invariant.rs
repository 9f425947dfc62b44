//! The invariants, each defined once: simulation, tests and debug assertions all call these.

use crate::id::{Cursor, DeliveryId};
use crate::journal::{Row, Subject};
use crate::order;
use crate::status::{Cause, Status};

/// A broken promise.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// Invariant 3: the journal of a delivery is a path in the status machine.
    #[error("row {cursor} steps from {from:?} to {to}, which the status machine does not have")]
    NoSuchStep {
        /// The row.
        cursor: Cursor,
        /// Where it says it came from.
        from: Option<Status>,
        /// Where it went.
        to: Status,
    },
    /// Invariant 3: each row starts where the one before it ended.
    #[error("row {cursor} starts from {from:?}, the row before it ended at {before:?}")]
    Gap {
        /// The row.
        cursor: Cursor,
        /// Where it says it came from.
        from: Option<Status>,
        /// Where the row before it ended.
        before: Option<Status>,
    },
    /// Invariant 3: the last row equals the stored status.
    #[error("the journal ends at {journal:?}, the store says {stored}")]
    LastRow {
        /// The journal's end.
        journal: Option<Status>,
        /// The stored status.
        stored: Status,
    },
    /// Invariant 4: counters equal rows.
    #[error("counter {name} says {counter}, counting says {counted}")]
    Counter {
        /// Which one.
        name: &'static str,
        /// The stored counter.
        counter: u64,
        /// What counting gives.
        counted: u64,
    },
    /// Invariant 4: ready + leased + blocked + due + held + final = deliveries.
    #[error("{indexed} deliveries are in the indexes or final, {stored} are stored")]
    Partition {
        /// Sum over the indexes and the final ones.
        indexed: u64,
        /// Stored deliveries.
        stored: u64,
    },
    /// Invariant 4: a delivery that can be sent is nowhere, or in several places.
    #[error("delivery {id} is in {places} places from where it can be sent")]
    Places {
        /// The delivery.
        id: DeliveryId,
        /// In how many places it is.
        places: usize,
    },
    /// Invariant 1: something acknowledged is not there.
    #[error("message {0} was acknowledged and is lost")]
    Lost(String),
    /// Invariants 1 and 5: something is there twice, or differs from what was acknowledged.
    #[error("message {0} differs from what was acknowledged: {1}")]
    Changed(String, String),
    /// Invariant 2: a delivery has two live leases.
    #[error("delivery {0} is leased twice")]
    LeasedTwice(DeliveryId),
    /// Invariant 8: a delivery is sent before an earlier one of its key has let it go.
    #[error("delivery {id} is sent while {before}, of the same key, is {status}")]
    OutOfOrder {
        /// The one that is sent.
        id: DeliveryId,
        /// The earlier one.
        before: DeliveryId,
        /// Its stored status.
        status: Status,
    },
    /// Something stored cannot be read.
    #[error("{0}")]
    Unreadable(String),
    /// D8: what is known to be attempted is a delivery that can be.
    #[error("delivery {id} is claimed on disk, and is {status:?}")]
    Claimed {
        /// The delivery.
        id: DeliveryId,
        /// Its stored status; none where there is no such delivery.
        status: Option<Status>,
    },
    /// The store's tables contradict one another.
    #[error("the tables contradict one another: {0}")]
    Layout(String),
}

/// Invariant 3, for the rows of one delivery in order, given its stored status.
pub fn journal_is_a_path(rows: &[Row], stored: Status) -> Result<(), Violation> {
    let mut before = None;
    for row in rows {
        if let Subject::Delivery { from, to, .. } = row.subject {
            before = Some(journal_step(before, row, from, to)?);
        }
    }
    journal_ends_at(before, stored)
}

/// Invariant 3, for one row of a delivery, which steps from one status to another, given where the row before it ended.
/// Returns where this one ends. A conflict is no step: it is about a delivery that has ended, and stays there.
pub fn journal_step(
    before: Option<Status>,
    row: &Row,
    from: Option<Status>,
    to: Status,
) -> Result<Status, Violation> {
    let cursor = row.cursor;
    let is_conflict = row.cause == Cause::Conflict;
    if from != before {
        return Err(Violation::Gap {
            cursor,
            from,
            before,
        });
    }
    let is_right = match is_conflict {
        true => from == Some(to) && to.is_final(),
        false => Status::allows(from, to),
    };
    if !is_right {
        return Err(Violation::NoSuchStep { cursor, from, to });
    }
    Ok(to)
}

/// Invariant 3, for the end of a delivery's journal.
pub fn journal_ends_at(journal: Option<Status>, stored: Status) -> Result<(), Violation> {
    if journal == Some(stored) {
        Ok(())
    } else {
        Err(Violation::LastRow { journal, stored })
    }
}

/// D8, for one claim on disk, given its delivery's stored status.
pub fn claimed_can_be_sent(id: DeliveryId, status: Option<Status>) -> Result<(), Violation> {
    if status.is_some_and(Status::is_sendable) {
        Ok(())
    } else {
        Err(Violation::Claimed { id, status })
    }
}

/// Invariant 8, for a delivery that takes part in its channel's order and is about to be sent, given the stored statuses of
/// others of its channel and key that take part.
pub fn nothing_earlier_holds_it(
    id: DeliveryId,
    others: impl IntoIterator<Item = (DeliveryId, Status)>,
    policy: order::Policy,
) -> Result<(), Violation> {
    for (before, status) in others {
        if before < id && order::holds(status, policy).is_some() {
            return Err(Violation::OutOfOrder { id, before, status });
        }
    }
    Ok(())
}

/// Invariant 4, for one counter.
pub fn counter_equals_rows(
    name: &'static str,
    counter: u64,
    counted: u64,
) -> Result<(), Violation> {
    if counter == counted {
        Ok(())
    } else {
        Err(Violation::Counter {
            name,
            counter,
            counted,
        })
    }
}

/// Invariant 4, for one delivery that can be sent: it waits in memory, or is being attempted or kept back, or will be
/// read from disk.
pub fn delivery_is_in_one_place(id: DeliveryId, places: usize) -> Result<(), Violation> {
    if places == 1 {
        Ok(())
    } else {
        Err(Violation::Places { id, places })
    }
}

/// How the deliveries are spread, for [`deliveries_are_partitioned`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Spread {
    /// Can be claimed now.
    pub ready: u64,
    /// Being attempted.
    pub leased: u64,
    /// Kept back by order, pause or limit, or because it cannot be read.
    pub blocked: u64,
    /// Waiting for a time: retrying, delayed, pending and provisional.
    pub due: u64,
    /// Stashed by the resequencer.
    pub held: u64,
    /// In a final status.
    pub ended: u64,
}

/// Invariant 4: every delivery is in exactly one place.
pub fn deliveries_are_partitioned(spread: Spread, stored: u64) -> Result<(), Violation> {
    let Spread {
        ready,
        leased,
        blocked,
        due,
        held,
        ended,
    } = spread;
    let indexed = ready + leased + blocked + due + held + ended;
    if indexed == stored {
        Ok(())
    } else {
        Err(Violation::Partition { indexed, stored })
    }
}
