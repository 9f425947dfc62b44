//! Deferring: a claimed delivery goes back without an attempt, and is not claimed again before a time.
//!
//! No step of the status machine, and no journal row: nothing happened to the delivery, it only waits. That it does is on
//! disk, so that any number can be deferred: where they wait in the index is no more memory than other deliveries that wait
//! for a time. The drawback is a write each time.

use wharf_core::outcome::Effect;
use wharf_core::{ChannelName, DeliveryId, TimeMs, WireForm};

use crate::error::{ReadError, WriteError};
use crate::group::Group;
use crate::lease::Lease;
use crate::operation::settle::{Ended, How, Settled};
use crate::request::Write;
use crate::step::Current;
use crate::store::Store;
use crate::table::delivery::Row;
use crate::table::wire;

/// A claimed delivery that is not attempted now.
#[derive(Debug)]
pub struct Defer {
    /// The lease; ends with the commit.
    pub lease: Lease,
    /// It is not claimed before. One that someone has asked to cancel is, so that it is cancelled at once.
    pub until: TimeMs,
    /// What was to be sent, where conversion got that far. Stored if the delivery has none yet.
    pub wire: Option<WireForm>,
    /// What counts as a failure of it, for its failover alone: it spends no budget.
    pub failure: Option<Effect>,
}

impl Store {
    /// Defers leased deliveries in one commit, and answers for each, in order, once it is on disk: `Deferred`, or what
    /// kept it from being.
    pub async fn defer(&self, batch: Vec<Defer>) -> Result<Vec<Settled>, WriteError> {
        let ended: Vec<_> = batch.into_iter().map(Ended::from).collect();
        let bytes = ended.iter().map(Ended::bytes).sum();
        self.write(ended, bytes, Write::Settle).await
    }

    /// Makes deferred deliveries of a channel ready before their time, each named with that time. What is not in memory, or
    /// waits for another time by now, is left as it is. Returns how many were.
    ///
    /// Nothing is written: a restart finds those that were not claimed deferred as before.
    pub fn hasten(&self, channel: &ChannelName, deferred: &[(TimeMs, DeliveryId)]) -> usize {
        let (count, wake, next_due) = {
            let mut index = self.index().lock();
            let at = index.queue(channel);
            let count = index.hasten(at, deferred);
            (count, index.wake(), index.next_due())
        };
        self.shared.tell_next_due(next_due);
        wake.all();
        count
    }
}

impl From<Defer> for Ended {
    fn from(
        Defer {
            lease,
            until,
            wire,
            failure,
        }: Defer,
    ) -> Self {
        Self {
            wire: wire
                .filter(|_| !lease.has_wire)
                .map(|form| wire::encode(&form)),
            lease,
            how: How::Deferred { until, failure },
        }
    }
}

/// The writer's part.
pub(crate) fn apply(
    group: &mut Group<'_>,
    current: Current,
    until: TimeMs,
    failure: Option<Effect>,
    wire: Option<&[u8]>,
) -> Result<Settled, ReadError> {
    let before = &current.row;
    let row = Row {
        due: (!before.is_cancelled).then_some(until),
        has_wire: before.has_wire || wire.is_some(),
        failures: before.failures.and(failure),
        ..before.clone()
    };
    let filed = current.rewrite(group, &row, wire)?;
    group.changed();
    group.settled(filed);
    Ok(Settled::Deferred)
}
