//! Applies status updates from their durable queue, as many at once as are due.
//!
//! An update that cannot be applied yet waits for its channel's `receipt-grace`, longer each time, and is parked then. One
//! whose delivery is being attempted waits for the end of that, however long it takes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use wharf_core::{ChannelName, TimeMs, update};
use wharf_store::{Applied, Apply, Store, Waiting};

use crate::clock;
use crate::limits::{CLAIM_ERROR_WAIT, RECEIPT_GRACE_DEFAULT, UPDATES_A_ROUND_MAX};
use crate::reload::Live;
use crate::server::chain;

/// Longest sleep. A clock that was set shows after this time at the latest.
const SLEEP_MAX: Duration = Duration::from_secs(10);

/// What became of updates since the process began.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    pub(crate) applied: AtomicU64,
    pub(crate) known: AtomicU64,
    pub(crate) conflict: AtomicU64,
    pub(crate) parked: AtomicU64,
}

pub(crate) struct Applier {
    pub(crate) store: Store,
    pub(crate) live: watch::Receiver<Arc<Live>>,
    pub(crate) counted: Arc<Counted>,
}

impl Applier {
    /// Runs until `stop`. A missed wake-up costs at most [`SLEEP_MAX`].
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut changed = self.store.watch_updates();
        loop {
            changed.mark_unchanged();
            let sleep = match self.round(clock::now()).await {
                Ok(sleep) => sleep,
                Err(error) => {
                    tracing::error!(error, "status updates cannot be applied");
                    CLAIM_ERROR_WAIT
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                changed = changed.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(sleep) => {}
            }
        }
    }

    /// Applies what is due. Returns how long there is nothing to do, unless something comes.
    async fn round(&self, now: TimeMs) -> Result<Duration, String> {
        let found = self.store.updates_due(now, UPDATES_A_ROUND_MAX);
        let found = found.map_err(|error| chain(&error))?;
        let sleep = found
            .next
            .map_or(SLEEP_MAX, |next| next.since(now).min(SLEEP_MAX));
        if found.due.is_empty() {
            return Ok(sleep);
        }
        let batch = found.due.iter().map(|waiting| Apply {
            place: waiting.place,
            again: update::again(
                waiting.update.received_at,
                waiting.tries,
                self.grace(&waiting.update.channel),
                now,
            ),
            at: now,
        });
        let applied = self.store.apply(batch.collect()).await;
        let applied = applied.map_err(|error| chain(&error))?;
        for (waiting, applied) in found.due.iter().zip(applied) {
            self.tell(waiting, &applied);
        }
        Ok(sleep)
    }

    fn grace(&self, channel: &ChannelName) -> Duration {
        let live = self.live.borrow();
        let shown = live.channels.iter().find(|shown| shown.is(channel));
        shown.map_or(RECEIPT_GRACE_DEFAULT, |shown| shown.receipt_grace())
    }

    fn tell(&self, waiting: &Waiting, applied: &Applied) {
        let (number, channel) = (waiting.place.number, &waiting.update.channel);
        let count = |counter: &AtomicU64| {
            counter.fetch_add(1, Ordering::Relaxed);
        };
        match applied {
            Applied::Recorded { delivery, to, .. } => {
                count(&self.counted.applied);
                tracing::info!(update = number, channel = %channel, delivery = delivery.0, status = %to, "a status update was applied");
            }
            Applied::Known(delivery) => {
                count(&self.counted.known);
                tracing::debug!(update = number, channel = %channel, delivery = delivery.0, "a status update says what is known");
            }
            Applied::Conflict {
                delivery, status, ..
            } => {
                count(&self.counted.conflict);
                let reported = waiting.update.report.status.status();
                tracing::warn!(update = number, channel = %channel, delivery = delivery.0, status = %status, reported = %reported, "a status update contradicts how its delivery ended, and changes nothing");
            }
            Applied::Parked {
                number: parked,
                reason,
            } => {
                count(&self.counted.parked);
                tracing::warn!(update = number, channel = %channel, parked, reason, "a status update was parked");
            }
            Applied::Held(_) | Applied::Again(_) | Applied::Gone => {}
        }
    }
}
