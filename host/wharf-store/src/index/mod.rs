//! What is in memory: which deliveries can be claimed, which are leased, which wait for a time.
//!
//! Bounded, however many wait: of each channel the first ones are in memory, and up to where is known; what comes behind
//! is read from the file, a page at a time, when its turn comes (`page`). Changed only after the commit that it mirrors.
//! All of it is behind one mutex: each use is short and none does I/O.

mod awaited;
mod careful;
mod due;
mod lease;
mod order;
mod page;
mod ready;
mod seize;

use std::sync::{Arc, Mutex, MutexGuard};

use rustc_hash::FxHashMap;
use tokio::sync::Notify;
use wharf_core::invariant::Spread;
use wharf_core::{ChannelName, DeliveryId, Fence, Status};

use crate::operation::stats::ChannelStats;
use crate::options::QueueSizes;
use crate::table::channel::Channel;
use crate::table::state::State;

use awaited::Awaited;
pub(crate) use awaited::Hold;
use careful::Careful;
pub(crate) use lease::Leased;
pub(crate) use order::Aside;
use order::Order;
use page::Load;
pub(crate) use page::{Page, Plan};
use ready::Queue;
pub(crate) use ready::Taken;
pub(crate) use seize::Sought;

/// The place of a channel's queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct QueueAt(usize);

#[derive(Debug)]
pub(crate) struct Index {
    /// One queue a channel, in the order in which channels were first met. None is ever removed.
    queues: Vec<Queue>,
    queue_by_name: FxHashMap<ChannelName, QueueAt>,
    sizes: QueueSizes,
    leases: FxHashMap<DeliveryId, Leased>,
    last_fence: Fence,
    /// Deliveries that cannot be read, and whether each has a row. Nothing can be done with them while this process runs;
    /// the next start files them as ready again.
    stuck: FxHashMap<DeliveryId, bool>,
    careful: Careful,
    awaited: Awaited,
    order: Order,
    /// What happens while a page is read.
    load: Option<Load>,
    resident_bytes: usize,
    resident_bytes_max: usize,
    /// Copied here after each commit, so that counters and indexes are always read together.
    state: State,
}

/// The index, shared by the writer, the handles and the leases.
#[derive(Clone, Debug)]
pub(crate) struct SharedIndex(Arc<Mutex<Index>>);

/// Where the check expects the deliveries to be that can be sent.
pub(crate) struct Residents {
    /// Those in memory, and whether the place of each says that it is.
    pub(crate) known: FxHashMap<DeliveryId, bool>,
    /// From where on the others are on disk.
    pub(crate) behind: FxHashMap<ChannelName, ready::Behind>,
}

impl SharedIndex {
    pub(crate) fn new(resident_bytes_max: usize, sizes: QueueSizes) -> Self {
        Self(Arc::new(Mutex::new(Index {
            queues: Vec::new(),
            queue_by_name: FxHashMap::default(),
            sizes,
            leases: FxHashMap::default(),
            last_fence: Fence(0),
            stuck: FxHashMap::default(),
            careful: Careful::default(),
            awaited: Awaited::default(),
            order: Order::default(),
            load: None,
            resident_bytes: 0,
            resident_bytes_max,
            state: State::empty(),
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

    /// The number that keys know a channel by.
    pub(crate) fn number(&self, at: QueueAt) -> u32 {
        self.queues[at.0].counted.number
    }

    /// What was counted by the last commit.
    pub(crate) fn set_state(&mut self, state: &State) {
        self.state = *state;
    }

    /// What was counted of a channel by the last commit that was about it.
    pub(crate) fn set_channel(&mut self, name: &ChannelName, counted: Channel) {
        let at = self.queue(name);
        self.queues[at.0].counted = counted;
    }

    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    pub(crate) fn resident_bytes(&self) -> usize {
        self.resident_bytes
    }

    pub(crate) fn waiting_count(&self) -> u64 {
        self.state.counts.status(Status::Pending) + self.state.counts.status(Status::Provisional)
    }

    pub(crate) fn spread(&self) -> Spread {
        Spread {
            ready: self.queues.iter().map(Queue::ready_count).sum(),
            leased: self.leases.len() as u64,
            blocked: self.stuck.len() as u64 + self.order.aside_count(),
            due: self.queues.iter().map(Queue::due_count).sum::<u64>() + self.waiting_count(),
            held: self.state.counts.status(Status::Held),
            ended: self.state.counts.ended(),
        }
    }

    /// Numbers about each queue.
    pub(crate) fn channels(&self) -> impl Iterator<Item = ChannelStats> {
        (0..self.queues.len()).map(|at| {
            let queue = &self.queues[at];
            ChannelStats {
                channel: queue.channel().clone(),
                ready: queue.ready_count(),
                leased: queue.leased_count(),
                untried: self.untried_count(QueueAt(at)),
                depths: queue.counted.depths,
            }
        })
    }

    pub(crate) fn residents(&self) -> Residents {
        let mut known = FxHashMap::default();
        known.extend(self.leases.keys().map(|id| (*id, false)));
        known.extend(self.stuck.keys().map(|id| (*id, false)));
        known.extend(self.order.aside());
        let mut behind = FxHashMap::default();
        for queue in &self.queues {
            known.extend(queue.residents());
            behind.insert(queue.channel().clone(), queue.behind);
        }
        Residents { known, behind }
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
