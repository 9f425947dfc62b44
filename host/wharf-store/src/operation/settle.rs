//! Settling: the outcome of an attempt becomes the delivery's status, with its journal row, in one commit.

use redb::ReadableTable;
use wharf_core::delivery::Transition;
use wharf_core::journal::{Attempt, Subject};
use wharf_core::{Cursor, DeliveryId, Status, TimeMs, WireForm};

use crate::error::{Malformed, ReadError, WriteError};
use crate::group::Group;
use crate::index::Index;
use crate::lease::Lease;
use crate::request::Write;
use crate::store::Store;
use crate::table::delivery::Row;
use crate::table::journal::Draft;
use crate::table::tails::{Place, Tail};
use crate::table::{attempt, wire};

/// How a leased delivery goes on.
#[derive(Debug)]
pub struct Settle {
    /// The lease; ends with the commit.
    pub lease: Lease,
    /// The step of the status machine.
    pub transition: Transition,
    /// The facts of the attempt; none where none was made, as for an expired message.
    pub attempt: Option<Attempt>,
    /// What was to be sent, where conversion got that far. Stored if the delivery goes on and has none yet.
    pub wire: Option<WireForm>,
    /// When.
    pub at: TimeMs,
}

/// What became of a settle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// It stands, with this journal row.
    Recorded(Cursor),
    /// The lease had been taken back: nothing changed.
    Stale,
}

/// A settle made ready for the writer by its caller's thread.
pub(crate) struct Ended {
    pub(crate) lease: Lease,
    transition: Transition,
    attempt: Option<(u32, Vec<u8>)>,
    wire: Option<Vec<u8>>,
    at: TimeMs,
}

impl Store {
    /// Settles leased deliveries in one commit, and answers for each, in order, once it is on disk.
    ///
    /// # Panics
    /// Where the status machine does not have the step: a status cannot change under a lease, so it is the
    /// caller's mistake.
    pub async fn settle(&self, batch: Vec<Settle>) -> Result<Vec<Settled>, WriteError> {
        let ended: Vec<_> = batch.into_iter().map(Ended::new).collect();
        let bytes = ended.iter().map(Ended::bytes).sum();
        self.write(ended, bytes, Write::Settle).await
    }

    /// Takes a lease back, as from a worker that is thought lost: the delivery is ready again, and what the worker
    /// still settles is stale. False where there is no lease, or where its settle is being committed.
    pub fn revoke(&self, delivery: DeliveryId) -> bool {
        let (is_revoked, wake) = {
            let mut index = self.index().lock();
            (index.release(delivery, None), index.wake())
        };
        wake.all();
        is_revoked
    }
}

impl Ended {
    fn new(
        Settle {
            lease,
            transition,
            attempt,
            wire,
            at,
        }: Settle,
    ) -> Self {
        let (from, to) = (lease.status, transition.to);
        assert!(
            Status::allows(Some(from), to),
            "the status machine has no step {from} -> {to}"
        );
        let is_wire_new = !to.is_final() && !lease.has_wire;
        Self {
            attempt: attempt.map(|facts| (facts.number, attempt::encode(&facts))),
            wire: wire.filter(|_| is_wire_new).map(|form| wire::encode(&form)),
            lease,
            transition,
            at,
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.attempt.as_ref().map_or(0, |(_, facts)| facts.len())
            + self.wire.as_ref().map_or(0, Vec::len)
    }
}

/// The writer's part, for a settle whose lease is live.
pub(crate) fn apply(group: &mut Group<'_>, ended: &Ended) -> Result<Cursor, ReadError> {
    let id = ended.lease.delivery();
    let Transition {
        to,
        cause,
        due,
        token,
    } = &ended.transition;
    let (slot, tail) = group.tail(id)?;
    let Place::Delivery(from, had_row) = tail.place else {
        return Err(Malformed("a delivery's slot says that its message has none").into());
    };
    debug_assert!(Status::allows(Some(from), *to), "no step {from} -> {to}");
    let last = group.journal(&Draft {
        previous: Some(tail.last),
        subject: Subject::Delivery {
            id,
            from: Some(from),
            to: *to,
        },
        cause: *cause,
        at: ended.at,
        due: *due,
        attempt: ended.attempt.as_ref().map(|(_, facts)| facts.as_slice()),
    })?;
    let before = if had_row { Some(row(group, id)?) } else { None };
    let has_row = Row::is_needed(*to, *due);
    let had_wire = before.as_ref().is_some_and(|row| row.has_wire);
    let has_wire = (had_wire || ended.wire.is_some()) && Row::keeps_wire(*to);
    if let Some(form) = &ended.wire {
        group.wire.insert(id.0, form.as_slice())?;
    } else if had_wire && !has_wire {
        group.wire.remove(id.0)?;
    }
    if has_row {
        let made = ended.attempt.as_ref().map_or(0, |(number, _)| *number);
        let row = Row {
            status: *to,
            channel: ended.lease.channel().clone(),
            attempts_count: before.map_or(0, |row| row.attempts_count).max(made),
            due: *due,
            token: token.clone(),
            has_wire,
        };
        group.delivery.insert(id.0, row.encode().as_slice())?;
    } else if had_row {
        group.delivery.remove(id.0)?;
    }
    group.set_tail(
        slot,
        Tail {
            place: Place::Delivery(*to, has_row),
            last,
        },
    );
    group.settled(id, *to, *due);
    Ok(last)
}

fn row(group: &Group<'_>, id: DeliveryId) -> Result<Row, ReadError> {
    let value = group
        .delivery
        .get(id.0)?
        .ok_or(Malformed("a delivery has no row"))?;
    Ok(Row::decode(value.value())?)
}

/// The index's part, after the commit.
pub(crate) fn file(index: &mut Index, id: DeliveryId, status: Status, due: Option<TimeMs>) {
    let at = index.end_settle(id);
    index.file(at, id, status, due);
}
