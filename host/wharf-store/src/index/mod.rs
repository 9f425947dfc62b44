//! What is in memory: which deliveries can be claimed, which are leased, which wait for a time.
//!
//! Rebuilt by a scan at start, and changed only after the commit that it mirrors. All of it is behind one mutex:
//! each use is short and none does I/O.

mod careful;
mod due;
mod lease;
mod prune;
mod ready;
mod seize;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use rustc_hash::{FxHashMap, FxHashSet};
use tokio::sync::Notify;
use wharf_core::invariant::Spread;
use wharf_core::{ChannelName, DeliveryId, Fence, TimeMs};

use crate::operation::stats::ChannelStats;
use crate::table::state::Counts;

use careful::Careful;
pub(crate) use lease::Leased;
use ready::Queue;
pub(crate) use ready::Taken;

/// The place of a channel's queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct QueueAt(usize);

#[derive(Debug)]
pub(crate) struct Index {
    /// One queue a channel, in the order in which channels were first met. None is ever removed.
    queues: Vec<Queue>,
    queue_by_name: FxHashMap<ChannelName, QueueAt>,
    leases: FxHashMap<DeliveryId, Leased>,
    last_fence: Fence,
    /// Retrying, or queued with a time.
    due: BTreeMap<(TimeMs, DeliveryId), QueueAt>,
    /// Pending and provisional, by the time of their next poll; with none, at the end of time.
    waiting: BTreeSet<(TimeMs, DeliveryId)>,
    held_count: u64,
    /// Deliveries that cannot be read. Nothing can be done with them while this process runs; the next start files
    /// them as ready again.
    stuck: FxHashSet<DeliveryId>,
    careful: Careful,
    resident_bytes: usize,
    resident_bytes_max: usize,
    /// Copied here after each commit, so that counters and indexes are always read together.
    counts: Counts,
}

/// The index, shared by the writer, the handles and the leases.
#[derive(Clone, Debug)]
pub(crate) struct SharedIndex(Arc<Mutex<Index>>);

impl SharedIndex {
    pub(crate) fn new(resident_bytes_max: usize) -> Self {
        Self(Arc::new(Mutex::new(Index {
            queues: Vec::new(),
            queue_by_name: FxHashMap::default(),
            leases: FxHashMap::default(),
            last_fence: Fence(0),
            due: BTreeMap::new(),
            waiting: BTreeSet::new(),
            held_count: 0,
            stuck: FxHashSet::default(),
            careful: Careful::default(),
            resident_bytes: 0,
            resident_bytes_max,
            counts: Counts::default(),
        })))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Index> {
        self.0
            .lock()
            .expect("no panic has left the index half changed")
    }

    /// For drop guards, which may run while another panic unwinds.
    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, Index>> {
        self.0.lock().ok()
    }
}

/// Sleepers to wake, once the lock is released.
#[must_use]
#[derive(Debug, Default)]
pub(crate) struct Wake(Vec<Arc<Notify>>);

impl Wake {
    pub(crate) fn all(self) {
        for notify in self.0 {
            notify.notify_waiters();
        }
    }
}

impl Index {
    /// The queue of a channel; made where it is new.
    pub(crate) fn queue(&mut self, channel: &ChannelName) -> QueueAt {
        if let Some(at) = self.queue_by_name.get(channel) {
            return *at;
        }
        let at = QueueAt(self.queues.len());
        self.queues.push(Queue::new(channel.clone()));
        self.queue_by_name.insert(channel.clone(), at);
        at
    }

    pub(crate) fn set_counts(&mut self, counts: Counts) {
        self.counts = counts;
    }

    pub(crate) fn counts(&self) -> Counts {
        self.counts
    }

    pub(crate) fn resident_bytes(&self) -> usize {
        self.resident_bytes
    }

    pub(crate) fn waiting_count(&self) -> u64 {
        self.waiting.len() as u64
    }

    pub(crate) fn spread(&self) -> Spread {
        Spread {
            ready: self.queues.iter().map(|queue| queue.len() as u64).sum(),
            leased: self.leases.len() as u64,
            blocked: self.stuck.len() as u64,
            due: (self.due.len() + self.waiting.len()) as u64,
            held: self.held_count,
            ended: self.counts.ended(),
        }
    }

    /// Numbers about each queue.
    pub(crate) fn channels(&self) -> impl Iterator<Item = ChannelStats> {
        self.queues.iter().map(|queue| ChannelStats {
            channel: queue.channel().clone(),
            ready: queue.len() as u64,
            leased: queue.leased_count(),
            untried: queue.untried_count(),
            depths: queue.depths(),
        })
    }

    fn wake_all(&mut self) {
        self.queues.iter_mut().for_each(Queue::changed);
    }

    fn wake_suspects(&mut self) {
        let queues = self.queues.iter_mut();
        queues
            .filter(|queue| queue.has_suspects())
            .for_each(Queue::changed);
    }

    /// Whom to wake after a change.
    pub(crate) fn wake(&mut self) -> Wake {
        let changed = self.queues.iter_mut().filter_map(Queue::take_changed);
        Wake(changed.collect())
    }
}
