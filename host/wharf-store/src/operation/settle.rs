//! Settling: the outcome of an attempt becomes the delivery's status, with its journal row, in one commit.

use bytes::Bytes;
use wharf_core::delivery::Transition;
use wharf_core::journal::Attempt;
use wharf_core::outcome::Effect;
use wharf_core::{Cause, Cursor, DeliveryId, Status, TimeMs, WireForm, operator};

use crate::error::{ReadError, WriteError};
use crate::group::{Filed, Group};
use crate::index::Index;
use crate::lease::Lease;
use crate::operation::defer;
use crate::operation::reserve::Reserve;
use crate::options::Planted;
use crate::request::Write;
use crate::step::{Current, Step};
use crate::store::Store;
use crate::table::delivery::Row;
use crate::table::{attempt, wire};

/// What the facts of an attempt mostly take, or less.
const ATTEMPT_ROOM_BYTES: usize = 256;

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
    /// It was to be tried again, and someone had asked to cancel it: it is cancelled, with this journal row.
    Cancelled(Cursor),
    /// The lease had been taken back: nothing changed.
    Stale,
    /// What is stored of the delivery cannot be read; the log says why. Nothing changed, and it is kept back until a
    /// restart.
    Unreadable,
    /// It was no settle: see [`crate::Defer`].
    Deferred,
}

/// The end of a lease made ready for the writer by its caller's thread.
pub(crate) struct Ended {
    pub(crate) lease: Lease,
    pub(crate) how: How,
    /// To be stored; only where none is.
    pub(crate) wire: Option<Vec<u8>>,
}

/// How a lease ends.
pub(crate) enum How {
    /// With a step of the status machine.
    Settled {
        transition: Transition,
        /// Its number, and its facts as they are stored. Those of a batch share one allocation.
        attempt: Option<(u32, Bytes)>,
        /// Whether the receiver could have acted on its failure.
        effect: Option<Effect>,
        at: TimeMs,
    },
    /// With none: its delivery is not claimed again before then.
    Deferred {
        until: TimeMs,
        failure: Option<Effect>,
    },
}

impl Store {
    /// Settles leased deliveries in one commit, and answers for each, in order, once it is on disk.
    ///
    /// One that is superseded has the delivery in reserve behind it made in the same commit.
    ///
    /// # Panics
    /// Where the status machine does not have the step, or where what is superseded has nothing in reserve: neither can
    /// change under a lease, so it is the caller's mistake.
    pub async fn settle(&self, batch: Vec<Settle>) -> Result<Vec<Settled>, WriteError> {
        let ended = prepare(batch);
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

/// Makes a batch ready for the writer.
fn prepare(batch: Vec<Settle>) -> Vec<Ended> {
    let mut facts = Vec::with_capacity(ATTEMPT_ROOM_BYTES * batch.len());
    let mut ends = Vec::with_capacity(batch.len());
    for settle in &batch {
        if let Some(attempt) = &settle.attempt {
            attempt::encode(attempt, &mut facts);
        }
        ends.push(facts.len());
    }
    let facts = Bytes::from(facts);
    let mut start = 0;
    let ended = batch.into_iter().zip(ends).map(|(settle, end)| {
        let facts = facts.slice(std::mem::replace(&mut start, end)..end);
        Ended::new(settle, facts)
    });
    ended.collect()
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
        facts: Bytes,
    ) -> Self {
        let (from, to) = (lease.status, transition.to);
        assert!(
            Status::allows(Some(from), to),
            "the status machine has no step {from} -> {to}"
        );
        assert!(
            to != Status::Superseded || lease.has_reserve,
            "no other channel is in reserve"
        );
        let is_wire_new = !to.is_final() && !lease.has_wire;
        Self {
            wire: wire.filter(|_| is_wire_new).map(|form| wire::encode(&form)),
            lease,
            how: How::Settled {
                transition,
                effect: attempt.as_ref().and_then(|attempt| attempt.effect),
                attempt: attempt.map(|attempt| (attempt.number, facts)),
                at,
            },
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        let facts = match &self.how {
            How::Settled { attempt, .. } => attempt.as_ref().map_or(0, |(_, facts)| facts.len()),
            How::Deferred { .. } => 0,
        };
        facts + self.wire.as_ref().map_or(0, Vec::len)
    }
}

/// The writer's part, where the lease is live.
pub(crate) fn apply(group: &mut Group<'_>, ended: Ended) -> Result<Settled, ReadError> {
    let id = ended.lease.delivery();
    let mut current = Current::leased(group, id, ended.lease.channel())?;
    current.ordered = ended.lease.ordered;
    let (transition, attempt, effect, at) = match ended.how {
        How::Settled {
            transition,
            attempt,
            effect,
            at,
        } => (transition, attempt, effect, at),
        How::Deferred { until, failure } => {
            return defer::apply(group, current, until, failure, ended.wire.as_deref());
        }
    };
    let before = &current.row;
    let wanted = transition.to;
    let transition = if before.is_cancelled {
        operator::cancelled_instead(before.status, transition)
    } else {
        transition
    };
    let Transition {
        to,
        cause,
        due,
        token,
    } = transition;
    let made = attempt.as_ref().map_or(0, |(number, _)| *number);
    // What cannot be read is found before anything is written.
    let reserve = (to == Status::Superseded).then(|| Reserve::behind(group, id));
    let reserve = reserve.transpose()?;
    let token = match (to, cause) {
        (Status::Pending | Status::Provisional, _) => token,
        // Nobody knows what became of it: redriven, it is asked for first.
        (Status::Dead, Cause::OutcomeUnknown) => token.or_else(|| before.token.clone()),
        _ => None,
    };
    let row = Row {
        status: to,
        attempts_count: before.attempts_count.max(made),
        due,
        token,
        has_wire: (before.has_wire || ended.wire.is_some()) && Row::keeps_wire(to),
        is_cancelled: before.is_cancelled && !to.is_final(),
        failures: before.failures.and(effect),
        ..before.clone()
    };
    let step = Step {
        row,
        cause,
        at,
        attempt: attempt.as_ref().map(|(_, facts)| &**facts),
        wire: ended.wire.as_deref(),
    };
    let (last, filed) = current.step(group, &step)?;
    group.settled(filed);
    if let Some(reserve) = reserve
        && group.planted != Planted::ForgetReserve
    {
        reserve.call_in(group, last, at)?;
    }
    Ok(if to == wanted {
        Settled::Recorded(last)
    } else {
        Settled::Cancelled(last)
    })
}

/// The index's part, after the commit.
pub(crate) fn file(index: &mut Index, filed: &Filed) {
    let at = index.end_settle(filed.id, filed.holds_key);
    index.file(at, filed);
}
