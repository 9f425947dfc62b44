//! The dispatchers that run, one a channel: started and ended while the others go on.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use wharf_core::ChannelName;
use wharf_store::Store;

use super::{Channel, Dispatcher, Lanes};
use crate::config;
use crate::disk::Room;
use crate::pauses::Pauses;

/// Dropped, it drops what is in flight: that is ready again.
pub(crate) struct Dispatchers {
    store: Store,
    room: watch::Receiver<Room>,
    pauses: Arc<Pauses>,
    running: BTreeMap<ChannelName, Running>,
    /// Each returns its own token: one that ends without being told to is a bug.
    tasks: JoinSet<CancellationToken>,
}

/// A dispatcher that runs.
struct Running {
    stop: CancellationToken,
    lanes: Arc<Lanes>,
}

impl Dispatchers {
    pub(crate) fn new(store: Store, room: watch::Receiver<Room>, pauses: Arc<Pauses>) -> Self {
        Self {
            store,
            room,
            pauses,
            running: BTreeMap::new(),
            tasks: JoinSet::new(),
        }
    }

    /// Works off a channel as it is configured, from now on. One that is worked off already goes on, under what is
    /// configured now; what its lanes have seen is kept.
    pub(crate) fn start(
        &mut self,
        config: &config::Channel,
        channel: &watch::Receiver<Option<Arc<Channel>>>,
    ) {
        let name = &config.name;
        self.store.set_order(name, config.order);
        if let Some(running) = self.running.get(name) {
            running.lanes.protect(config.protection);
            return;
        }
        let paused = self.pauses.subscribe_lanes(name);
        let lanes = Lanes::new(name.clone(), config.protection, paused.clone());
        let stop = CancellationToken::new();
        let dispatcher = Dispatcher {
            store: self.store.clone(),
            name: name.clone(),
            channel: channel.clone(),
            paused: self.pauses.subscribe(name),
            room: self.room.clone(),
            lanes: Arc::clone(&lanes),
            lanes_paused: paused,
            pauses: Arc::clone(&self.pauses),
        };
        let running = Running {
            stop: stop.clone(),
            lanes,
        };
        self.running.insert(name.clone(), running);
        self.tasks.spawn(async move {
            dispatcher.run(stop.clone()).await;
            stop
        });
    }

    /// The lanes of a channel that is worked off.
    ///
    /// # Panics
    /// Where it is not.
    pub(crate) fn lanes(&self, name: &ChannelName) -> Arc<Lanes> {
        Arc::clone(&self.running[name].lanes)
    }

    /// Takes no more of a channel; what is in flight ends.
    pub(crate) fn end(&mut self, name: &ChannelName) {
        if let Some(running) = self.running.remove(name) {
            running.stop.cancel();
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
        for running in self.running.values() {
            running.stop.cancel();
        }
        while self.tasks.join_next().await.is_some() {}
    }
}
