//! Takes ready deliveries and sees each through one attempt: claim → hooks and exchange → settle.
//!
//! No transaction is held while hooks run. What a crash interrupts is ready again at the next start, because a
//! claim is only a lease in memory.

mod annotate;
mod attempt;
mod channel;
mod claim;
mod convert;
mod exchange;
mod hook;
mod prepare;
mod promote;
mod running;
mod send;
mod trace;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use wharf_core::ChannelName;
use wharf_store::{Claim, Settle, Settled, Store};

pub(crate) use channel::{Channel, bind};
pub(crate) use promote::promote;

use running::{Place, Running};

use crate::disk::Room;
use crate::limits::{CLAIM_BATCH_MAX, CLAIM_ERROR_WAIT, UNSETTLED_PER_PARALLEL};
use crate::pauses::Pause;

/// Works off one channel's deliveries.
pub(crate) struct Dispatcher {
    pub(crate) store: Store,
    pub(crate) name: ChannelName,
    /// The channel as it is now: an attempt keeps the one that it begins with. None while it cannot deliver: what is
    /// ready waits.
    pub(crate) channel: watch::Receiver<Option<Arc<Channel>>>,
    /// What is ready waits as well while this has a pause.
    pub(crate) paused: watch::Receiver<Option<Arc<Pause>>>,
    /// And while the disk has no room for what comes of it.
    pub(crate) room: watch::Receiver<Room>,
}

impl Dispatcher {
    /// Runs until `stop`, then until what is in flight has settled. Cancelled before that, the attempts in
    /// flight are dropped, and with them their leases: they are ready again.
    ///
    /// Two things are bounded apart from each other: attempts that run, by the channel's parallelism, and
    /// deliveries that are claimed and not settled, which is what a crash can repeat. An attempt that has ended
    /// makes place for the next one while its settle waits for its commit.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let Self {
            store,
            name,
            mut channel,
            mut paused,
            room: mut disk,
        } = self;
        let running = Arc::new(Running::default());
        let mut unsettled = JoinSet::new();
        loop {
            while let Some(ended) = unsettled.try_join_next() {
                report(ended);
            }
            let parallelism = channel.borrow_and_update().as_ref().map(|c| c.parallelism);
            let is_paused = paused.borrow_and_update().is_some();
            let is_held = is_paused || *disk.borrow_and_update() == Room::Nothing;
            let Some(parallelism) = parallelism.filter(|_| !is_held) else {
                let changed = tokio::select! {
                    () = stop.cancelled() => break,
                    changed = channel.changed() => changed,
                    changed = paused.changed() => changed,
                    changed = disk.changed() => changed,
                };
                match changed {
                    Ok(()) => continue,
                    Err(_closed) => break,
                }
            };
            let places = parallelism.saturating_sub(running.count());
            let room = (parallelism * UNSETTLED_PER_PARALLEL)
                .saturating_sub(unsettled.len())
                .min(places)
                .min(CLAIM_BATCH_MAX);
            let claims = match room {
                0 => Vec::new(),
                room => match claim::claim(&store, &name, room).await {
                    Ok(claims) => claims,
                    Err(error) => {
                        tracing::error!(channel = %name, error = &error as &dyn std::error::Error, "cannot claim what is ready");
                        tokio::select! {
                            () = stop.cancelled() => break,
                            () = tokio::time::sleep(CLAIM_ERROR_WAIT) => continue,
                        }
                    }
                },
            };
            if stop.is_cancelled() {
                break;
            }
            // A claim can take a commit: what was stopped meanwhile gives back what it got.
            if paused.borrow().is_some() || *disk.borrow() == Room::Nothing {
                continue;
            }
            if claims.is_empty() {
                tokio::select! {
                    () = stop.cancelled() => break,
                    Some(ended) = unsettled.join_next() => report(ended),
                    () = running.one_less(), if places == 0 => {}
                    () = store.ready(&name), if room > 0 => {}
                }
                continue;
            }
            // Not held while this loop waits: an idle channel would keep an old version's instances.
            let Some(current) = channel.borrow().clone() else {
                continue;
            };
            for claim in claims {
                let place = Place::among(&running);
                unsettled.spawn(deliver(store.clone(), Arc::clone(&current), claim, place));
            }
        }
        while let Some(ended) = unsettled.join_next().await {
            report(ended);
        }
    }
}

/// Sees a claim through its attempt, in a place among those that run, and then through its settle.
async fn deliver(store: Store, channel: Arc<Channel>, mut claim: Claim, place: Place) {
    let attempt = AssertUnwindSafe(attempt::run(&channel, &mut claim))
        .catch_unwind()
        .await;
    // A bug of ours must not make a delivery ready again at once, for ever: it costs an attempt like a plugin's fault.
    let ended = attempt.unwrap_or_else(|_panic| attempt::panicked(&channel, &claim));
    drop(place);
    if let Some(attempt) = &ended.attempt {
        let took = Duration::from_micros(attempt.duration_us);
        channel.numbers.attempt(ended.transition.to, took);
    }
    let delivery = claim.lease.delivery().0;
    let settle = Settle {
        lease: claim.lease,
        transition: ended.transition,
        at: ended.at,
        attempt: ended.attempt,
        wire: ended.wire,
    };
    match store.settle(vec![settle]).await.as_deref() {
        Ok([Settled::Recorded(_)]) => {}
        Ok([Settled::Cancelled(_)]) => {
            tracing::info!(message_id = %claim.message.id, delivery, channel = %channel.name, "not tried again: it was cancelled meanwhile");
        }
        Ok([Settled::Stale]) => {
            tracing::error!(message_id = %claim.message.id, delivery, channel = %channel.name, "an attempt's lease was stale; nothing was recorded");
        }
        // The store has said why.
        Ok([Settled::Unreadable]) => {
            tracing::error!(message_id = %claim.message.id, delivery, channel = %channel.name, "what became of an attempt is not recorded: what is stored of it cannot be read");
        }
        Ok([Settled::Deferred]) => unreachable!("it was settled"),
        Ok(answers) => unreachable!("one settle is answered once, not {} times", answers.len()),
        // The store has failed and the process ends; the next start tries the delivery again.
        Err(_) => {
            tracing::warn!(message_id = %claim.message.id, delivery, channel = %channel.name, "an attempt's outcome was not recorded");
        }
    }
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a delivery panicked; it is ready again");
    }
}
