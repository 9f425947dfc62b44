//! Leases: which delivery is being attempted, and under which fencing number.

use std::collections::hash_map::Entry;

use wharf_core::{DeliveryId, Fence};

use super::{Index, QueueAt};

/// A live lease.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leased {
    fence: Fence,
    pub(super) queue: QueueAt,
    pub(super) has_row: bool,
    /// Whether it was ready at an unclean start, and was not tried since.
    pub(super) is_untried: bool,
    hold: Hold,
}

/// What the commit that is being made does with a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hold {
    /// Nothing: it can be given back.
    None,
    /// Its delivery is settled: too late to take it back.
    Settling,
    /// Its delivery's row is written: what is given back meanwhile is ready once that is done, with its row.
    Marking { is_released: bool },
}

impl Leased {
    pub(super) fn new(fence: Fence, queue: QueueAt, has_row: bool, is_untried: bool) -> Self {
        Self {
            fence,
            queue,
            has_row,
            is_untried,
            hold: Hold::None,
        }
    }

    /// One of the writer's own, which ends with its commit.
    pub(super) fn of_writer(fence: Fence, queue: QueueAt, has_row: bool, is_untried: bool) -> Self {
        Self {
            hold: Hold::Settling,
            ..Self::new(fence, queue, has_row, is_untried)
        }
    }

    /// Keeps it until its delivery's row is written. False where it ends with the commit anyway.
    pub(super) fn begin_mark(&mut self) -> bool {
        if self.hold == Hold::None {
            self.hold = Hold::Marking { is_released: false };
        }
        self.hold != Hold::Settling
    }
}

impl Index {
    /// Whether a settle under this number counts. If so, nothing ends the lease before the commit does.
    pub(crate) fn begin_settle(&mut self, id: DeliveryId, fence: Fence) -> bool {
        match self.leases.get_mut(&id) {
            Some(leased) if leased.fence == fence && leased.hold == Hold::None => {
                leased.hold = Hold::Settling;
                true
            }
            _ => false,
        }
    }

    /// Ends the lease of a settled delivery, which keeps later ones of its ordering key back by what is stored, or lets them
    /// go.
    pub(crate) fn end_settle(&mut self, id: DeliveryId, holds_key: bool) -> QueueAt {
        let leased = self
            .leases
            .remove(&id)
            .expect("a settling lease is not taken back");
        self.queues[leased.queue.0].leaves(leased.has_row);
        self.gone(id);
        self.forget_lease(leased, id);
        self.leave_order(id, holds_key);
        leased.queue
    }

    /// The row of a delivery was written that was being attempted.
    pub(crate) fn end_mark(&mut self, id: DeliveryId) {
        let Entry::Occupied(mut entry) = self.leases.entry(id) else {
            return;
        };
        let leased = entry.get_mut();
        let queue = &mut self.queues[leased.queue.0];
        queue.leaves(leased.has_row);
        queue.enters(true);
        leased.has_row = true;
        let is_released = leased.hold == Hold::Marking { is_released: true };
        leased.hold = Hold::None;
        if is_released {
            let leased = entry.remove();
            self.put_back(leased, id);
        }
    }

    /// Gives a lease back unsettled; with no number, whichever it is. False where there is none, or where it is
    /// too late.
    pub(crate) fn release(&mut self, id: DeliveryId, fence: Option<Fence>) -> bool {
        let Entry::Occupied(mut entry) = self.leases.entry(id) else {
            return false;
        };
        let leased = entry.get_mut();
        if fence.is_some_and(|fence| fence != leased.fence) {
            return false;
        }
        match leased.hold {
            Hold::None => {
                let leased = entry.remove();
                self.put_back(leased, id);
                true
            }
            Hold::Marking { is_released } => {
                leased.hold = Hold::Marking { is_released: true };
                !is_released
            }
            Hold::Settling => false,
        }
    }

    /// Ends the lease of a delivery that cannot be read, which is not ready again. Nothing where the lease was taken
    /// back: then the next claim finds the same.
    pub(crate) fn stick(&mut self, id: DeliveryId, fence: Fence) {
        if let Entry::Occupied(entry) = self.leases.entry(id)
            && entry.get().fence == fence
        {
            let leased = entry.remove();
            self.forget_lease(leased, id);
            self.stuck.insert(id, leased.has_row);
        }
    }

    /// The number of the lease that is out; none where none is.
    pub(crate) fn fence(&self, id: DeliveryId) -> Option<Fence> {
        self.leases.get(&id).map(|leased| leased.fence)
    }

    pub(super) fn has_lease(&self, id: DeliveryId, fence: Fence) -> bool {
        self.leases
            .get(&id)
            .is_some_and(|leased| leased.fence == fence)
    }

    pub(crate) fn is_leased(&self, id: DeliveryId) -> bool {
        self.leases.contains_key(&id)
    }
}
