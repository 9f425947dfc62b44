//! The tasks that run beside the API, in groups that stop one after the other.

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// The tasks. None of them ends before it is told to.
#[derive(Default)]
pub(crate) struct Workers {
    pub(crate) keeper: JoinSet<()>,
    pub(crate) stop_keeper: CancellationToken,
    pub(crate) disk: JoinSet<()>,
    pub(crate) stop_disk: CancellationToken,
    pub(crate) pruner: JoinSet<()>,
    pub(crate) stop_pruner: CancellationToken,
    pub(crate) promoter: JoinSet<()>,
    pub(crate) stop_promoter: CancellationToken,
    pub(crate) applier: JoinSet<()>,
    pub(crate) stop_applier: CancellationToken,
    pub(crate) dispatchers: JoinSet<()>,
    pub(crate) stop_dispatch: CancellationToken,
    pub(crate) tellers: JoinSet<()>,
    pub(crate) stop_tellers: CancellationToken,
}

impl Workers {
    /// Waits until a task ends that nobody told to: what it did stands still, and only a restart is the cure.
    pub(crate) async fn lost(&mut self) -> &'static str {
        tokio::select! {
            Some(_) = self.keeper.join_next() => "the keeper of the plugin folder",
            Some(_) = self.disk.join_next() => "the task that looks at the disk",
            Some(_) = self.pruner.join_next() => "the task that removes what was kept for long enough",
            Some(_) = self.promoter.join_next() => "the promoter of due deliveries",
            Some(_) = self.applier.join_next() => "the task that applies status updates",
            Some(_) = self.dispatchers.join_next() => "a dispatcher, or the task that keeps them",
            Some(_) = self.tellers.join_next() => "a post-event hook's reader",
        }
    }

    /// Stops taking work, waits for what is in flight, then lets the hooks hear of it.
    pub(crate) async fn drain(&mut self, store_failed: bool) {
        self.stop_keeper.cancel();
        self.stop_pruner.cancel();
        self.stop_promoter.cancel();
        self.stop_applier.cancel();
        self.stop_dispatch.cancel();
        if store_failed {
            // Nothing can be recorded any more; what is in flight is tried again at the next start.
            self.dispatchers.abort_all();
        }
        while self.dispatchers.join_next().await.is_some() {}
        self.stop_tellers.cancel();
        while self.tellers.join_next().await.is_some() {}
        // Its end would hold back what is in flight: it goes last.
        self.stop_disk.cancel();
        while self.disk.join_next().await.is_some() {}
        while self.pruner.join_next().await.is_some() {}
        while self.promoter.join_next().await.is_some() {}
        while self.applier.join_next().await.is_some() {}
        while self.keeper.join_next().await.is_some() {}
    }

    /// Drops what has not ended: leases go back, exchanges are cut.
    pub(crate) async fn abort(&mut self) {
        let Self {
            keeper,
            disk,
            pruner,
            promoter,
            applier,
            dispatchers,
            tellers,
            ..
        } = self;
        for set in [
            dispatchers,
            tellers,
            applier,
            promoter,
            pruner,
            disk,
            keeper,
        ] {
            set.shutdown().await;
        }
    }
}
