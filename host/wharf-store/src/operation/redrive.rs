//! Redriving: the only way on for a delivery that has ended.

use tracing::error;
use wharf_core::retry::Budget;
use wharf_core::{Cause, ChannelName, Cursor, DeliveryId, Status, TimeMs, operator};

use crate::error::{ReadError, WriteError};
use crate::group::{Filed, Group};
use crate::index::Index;
use crate::request::Write;
use crate::step::{Current, Found, Step};
use crate::store::Store;
use crate::table::delivery::Row;

/// A request to try a delivery again that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redrive {
    /// Which one.
    pub delivery: DeliveryId,
    /// Whether it is enriched and converted anew; otherwise what was sent before is sent again as it is.
    pub reconvert: bool,
    /// Whether its attempts carry another idempotency key from now on, so that a receiver that has seen the old one
    /// takes it as new.
    pub new_key: bool,
    /// When.
    pub at: TimeMs,
}

/// What became of a request to redrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redriven {
    /// It goes on.
    Recorded {
        /// Its journal row.
        row: Cursor,
        /// Its status: queued; or pending, due at once, where nobody knows what became of it.
        to: Status,
    },
    /// It has this status, out of which no redrive leads. Nothing changed.
    Refused(Status),
    /// There is no such delivery.
    Unknown,
    /// What is stored of it cannot be read; the log says why. Nothing changed.
    Unreadable,
}

impl Store {
    /// Redrives deliveries in one commit, and answers for each, in order, once it is on disk. Attempt numbers go on
    /// rising, the retry budget begins anew.
    pub async fn redrive(&self, batch: Vec<Redrive>) -> Result<Vec<Redriven>, WriteError> {
        let bytes = batch.len() * size_of::<Redrive>();
        self.write(batch, bytes, Write::Redrive).await
    }
}

/// The writer's part. What has ended is nowhere in the index, so that nobody else can be at it.
pub(crate) fn apply(group: &mut Group<'_>, wanted: &Redrive) -> Result<Redriven, ReadError> {
    let id = wanted.delivery;
    let current = match Current::find(group, id)? {
        Found::Current(current) => current,
        Found::Unknown => return Ok(Redriven::Unknown),
        Found::Unreadable(cause) => {
            error!(delivery = %id, error = &cause as &dyn std::error::Error, "a delivery cannot be read and is not redriven");
            return Ok(Redriven::Unreadable);
        }
    };
    let before = &current.row;
    let Some(to) = operator::redrive(before.status, before.token.is_some()) else {
        return Ok(Redriven::Refused(before.status));
    };
    let is_polled = to == Status::Pending;
    let row = Row {
        status: to,
        due: is_polled.then_some(wanted.at),
        token: before.token.clone().filter(|_| is_polled),
        has_wire: before.has_wire && !wanted.reconvert,
        key_generation: before.key_generation + u32::from(wanted.new_key),
        redriven: Some(Budget {
            attempts_before: before.attempts_count,
            began_at: wanted.at,
        }),
        failures: before.failures.redriven(),
        ..before.clone()
    };
    let step = Step {
        row,
        cause: Cause::Redriven,
        at: wanted.at,
        attempt: None,
        wire: None,
    };
    let (last, filed) = current.step(group, &step)?;
    group.refiled(&current.row.channel, filed);
    Ok(Redriven::Recorded { row: last, to })
}

/// The index's part, after the commit.
pub(crate) fn file(index: &mut Index, channel: &ChannelName, filed: &Filed) {
    let at = index.queue(channel);
    index.file(at, filed);
}
