//! The dispatchers that run, one a channel: started and ended while the others go on.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use wharf_core::ChannelName;
use wharf_store::Store;

use super::{Channel, Dispatcher};
use crate::disk::Room;
use crate::pauses::Pause;

/// Dropped, it drops what is in flight: that is ready again.
pub(crate) struct Dispatchers {
    store: Store,
    room: watch::Receiver<Room>,
    stops: BTreeMap<ChannelName, CancellationToken>,
    /// Each returns its own token: one that ends without being told to is a bug.
    tasks: JoinSet<CancellationToken>,
}

impl Dispatchers {
    pub(crate) fn new(store: Store, room: watch::Receiver<Room>) -> Self {
        Self {
            store,
            room,
            stops: BTreeMap::new(),
            tasks: JoinSet::new(),
        }
    }

    /// Begins to work off a channel.
    pub(crate) fn start(
        &mut self,
        name: &ChannelName,
        channel: watch::Receiver<Option<Arc<Channel>>>,
        paused: watch::Receiver<Option<Arc<Pause>>>,
    ) {
        let stop = CancellationToken::new();
        self.stops.insert(name.clone(), stop.clone());
        let dispatcher = Dispatcher {
            store: self.store.clone(),
            name: name.clone(),
            channel,
            paused,
            room: self.room.clone(),
        };
        self.tasks.spawn(async move {
            dispatcher.run(stop.clone()).await;
            stop
        });
    }

    /// Takes no more of a channel; what is in flight ends.
    pub(crate) fn end(&mut self, name: &ChannelName) {
        if let Some(stop) = self.stops.remove(name) {
            stop.cancel();
        }
    }

    /// Waits until one ends that nobody told to.
    pub(crate) async fn lost(&mut self) {
        loop {
            match self.tasks.join_next().await {
                Some(Ok(stop)) if stop.is_cancelled() => {}
                Some(_) => return,
                None => std::future::pending().await,
            }
        }
    }

    /// Takes no more of any channel, and waits for what is in flight.
    pub(crate) async fn stop(&mut self) {
        for stop in self.stops.values() {
            stop.cancel();
        }
        while self.tasks.join_next().await.is_some() {}
    }
}
