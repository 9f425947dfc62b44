//! Takes ready deliveries and sees each through one attempt: claim → hooks and exchange → settle.
//!
//! No transaction is held while hooks run. What a crash interrupts is ready again at the next start, because a
//! claim is only a lease in memory.

mod annotate;
mod attempt;
mod channel;
mod claim;
mod convert;
mod dispatchers;
mod exchange;
mod hook;
mod lanes;
mod pause;
mod prepare;
mod promote;
mod send;
mod settle;
mod trace;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use wharf_core::{ChannelName, TimeMs, WireForm};
use wharf_store::{Claim, Store};

pub(crate) use channel::{Channel, bind};
pub(crate) use convert::cut;
pub(crate) use dispatchers::Dispatchers;
pub(crate) use lanes::{LaneNumbers, LaneShown, Lanes};
pub(crate) use promote::promote;

use attempt::Ended;
use lanes::{Answer, LaneName, Reason, Room as Claimable, Sorting};

use crate::clock;
use crate::disk::Room;
use crate::limits::{CLAIM_BATCH_MAX, CLAIM_ERROR_WAIT, UNSETTLED_PER_PARALLEL};
use crate::pauses::{LanePauses, Pause, Pauses};

/// Works off one channel's deliveries.
struct Dispatcher {
    store: Store,
    name: ChannelName,
    /// The channel as it is now: an attempt keeps the one that it begins with. None while it cannot deliver: what is
    /// ready waits.
    channel: watch::Receiver<Option<Arc<Channel>>>,
    /// What is ready waits as well while this has a pause.
    paused: watch::Receiver<Option<Arc<Pause>>>,
    /// And while the disk has no room for what comes of it.
    room: watch::Receiver<Room>,
    /// Where it goes, over all versions of the channel.
    lanes: Arc<Lanes>,
    lanes_paused: watch::Receiver<Arc<LanePauses>>,
    pauses: Arc<Pauses>,
}

impl Dispatcher {
    /// Runs until `stop`, then until what is in flight has settled. Cancelled before that, the attempts in
    /// flight are dropped, and with them their leases: they are ready again.
    ///
    /// Two things are bounded apart from each other: attempts that run, by the channel's parallelism, and
    /// deliveries that are claimed and not settled, which is what a crash can repeat. An attempt that has ended
    /// makes place for the next one while its settle waits for its commit.
    async fn run(self, stop: CancellationToken) {
        let Self {
            store,
            name,
            mut channel,
            mut paused,
            room: mut disk,
            lanes,
            mut lanes_paused,
            pauses,
        } = self;
        let tools = Arc::new(Tools {
            store: store.clone(),
            lanes: Arc::clone(&lanes),
            pauses,
        });
        let mut unsettled = JoinSet::new();
        loop {
            while let Some(ended) = unsettled.try_join_next() {
                report(ended);
            }
            let parallelism = channel.borrow_and_update().as_ref().map(|c| c.parallelism);
            let is_paused = paused.borrow_and_update().is_some();
            let is_held = is_paused || *disk.borrow_and_update() == Room::Nothing;
            lanes.hold(is_held || parallelism.is_none());
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
            if lanes_paused.has_changed().unwrap_or(false) {
                lanes_paused.mark_unchanged();
                lanes.pauses_changed();
            }
            let hastened = lanes.take_hastened();
            if !hastened.is_empty() {
                store.hasten(&name, &hastened);
            }
            let Claimable { count, again_in } = lanes.room(parallelism, clock::now());
            // Those that wait for their lane are none of those that may have been sent.
            let room = (parallelism * UNSETTLED_PER_PARALLEL + lanes.in_line())
                .saturating_sub(unsettled.len())
                .min(count)
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
                let again_in = again_in.unwrap_or(Duration::MAX);
                tokio::select! {
                    () = stop.cancelled() => break,
                    Some(ended) = unsettled.join_next() => report(ended),
                    () = lanes.changed() => {}
                    Ok(()) = lanes_paused.changed() => lanes.pauses_changed(),
                    Ok(()) = paused.changed() => {}
                    Ok(()) = disk.changed() => {}
                    () = store.ready(&name), if room > 0 => {}
                    () = tokio::time::sleep(again_in) => {}
                }
                continue;
            }
            // Not held while this loop waits: an idle channel would keep an old version's instances.
            let Some(current) = channel.borrow().clone() else {
                continue;
            };
            for claim in claims {
                let (tools, current) = (Arc::clone(&tools), Arc::clone(&current));
                unsettled.spawn(deliver(tools, current, claim, lanes.sort()));
            }
        }
        // Those that wait for their lane go back.
        lanes.hold(true);
        while let Some(ended) = unsettled.join_next().await {
            report(ended);
        }
    }
}

/// What a delivery is seen through with.
struct Tools {
    store: Store,
    lanes: Arc<Lanes>,
    pauses: Arc<Pauses>,
}

/// What became of a claim.
enum Came {
    /// It was attempted, or ended without.
    Ended(Box<Ended>),
    /// Its lane takes nothing before.
    Deferred(Deferred),
    /// An earlier one of its ordering key has to go first, and too many wait for that one in memory.
    Behind(TimeMs),
    /// The channel sends nothing: its lease goes back.
    GivenBack,
}

/// A claim that goes back until its lane takes something.
struct Deferred {
    lane: LaneName,
    until: TimeMs,
    reason: Reason,
    wire: Option<WireForm>,
}

/// Sees a claim through its attempt, once its lane takes it, and then through its settle.
async fn deliver(tools: Arc<Tools>, channel: Arc<Channel>, mut claim: Claim, sorting: Sorting) {
    let attempt = AssertUnwindSafe(attempt(&tools, &channel, &mut claim, sorting))
        .catch_unwind()
        .await;
    // A bug of ours must not make a delivery ready again at once, for ever: it costs an attempt like a plugin's fault.
    let came =
        attempt.unwrap_or_else(|_panic| Came::Ended(Box::new(attempt::panicked(&channel, &claim))));
    match came {
        Came::GivenBack => {}
        Came::Behind(until) => settle::put_behind(&tools.store, claim, until).await,
        Came::Ended(ended) => settle::settle(&tools.store, &channel, claim, *ended).await,
        Came::Deferred(deferred) => settle::defer(&tools, &channel, claim, deferred).await,
    }
}

/// Makes the attempt, in a place of its lane.
async fn attempt(tools: &Tools, channel: &Channel, claim: &mut Claim, sorting: Sorting) -> Came {
    if claim.is_behind {
        return Came::Behind(tools.lanes.behind(clock::now()));
    }
    let prepared = match attempt::prepare(channel, claim).await {
        Ok(prepared) => prepared,
        Err(ended) => return Came::Ended(ended),
    };
    let lane = prepared.lane(channel);
    let mut answer = tools.lanes.ask(&lane, clock::now());
    drop(sorting);
    let mut pass = loop {
        match answer {
            Answer::Go(pass) => break pass,
            Answer::Turn(turn) => {
                if let Ok(pass) = turn.await {
                    break pass;
                }
            }
            Answer::Later(later, wait) => {
                tokio::time::sleep(wait).await;
                drop(later);
            }
            Answer::GiveBack => return Came::GivenBack,
            Answer::Defer(until, reason) => {
                if reason == Reason::Breaker
                    && let Some(ended) = attempt::passed_over(channel, claim, &lane)
                {
                    return Came::Ended(Box::new(ended));
                }
                // It expires then, at the latest.
                let until = claim.message.expires_at.map_or(until, |at| at.min(until));
                let wire = prepared.into_form();
                return Came::Deferred(Deferred {
                    lane,
                    until,
                    reason,
                    wire,
                });
            }
        }
        answer = tools.lanes.ask(&lane, clock::now());
    };
    let ended = attempt::send(channel, claim, prepared, &mut pass).await;
    if let Some(wish) = &ended.pause {
        // Before its place is free: nobody takes it.
        pause::pause(&tools.pauses, channel, &lane, wish).await;
    }
    Came::Ended(Box::new(ended))
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a delivery panicked; it is ready again");
    }
}
