//! The attempts of a channel that run, over all of its versions: how many there may be can change with a version.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Counts them.
#[derive(Default)]
pub(super) struct Running {
    count: AtomicUsize,
    ended: Notify,
}

impl Running {
    pub(super) fn count(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }

    /// Waits until one has ended since the last wait. For one waiter: the dispatcher.
    pub(super) async fn one_less(&self) {
        self.ended.notified().await;
    }
}

/// One that runs, for as long as this lives.
pub(super) struct Place(Arc<Running>);

impl Place {
    pub(super) fn among(running: &Arc<Running>) -> Place {
        running.count.fetch_add(1, Ordering::AcqRel);
        Place(Arc::clone(running))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::AcqRel);
        self.0.ended.notify_one();
    }
}
