//! The ready queues: one a channel, first in, first out.

use std::collections::VecDeque;
use std::sync::Arc;

use rustc_hash::FxHashSet;
use tokio::sync::Notify;
use wharf_core::{ChannelName, DeliveryId, Fence, Message, Status, TimeMs};

use super::{Index, Leased, QueueAt};
use crate::operation::stats::Depths;

/// A message that is kept from its acceptance to its first claim.
#[derive(Clone, Debug)]
pub(crate) struct Resident {
    pub(crate) message: Arc<Message>,
    pub(crate) route: Arc<str>,
    bytes: usize,
}

#[derive(Debug)]
struct Ready {
    id: DeliveryId,
    resident: Option<Box<Resident>>,
    /// Whether the delivery has a row of its own, to be read at the claim.
    has_row: bool,
}

#[derive(Debug)]
pub(super) struct Queue {
    channel: ChannelName,
    ready: VecDeque<Ready>,
    leased_count: u64,
    depths: Depths,
    notify: Arc<Notify>,
    is_changed: bool,
}

/// A delivery taken for a claim.
pub(crate) struct Taken {
    pub(crate) id: DeliveryId,
    pub(crate) fence: Fence,
    pub(crate) resident: Option<Box<Resident>>,
    pub(crate) has_row: bool,
}

impl Queue {
    pub(super) fn new(channel: ChannelName) -> Self {
        Self {
            channel,
            ready: VecDeque::new(),
            leased_count: 0,
            depths: Depths::default(),
            notify: Arc::new(Notify::new()),
            is_changed: false,
        }
    }

    pub(super) fn channel(&self) -> &ChannelName {
        &self.channel
    }

    pub(super) fn len(&self) -> usize {
        self.ready.len()
    }

    pub(super) fn depths(&self) -> Depths {
        self.depths
    }

    pub(super) fn leased_count(&self) -> u64 {
        self.leased_count
    }

    pub(super) fn take_changed(&mut self) -> Option<Arc<Notify>> {
        std::mem::take(&mut self.is_changed).then(|| self.notify.clone())
    }
}

impl Index {
    /// A new delivery can be claimed. Its message stays in memory as long as there is room.
    pub(crate) fn push_new(
        &mut self,
        at: QueueAt,
        id: DeliveryId,
        message: &Arc<Message>,
        route: &Arc<str>,
    ) {
        self.count(at, None, Status::Queued);
        // Deliveries of one message share it; counting it for each errs on the safe side.
        let bytes = message.resident_bytes();
        let resident = (self.resident_bytes + bytes <= self.resident_bytes_max).then(|| {
            self.resident_bytes += bytes;
            Box::new(Resident {
                message: message.clone(),
                route: route.clone(),
                bytes,
            })
        });
        self.push(
            at,
            Ready {
                id,
                resident,
                has_row: false,
            },
        );
    }

    /// A delivery of the channel has gone from one status to another.
    pub(super) fn count(&mut self, at: QueueAt, from: Option<Status>, to: Status) {
        self.queues[at.0].depths.step(from, to);
    }

    /// A stored delivery can be claimed.
    pub(crate) fn push_stored(&mut self, at: QueueAt, id: DeliveryId, has_row: bool) {
        self.push(
            at,
            Ready {
                id,
                resident: None,
                has_row,
            },
        );
    }

    /// Takes those of `ids` that can be claimed out of a queue, in one pass.
    pub(super) fn pull(&mut self, at: QueueAt, ids: &FxHashSet<DeliveryId>) -> Vec<DeliveryId> {
        let mut pulled = Vec::with_capacity(ids.len());
        let resident_bytes = &mut self.resident_bytes;
        self.queues[at.0].ready.retain(|ready| {
            let is_wanted = ids.contains(&ready.id);
            if is_wanted {
                *resident_bytes -= ready.resident.as_ref().map_or(0, |resident| resident.bytes);
                pulled.push(ready.id);
            }
            !is_wanted
        });
        pulled
    }

    fn push(&mut self, at: QueueAt, ready: Ready) {
        let queue = &mut self.queues[at.0];
        queue.ready.push_back(ready);
        queue.is_changed = true;
    }

    /// Takes the first deliveries of a queue, each under a new lease.
    pub(crate) fn take(&mut self, at: QueueAt, max: usize) -> Vec<Taken> {
        let queue = &mut self.queues[at.0];
        let count = max.min(queue.ready.len());
        queue.leased_count += count as u64;
        let mut taken = Vec::with_capacity(count);
        for Ready {
            id,
            resident,
            has_row,
        } in queue.ready.drain(..count)
        {
            self.last_fence.0 += 1;
            self.resident_bytes -= resident.as_ref().map_or(0, |resident| resident.bytes);
            let fence = self.last_fence;
            let before = self.leases.insert(id, Leased::new(fence, at, has_row));
            debug_assert!(before.is_none(), "a delivery has at most one live lease");
            taken.push(Taken {
                id,
                fence,
                resident,
                has_row,
            });
        }
        taken
    }

    /// Puts a delivery that waits nowhere under a lease of the writer's own.
    pub(super) fn hold(&mut self, at: QueueAt, id: DeliveryId) {
        self.last_fence.0 += 1;
        let leased = Leased::of_writer(self.last_fence, at);
        let before = self.leases.insert(id, leased);
        debug_assert!(before.is_none(), "a delivery has at most one live lease");
        self.queues[at.0].leased_count += 1;
    }

    /// A delivery whose lease ended without a settle is the first to be claimed again.
    pub(super) fn put_back(&mut self, leased: Leased, id: DeliveryId) {
        let queue = &mut self.queues[leased.queue.0];
        queue.leased_count -= 1;
        queue.ready.push_front(Ready {
            id,
            resident: None,
            has_row: leased.has_row,
        });
        queue.is_changed = true;
    }

    /// A delivery whose lease ended with a settle.
    pub(super) fn forget_lease(&mut self, leased: Leased) {
        self.queues[leased.queue.0].leased_count -= 1;
    }

    /// Of each queue that has something to claim: the channel, the delivery that comes first, and when its message was
    /// accepted where that is in memory.
    pub(crate) fn firsts(
        &self,
    ) -> impl Iterator<Item = (&ChannelName, DeliveryId, Option<TimeMs>)> {
        self.queues.iter().filter_map(|queue| {
            let first = queue.ready.front()?;
            let resident = first.resident.as_ref();
            let accepted_at = resident.map(|resident| resident.message.accepted_at);
            Some((&queue.channel, first.id, accepted_at))
        })
    }

    pub(crate) fn is_ready(&self, at: QueueAt) -> bool {
        !self.queues[at.0].ready.is_empty()
    }

    /// What is notified when the queue has got something.
    pub(crate) fn notify(&self, at: QueueAt) -> Arc<Notify> {
        self.queues[at.0].notify.clone()
    }
}
