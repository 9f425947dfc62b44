//! Recording what became of a claim.

use std::time::Duration;

use wharf_core::TimeMs;
use wharf_core::outcome::Effect;
use wharf_store::{Claim, Defer, Settle, Settled, Store};

use super::attempt::Ended;
use super::channel::Channel;
use super::lanes::Reason;
use super::{Deferred, Tools};

/// Settles what was attempted, or ended without.
pub(super) async fn settle(store: &Store, channel: &Channel, claim: Claim, ended: Ended) {
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

/// Puts off what comes too early in its channel's order.
pub(super) async fn put_behind(store: &Store, claim: Claim, until: TimeMs) {
    let defer = Defer {
        lease: claim.lease,
        until,
        wire: None,
        failure: None,
    };
    // It was taken back, or cannot be read, or the store has failed: each is told of where it happened.
    drop(store.defer(vec![defer]).await);
}

/// Puts off what its lane does not take now.
pub(super) async fn defer(tools: &Tools, channel: &Channel, claim: Claim, deferred: Deferred) {
    let delivery = claim.lease.delivery();
    let Deferred {
        lane,
        until,
        reason,
        wire,
    } = deferred;
    let defer = Defer {
        lease: claim.lease,
        until,
        wire,
        failure: (reason == Reason::Breaker).then_some(Effect::None),
    };
    let deferred = tools.store.defer(vec![defer]).await;
    match deferred.as_deref() {
        Ok([Settled::Deferred]) => {
            tracing::debug!(message_id = %claim.message.id, delivery = delivery.0, channel = %channel.name, %lane, reason = reason.as_str(), %until, "deferred: its lane takes nothing now");
            tools.lanes.deferred(&lane, until, delivery);
        }
        // It was taken back, or cannot be read, which the store has said. Nothing was attempted.
        Ok(_) => {}
        // The store has failed and the process ends.
        Err(_) => {
            tracing::warn!(message_id = %claim.message.id, delivery = delivery.0, channel = %channel.name, "what its lane does not take was not deferred");
        }
    }
}
