//! Sleeping until something changes.

use tokio::sync::watch;
use wharf_core::{ChannelName, Cursor, TimeMs};

use crate::store::{FailureReason, Store};

impl Store {
    /// Sleeps until the channel may have something to claim. Returns at once where it has.
    ///
    /// Cancel-safe. Every sleeper of the channel is woken, so one that finds nothing just sleeps again.
    pub async fn ready(&self, channel: &ChannelName) {
        loop {
            let notify = {
                let mut index = self.index().lock();
                let at = index.queue(channel);
                index.notify(at)
            };
            let mut notified = std::pin::pin!(notify.notified());
            // From here on nothing is missed; what came before is seen by the look below.
            notified.as_mut().enable();
            if self.is_ready(channel) {
                return;
            }
            notified.await;
        }
    }

    fn is_ready(&self, channel: &ChannelName) -> bool {
        let mut index = self.index().lock();
        let at = index.queue(channel);
        index.is_ready(at)
    }

    /// When the next retry or delayed delivery falls due, told anew whenever that changes.
    #[must_use]
    pub fn watch_next_due(&self) -> watch::Receiver<Option<TimeMs>> {
        self.shared.next_due.subscribe()
    }

    /// Cursor of the last committed journal row, 0 before the first, told anew after every commit.
    #[must_use]
    pub fn journal_head(&self) -> watch::Receiver<Cursor> {
        self.shared.head.subscribe()
    }

    /// Sleeps until the store has failed. What was being committed is then unknown, everything else is refused,
    /// and the process should end.
    pub async fn failed(&self) -> FailureReason {
        let mut failure = self.shared.failure.subscribe();
        match failure
            .wait_for(Option::is_some)
            .await
            .map(|reason| reason.clone())
        {
            Ok(Some(reason)) => reason,
            // The sender lives as long as this handle, and `wait_for` waits for a reason.
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }
}
