//! Caution after an unclean stop: which claims are put on disk first, and who runs alone.
//!
//! A message may have killed the process. Until everything that was ready at the start was tried once, a channel's
//! claims are put on disk before they are attempted. What a start finds there was being attempted when the process
//! ended: a *suspect*. Suspects are tried one at a time, each with nothing else out, whatever channel it is of; what
//! is found a second time was alone, and is given up.
//!
//! A channel is done when its own deliveries are: one that nobody claims for costs the others nothing. Nor do they
//! wait for its suspects: they do only once it has asked for one, and then for [`SUSPECT_TURN`].

use rustc_hash::FxHashSet;
use wharf_core::{DeliveryId, Fence, MessageSeq, TimeMs};

use super::{Index, Queue, QueueAt, Taken};
use crate::limits::SUSPECT_TURN;

#[derive(Debug, Default)]
pub(super) struct Careful {
    /// Where an unclean stop left off: what could be sent then is to be tried once.
    start: Option<Start>,
    /// Deliveries whose claim is on disk.
    claimed: FxHashSet<DeliveryId>,
    /// Those of them whose lease was given back since a claim was last put on disk.
    given_back: Vec<DeliveryId>,
    /// Those that wait, and the one that is out.
    suspects_count: u64,
    out: Option<DeliveryId>,
    /// Until when all others wait for a channel that has asked for its suspect.
    turn: Option<TimeMs>,
}

/// When a start was, and the message that came first after it.
#[derive(Clone, Copy, Debug)]
struct Start {
    at: TimeMs,
    next_seq: MessageSeq,
}

impl Careful {
    /// Whether a new delivery was ready at an unclean start.
    pub(super) fn was_open(&self, id: DeliveryId) -> bool {
        self.start
            .is_some_and(|start| id.message() < start.next_seq)
    }

    /// Whether what falls due then was ready at an unclean start.
    pub(super) fn was_due(&self, due: TimeMs) -> bool {
        self.start.is_some_and(|start| due <= start.at)
    }

    pub(super) fn is_out(&self, id: DeliveryId) -> bool {
        self.out == Some(id)
    }
}

impl Index {
    /// The last stop was unclean. Said before anything is read.
    pub(crate) fn be_careful(&mut self, now: TimeMs, next_seq: MessageSeq) {
        self.careful.start = Some(Start { at: now, next_seq });
    }

    /// Files a delivery whose claim a start has found.
    pub(crate) fn file_suspect(&mut self, at: QueueAt, id: DeliveryId, has_row: bool) {
        self.push_suspect(at, id, has_row);
        self.careful.suspects_count += 1;
        self.careful.claimed.insert(id);
    }

    /// Whether claims of this channel are to be put on disk first.
    pub(crate) fn is_careful(&self, at: QueueAt) -> bool {
        self.queues[at.0].untried_count() > 0 || self.has_untried_on_disk(at)
    }

    fn has_untried_on_disk(&self, at: QueueAt) -> bool {
        let behind = self.queues[at.0].behind;
        behind.open.is_some_and(|from| self.careful.was_open(from))
            || behind.due.is_some_and(|(due, _)| self.careful.was_due(due))
    }

    /// What of a queue was ready at an unclean start and was not tried since. What is on disk counts as a whole.
    pub(super) fn untried_count(&self, at: QueueAt) -> u64 {
        let queue = &self.queues[at.0];
        let on_disk = match queue.behind.open {
            Some(from) if self.careful.was_open(from) => queue.open_on_disk(),
            _ => 0,
        };
        queue.untried_count() + on_disk
    }

    /// Whether a delivery is being tried alone.
    pub(crate) fn is_alone(&self, id: DeliveryId) -> bool {
        self.careful.is_out(id)
    }

    /// Suspects that wait or are out.
    pub(crate) fn suspects_count(&self) -> u64 {
        self.careful.suspects_count
    }

    /// Deliveries whose claim is on disk.
    pub(crate) fn claimed(&self) -> &FxHashSet<DeliveryId> {
        &self.careful.claimed
    }

    /// Notes that a claim goes on disk. False where its lease was lost: then it does not.
    pub(crate) fn note_claimed(&mut self, id: DeliveryId, fence: Fence) -> bool {
        let is_live = self.has_lease(id, fence);
        if is_live {
            self.careful.claimed.insert(id);
        }
        is_live
    }

    /// Deliveries whose claim is on disk and that are out no more: they are not to blame for what happens from now on.
    pub(crate) fn given_back(&mut self) -> Vec<DeliveryId> {
        let mut ids = std::mem::take(&mut self.careful.given_back);
        ids.retain(|id| self.careful.claimed.contains(id) && !self.is_leased(*id));
        ids
    }

    /// Forgets a claim that is on disk. False where there is none.
    pub(crate) fn unclaim(&mut self, id: DeliveryId) -> bool {
        !self.careful.claimed.is_empty() && self.careful.claimed.remove(&id)
    }

    /// Whether a queue has something to claim that suspects leave to it.
    pub(crate) fn is_ready(&self, at: QueueAt) -> bool {
        let queue = &self.queues[at.0];
        if self.is_loading() && !queue.has_ready_in_memory() && !queue.has_suspects() {
            // Whoever asks is woken when the page is there.
            false
        } else if self.careful.suspects_count == 0 {
            queue.has_ready()
        } else if self.careful.out.is_some() {
            false
        } else if queue.has_suspects() {
            self.leases.is_empty()
        } else {
            self.careful.turn.is_none() && queue.has_ready()
        }
    }

    /// What a queue gives while there are suspects; none where they leave it as it is.
    pub(super) fn take_carefully(&mut self, at: QueueAt, now: TimeMs) -> Option<Vec<Taken>> {
        if self.careful.suspects_count == 0 {
            return None;
        }
        let is_asking = self.queues[at.0].ask_for_suspect();
        if self.careful.out.is_some() {
            return Some(Vec::new());
        }
        if !is_asking {
            return self.careful.turn.map(|_| Vec::new());
        }
        self.careful.turn = Some(now.after(SUSPECT_TURN));
        if !self.leases.is_empty() {
            return Some(Vec::new());
        }
        let taken = self.take_suspect(at);
        self.careful.out = taken.as_ref().map(|taken| taken.id);
        Some(taken.into_iter().collect())
    }

    /// Someone has looked at the clock.
    pub(super) fn tick(&mut self, now: TimeMs) {
        if self.careful.turn.is_some_and(|until| until < now) {
            self.careful.turn = None;
            self.wake_all();
        }
    }

    /// A lease has ended, and with it perhaps what others wait for. `is_done` says that it was not given back.
    pub(super) fn lease_ended(&mut self, id: DeliveryId, is_done: bool) {
        self.end_wait(id);
        if !is_done && self.careful.claimed.contains(&id) {
            self.careful.given_back.push(id);
        }
        if self.careful.suspects_count == 0 {
            return;
        }
        if self.careful.out == Some(id) {
            self.careful.out = None;
            self.suspects_less(usize::from(is_done));
        } else if self.leases.is_empty() {
            self.wake_suspects();
        }
    }

    /// So many suspects are none any more.
    pub(super) fn suspects_less(&mut self, count: usize) {
        self.careful.suspects_count -= count as u64;
        if !self.queues.iter().any(Queue::is_waited_for) {
            self.careful.turn = None;
        }
        self.wake_all();
    }
}
