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
    /// Whether it was ready at an unclean start, and was not tried since.
    is_untried: bool,
}

#[derive(Debug)]
pub(super) struct Queue {
    channel: ChannelName,
    ready: VecDeque<Ready>,
    /// What comes before the others, and is to be tried alone.
    suspects: VecDeque<Ready>,
    /// Whether someone has asked for one of them.
    has_asked: bool,
    /// What is still to be tried once, suspects and what is leased included.
    untried_count: u64,
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
            suspects: VecDeque::new(),
            has_asked: false,
            untried_count: 0,
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
        self.ready.len() + self.suspects.len()
    }

    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    pub(super) fn has_suspects(&self) -> bool {
        !self.suspects.is_empty()
    }

    /// Whether others wait until its suspects were tried.
    pub(super) fn is_waited_for(&self) -> bool {
        self.has_asked && self.has_suspects()
    }

    /// Someone asks for what there is. Returns whether that is a suspect.
    pub(super) fn ask_for_suspect(&mut self) -> bool {
        self.has_asked = true;
        self.has_suspects()
    }

    pub(super) fn untried_count(&self) -> u64 {
        self.untried_count
    }

    pub(super) fn changed(&mut self) {
        self.is_changed = true;
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
                is_untried: false,
            },
        );
    }

    /// A delivery of the channel has gone from one status to another.
    pub(super) fn count(&mut self, at: QueueAt, from: Option<Status>, to: Status) {
        self.queues[at.0].depths.step(from, to);
    }

    /// A stored delivery can be claimed.
    pub(crate) fn push_stored(&mut self, at: QueueAt, id: DeliveryId, has_row: bool) {
        let is_untried = self.careful.is_starting();
        self.push(
            at,
            Ready {
                id,
                resident: None,
                has_row,
                is_untried,
            },
        );
    }

    /// A stored delivery can be claimed, alone.
    pub(super) fn push_suspect(&mut self, at: QueueAt, id: DeliveryId, has_row: bool) {
        let queue = &mut self.queues[at.0];
        queue.untried_count += 1;
        queue.suspects.push_back(Ready {
            id,
            resident: None,
            has_row,
            is_untried: true,
        });
    }

    /// Takes those of `ids` that can be claimed out of a queue, in one pass, and puts each under a lease of the writer's
    /// own. Returns how many.
    pub(super) fn pull(&mut self, at: QueueAt, ids: &FxHashSet<DeliveryId>) -> usize {
        let mut pulled = Vec::with_capacity(ids.len());
        let queue = &mut self.queues[at.0];
        let suspects_count = queue.suspects.len();
        for waiting in [&mut queue.suspects, &mut queue.ready] {
            waiting.retain_mut(|ready| {
                let is_wanted = ids.contains(&ready.id);
                if is_wanted {
                    pulled.push((ready.id, ready.resident.take(), ready.is_untried));
                }
                !is_wanted
            });
        }
        let suspects_less = suspects_count - queue.suspects.len();
        let count = pulled.len();
        for (id, resident, is_untried) in pulled {
            self.resident_bytes -= resident.map_or(0, |resident| resident.bytes);
            self.hold(at, id, is_untried);
        }
        if suspects_less > 0 {
            self.suspects_less(suspects_less);
        }
        count
    }

    fn push(&mut self, at: QueueAt, ready: Ready) {
        let queue = &mut self.queues[at.0];
        queue.untried_count += u64::from(ready.is_untried);
        queue.ready.push_back(ready);
        queue.is_changed = true;
    }

    /// Takes the first deliveries of a queue, each under a new lease.
    pub(crate) fn take(&mut self, at: QueueAt, max: usize, now: TimeMs) -> Vec<Taken> {
        if max > 0
            && let Some(taken) = self.take_carefully(at, now)
        {
            return taken;
        }
        let count = max.min(self.queues[at.0].ready.len());
        let mut taken = Vec::with_capacity(count);
        while taken.len() < count
            && let Some(ready) = self.queues[at.0].ready.pop_front()
        {
            taken.push(self.lease(at, ready));
        }
        taken
    }

    /// Takes the first suspect of a queue under a new lease.
    pub(super) fn take_suspect(&mut self, at: QueueAt) -> Option<Taken> {
        let suspect = self.queues[at.0].suspects.pop_front()?;
        Some(self.lease(at, suspect))
    }

    fn lease(&mut self, at: QueueAt, ready: Ready) -> Taken {
        let Ready {
            id,
            resident,
            has_row,
            is_untried,
        } = ready;
        self.last_fence.0 += 1;
        self.resident_bytes -= resident.as_ref().map_or(0, |resident| resident.bytes);
        self.queues[at.0].leased_count += 1;
        let fence = self.last_fence;
        let leased = Leased::new(fence, at, has_row, is_untried);
        let before = self.leases.insert(id, leased);
        debug_assert!(before.is_none(), "a delivery has at most one live lease");
        Taken {
            id,
            fence,
            resident,
            has_row,
        }
    }

    /// Puts a delivery that waits nowhere under a lease of the writer's own.
    pub(super) fn hold(&mut self, at: QueueAt, id: DeliveryId, is_untried: bool) {
        self.last_fence.0 += 1;
        let leased = Leased::of_writer(self.last_fence, at, is_untried);
        let before = self.leases.insert(id, leased);
        debug_assert!(before.is_none(), "a delivery has at most one live lease");
        self.queues[at.0].leased_count += 1;
    }

    /// A delivery whose lease ended without a settle is the first to be claimed again.
    pub(super) fn put_back(&mut self, leased: Leased, id: DeliveryId) {
        let queue = &mut self.queues[leased.queue.0];
        queue.leased_count -= 1;
        let waiting = if self.careful.is_out(id) {
            &mut queue.suspects
        } else {
            &mut queue.ready
        };
        waiting.push_front(Ready {
            id,
            resident: None,
            has_row: leased.has_row,
            is_untried: leased.is_untried,
        });
        queue.is_changed = true;
        self.lease_ended(id, false);
    }

    /// A delivery whose lease ended, and that is not to be claimed again because of it.
    pub(super) fn forget_lease(&mut self, leased: Leased, id: DeliveryId) {
        let queue = &mut self.queues[leased.queue.0];
        queue.leased_count -= 1;
        queue.untried_count -= u64::from(leased.is_untried);
        self.lease_ended(id, true);
    }

    /// Of each queue that has something to claim: the channel, the delivery that comes first, and when its message was
    /// accepted where that is in memory.
    pub(crate) fn firsts(
        &self,
    ) -> impl Iterator<Item = (&ChannelName, DeliveryId, Option<TimeMs>)> {
        self.queues.iter().filter_map(|queue| {
            let first = queue.suspects.front().or(queue.ready.front())?;
            let resident = first.resident.as_ref();
            let accepted_at = resident.map(|resident| resident.message.accepted_at);
            Some((&queue.channel, first.id, accepted_at))
        })
    }

    /// What is notified when the queue has got something.
    pub(crate) fn notify(&self, at: QueueAt) -> Arc<Notify> {
        self.queues[at.0].notify.clone()
    }
}
