//! Makes due deliveries ready when their time comes.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use wharf_store::Store;

use crate::clock;
use crate::limits::CLAIM_ERROR_WAIT;

/// Longest sleep. A clock that was set shows after this time at the latest.
const SLEEP_MAX: Duration = Duration::from_secs(10);

/// Runs until `stop`. A missed wake-up costs at most [`SLEEP_MAX`].
pub(crate) async fn promote(store: Store, stop: CancellationToken) {
    let mut next_due = store.watch_next_due();
    loop {
        next_due.mark_unchanged();
        let now = clock::now();
        let sleep = match store.promote_due(now) {
            Ok(_) => store
                .next_due()
                .map_or(SLEEP_MAX, |due| due.since(now).min(SLEEP_MAX)),
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::error!(error, "what has fallen due cannot be read");
                CLAIM_ERROR_WAIT
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            changed = next_due.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(sleep) => {}
        }
    }
}
