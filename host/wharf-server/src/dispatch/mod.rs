//! Takes ready deliveries and sees each through one attempt: claim → hooks and exchange → settle.
//!
//! No transaction is held while hooks run. What a crash interrupts is ready again at the next start, because a
//! claim is only a lease in memory.

mod attempt;
mod channel;
mod convert;
mod exchange;
mod promote;

use std::sync::Arc;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use wharf_store::{Claim, Store};

pub(crate) use channel::{Channel, bind};
pub(crate) use promote::promote;

use crate::clock;
use crate::limits::CLAIM_BATCH_MAX;

/// Works off one channel's deliveries.
pub(crate) struct Dispatcher {
    pub(crate) store: Store,
    pub(crate) channel: Arc<Channel>,
}

impl Dispatcher {
    /// Runs until `stop`, then until what is in flight has settled. Cancelled before that, the attempts in
    /// flight are dropped, and with them their leases: they are ready again.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let Self { store, channel } = self;
        let mut attempts = JoinSet::new();
        loop {
            while let Some(ended) = attempts.try_join_next() {
                report(ended);
            }
            let room = (channel.parallelism - attempts.len()).min(CLAIM_BATCH_MAX);
            let claims = match room {
                0 => Vec::new(),
                room => claim(&store, &channel, room),
            };
            if stop.is_cancelled() {
                break;
            }
            if claims.is_empty() {
                tokio::select! {
                    () = stop.cancelled() => break,
                    Some(ended) = attempts.join_next() => report(ended),
                    () = store.ready(&channel.name), if room > 0 => {}
                }
                continue;
            }
            for claim in claims {
                attempts.spawn(deliver(store.clone(), Arc::clone(&channel), claim));
            }
        }
        while let Some(ended) = attempts.join_next().await {
            report(ended);
        }
    }
}

fn claim(store: &Store, channel: &Channel, room: usize) -> Vec<Claim> {
    match store.claim(&channel.name, room, clock::now()) {
        Ok(claims) => claims,
        Err(error) => {
            tracing::error!(channel = %channel.name, error = &error as &dyn std::error::Error, "cannot read what is ready");
            Vec::new()
        }
    }
}

async fn deliver(store: Store, channel: Arc<Channel>, claim: Claim) {
    let settle = attempt::run(&channel, claim).await;
    if store.settle(vec![settle]).await.is_err() {
        // The store has failed and the process ends; the next start tries the delivery again.
        tracing::warn!(channel = %channel.name, "an attempt's outcome was not recorded");
    }
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "an attempt panicked; its delivery is ready again");
    }
}
