//! The ready queues: one a channel, first in, first out.

use std::collections::{BTreeSet, VecDeque};
use std::num::NonZeroU32;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};
use tokio::sync::Notify;
use wharf_core::{ChannelName, DeliveryId, Fence, Message, TimeMs};

use super::{Index, Leased, QueueAt};
use crate::table::channel::Channel;
use crate::table::due::Due;

/// A message that is kept from its acceptance to its first claim.
#[derive(Clone, Debug)]
pub(crate) struct Resident {
    pub(crate) message: Arc<Message>,
    pub(crate) route: Arc<str>,
    /// After how many definite failures the one planned behind it takes over; none where there is none.
    pub(crate) failover: Option<NonZeroU32>,
    bytes: usize,
}

#[derive(Debug)]
pub(super) struct Ready {
    pub(super) id: DeliveryId,
    pub(super) resident: Option<Resident>,
    /// Whether the delivery has a row of its own, to be read at the claim.
    pub(super) has_row: bool,
    /// Whether it was ready at an unclean start, and was not tried since.
    pub(super) is_untried: bool,
}

/// From where on deliveries of a channel are on disk alone; none where all are in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Behind {
    /// New ones, in the order of their numbers.
    pub(crate) open: Option<DeliveryId>,
    /// Those with a row, in the order in which they fall due.
    pub(crate) due: Option<Due>,
}

/// Deliveries in memory that can be sent or are being sent.
#[derive(Clone, Copy, Debug, Default)]
struct InMemory {
    open: u64,
    rows: u64,
}

#[derive(Debug)]
pub(super) struct Queue {
    channel: ChannelName,
    /// As of the last commit.
    pub(super) counted: Channel,
    ready: VecDeque<Ready>,
    /// Of them: those that have a row. One that fell due early can come behind, in the order of the file, what is still
    /// to be read: it is known by this.
    ready_rows: FxHashSet<DeliveryId>,
    /// Those that wait for a time, the earliest.
    pub(super) due: BTreeSet<Due>,
    pub(super) behind: Behind,
    in_memory: InMemory,
    /// What comes before the others, and is to be tried alone.
    suspects: VecDeque<Ready>,
    /// Whether someone has asked for one of them.
    has_asked: bool,
    /// What is still to be tried once, suspects and what is leased included.
    untried_count: u64,
    leased_count: u64,
    notify: Arc<Notify>,
    is_changed: bool,
}

/// A delivery taken for a claim.
pub(crate) struct Taken {
    pub(crate) id: DeliveryId,
    pub(crate) fence: Fence,
    pub(crate) resident: Option<Resident>,
    pub(crate) has_row: bool,
}

impl InMemory {
    fn of(&mut self, has_row: bool) -> &mut u64 {
        if has_row {
            &mut self.rows
        } else {
            &mut self.open
        }
    }
}

impl Queue {
    pub(super) fn new(channel: ChannelName) -> Self {
        Self {
            channel,
            counted: Channel::new(0),
            ready: VecDeque::new(),
            ready_rows: FxHashSet::default(),
            due: BTreeSet::new(),
            behind: Behind::default(),
            in_memory: InMemory::default(),
            suspects: VecDeque::new(),
            has_asked: false,
            untried_count: 0,
            leased_count: 0,
            notify: Arc::new(Notify::new()),
            is_changed: false,
        }
    }

    pub(super) fn channel(&self) -> &ChannelName {
        &self.channel
    }

    /// Deliveries that can be claimed, wherever they are.
    pub(super) fn ready_count(&self) -> u64 {
        (self.ready.len() + self.suspects.len()) as u64 + self.open_on_disk()
    }

    /// Deliveries that wait for a time, wherever they are. On disk they may have fallen due.
    pub(super) fn due_count(&self) -> u64 {
        let on_disk = self.counted.rows().saturating_sub(self.in_memory.rows);
        self.due.len() as u64 + on_disk
    }

    /// New deliveries that are on disk alone.
    pub(super) fn open_on_disk(&self) -> u64 {
        self.counted.open.saturating_sub(self.in_memory.open)
    }

    /// How many in memory can be claimed: new ones, and such that have a row.
    pub(super) fn ready_lens(&self) -> (usize, usize) {
        let rows_count = self.ready_rows.len();
        (self.ready.len() - rows_count, rows_count)
    }

    /// Whether it has something to claim, if only on disk.
    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty() || self.behind.open.is_some()
    }

    pub(super) fn has_ready_in_memory(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Whether it has a delivery without a row that comes before this one.
    pub(super) fn has_new_before(&self, id: DeliveryId) -> bool {
        let is_before = |ready: &Ready| !ready.has_row && ready.id < id;
        self.behind.open.is_some_and(|from| from < id) || self.ready.iter().any(is_before)
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

    pub(super) fn leased_count(&self) -> u64 {
        self.leased_count
    }

    pub(super) fn take_changed(&mut self) -> Option<Arc<Notify>> {
        std::mem::take(&mut self.is_changed).then(|| self.notify.clone())
    }

    /// Whether a delivery that has a row can be claimed, and is in memory.
    pub(super) fn has_ready_row(&self, id: DeliveryId) -> bool {
        self.ready_rows.contains(&id)
    }

    /// What is in memory and waits there, and whether that is seen by its place alone.
    pub(super) fn residents(&self) -> impl Iterator<Item = (DeliveryId, bool)> {
        let ready = self.ready.iter().map(|ready| (ready.id, !ready.has_row));
        let due = self.due.iter().map(|(_, id)| (*id, true));
        let suspects = self.suspects.iter().map(|suspect| (suspect.id, false));
        ready.chain(due).chain(suspects)
    }

    /// A delivery is in memory from now on.
    pub(super) fn enters(&mut self, has_row: bool) {
        *self.in_memory.of(has_row) += 1;
    }

    /// A delivery is in memory no more.
    pub(super) fn leaves(&mut self, has_row: bool) {
        *self.in_memory.of(has_row) -= 1;
    }

    pub(super) fn push(&mut self, ready: Ready) {
        self.untried_count += u64::from(ready.is_untried);
        self.note_row(&ready);
        self.ready.push_back(ready);
        self.is_changed = true;
    }

    fn note_row(&mut self, ready: &Ready) {
        if ready.has_row {
            self.ready_rows.insert(ready.id);
        }
    }

    fn pop(&mut self) -> Option<Ready> {
        let ready = self.ready.pop_front()?;
        if ready.has_row {
            self.ready_rows.remove(&ready.id);
        }
        Some(ready)
    }
}

impl Index {
    /// A channel as a start finds it: whatever it has to send is on disk.
    pub(crate) fn begin_channel(&mut self, name: &ChannelName, counted: Channel) {
        let at = self.queue(name);
        let queue = &mut self.queues[at.0];
        queue.counted = counted;
        queue.behind = Behind {
            open: (counted.open > 0).then_some(DeliveryId(0)),
            due: (counted.rows() > 0).then_some((TimeMs(0), DeliveryId(0))),
        };
    }

    /// A new delivery can be claimed. Its message stays in memory as long as there is room; where many wait before it, it
    /// is read from the file when its turn comes.
    pub(crate) fn push_new(
        &mut self,
        at: QueueAt,
        id: DeliveryId,
        message: &Arc<Message>,
        route: &Arc<str>,
        failover: Option<NonZeroU32>,
    ) {
        let queue = &mut self.queues[at.0];
        if queue.behind.open.is_some() {
            return;
        }
        // Deliveries of one message share it; counting it for each errs on the safe side.
        let bytes = message.resident_bytes();
        let has_room = self.resident_bytes + bytes <= self.resident_bytes_max;
        if !has_room && queue.ready.len() >= self.sizes.ready {
            queue.behind.open = Some(id);
            return;
        }
        let resident = has_room.then(|| {
            self.resident_bytes += bytes;
            Resident {
                message: message.clone(),
                route: route.clone(),
                failover,
                bytes,
            }
        });
        queue.enters(false);
        queue.push(Ready {
            id,
            resident,
            has_row: false,
            is_untried: false,
        });
    }

    /// A stored delivery can be claimed, alone.
    pub(super) fn push_suspect(&mut self, at: QueueAt, id: DeliveryId, has_row: bool) {
        let queue = &mut self.queues[at.0];
        queue.enters(has_row);
        queue.untried_count += 1;
        queue.suspects.push_back(Ready {
            id,
            resident: None,
            has_row,
            is_untried: true,
        });
    }

    /// Takes those of `wanted` that can be claimed out of a queue, in one pass, and puts each under a lease of the writer's
    /// own. What is left of `wanted` is not there.
    pub(super) fn pull(&mut self, at: QueueAt, wanted: &mut FxHashMap<DeliveryId, bool>) {
        let mut pulled = Vec::with_capacity(wanted.len());
        let queue = &mut self.queues[at.0];
        let suspects_count = queue.suspects.len();
        for waiting in [&mut queue.suspects, &mut queue.ready] {
            waiting.retain_mut(|ready| {
                let is_wanted = wanted.remove(&ready.id).is_some();
                if is_wanted {
                    let resident = ready.resident.take();
                    pulled.push((ready.id, resident, ready.has_row, ready.is_untried));
                }
                !is_wanted
            });
        }
        for (id, ..) in &pulled {
            queue.ready_rows.remove(id);
        }
        let suspects_less = suspects_count - queue.suspects.len();
        for (id, resident, has_row, is_untried) in pulled {
            self.resident_bytes -= resident.map_or(0, |resident| resident.bytes);
            self.hold(at, id, has_row, is_untried);
        }
        if suspects_less > 0 {
            self.suspects_less(suspects_less);
        }
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
            && let Some(ready) = self.queues[at.0].pop()
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

    /// Puts a delivery that is in memory and waits nowhere under a lease of the writer's own.
    pub(super) fn hold(&mut self, at: QueueAt, id: DeliveryId, has_row: bool, is_untried: bool) {
        self.last_fence.0 += 1;
        let leased = Leased::of_writer(self.last_fence, at, has_row, is_untried);
        let before = self.leases.insert(id, leased);
        debug_assert!(before.is_none(), "a delivery has at most one live lease");
        self.queues[at.0].leased_count += 1;
    }

    /// A delivery whose lease ended without a settle is the first to be claimed again.
    pub(super) fn put_back(&mut self, leased: Leased, id: DeliveryId) {
        let queue = &mut self.queues[leased.queue.0];
        queue.leased_count -= 1;
        let ready = Ready {
            id,
            resident: None,
            has_row: leased.has_row,
            is_untried: leased.is_untried,
        };
        if self.careful.is_out(id) {
            queue.suspects.push_front(ready);
        } else {
            queue.note_row(&ready);
            queue.ready.push_front(ready);
        }
        queue.is_changed = true;
        self.lease_ended(id, false);
    }

    /// Ends the lease of a delivery that waits elsewhere from now on.
    pub(super) fn unlease(&mut self, id: DeliveryId) -> Ready {
        let leased = self.leases.remove(&id).expect("its lease is live");
        self.queues[leased.queue.0].leased_count -= 1;
        self.lease_ended(id, false);
        Ready {
            id,
            resident: None,
            has_row: leased.has_row,
            is_untried: leased.is_untried,
        }
    }

    /// What is the first to be claimed next.
    pub(super) fn ready_first(&mut self, at: QueueAt, ready: Ready) {
        let queue = &mut self.queues[at.0];
        queue.note_row(&ready);
        queue.ready.push_front(ready);
        queue.is_changed = true;
    }

    /// A delivery whose lease ended, and that is not to be claimed again because of it.
    pub(super) fn forget_lease(&mut self, leased: Leased, id: DeliveryId) {
        let queue = &mut self.queues[leased.queue.0];
        queue.leased_count -= 1;
        queue.untried_count -= u64::from(leased.is_untried);
        self.lease_ended(id, true);
    }

    /// Of each queue that has something to claim in memory: the channel, the delivery that comes first, and when its
    /// message was accepted where that is in memory.
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
