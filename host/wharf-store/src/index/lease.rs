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
    /// Its settle is in the commit that is being made: too late to take it back.
    is_settling: bool,
}

impl Leased {
    pub(super) fn new(fence: Fence, queue: QueueAt, has_row: bool) -> Self {
        Self {
            fence,
            queue,
            has_row,
            is_settling: false,
        }
    }
}

impl Index {
    /// Whether a settle under this number counts. If so, nothing ends the lease before the commit does.
    pub(crate) fn begin_settle(&mut self, id: DeliveryId, fence: Fence) -> bool {
        match self.leases.get_mut(&id) {
            Some(leased) if leased.fence == fence && !leased.is_settling => {
                leased.is_settling = true;
                true
            }
            _ => false,
        }
    }

    /// Ends the lease of a settled delivery.
    pub(crate) fn end_settle(&mut self, id: DeliveryId) -> QueueAt {
        let leased = self
            .leases
            .remove(&id)
            .expect("a settling lease is not taken back");
        self.forget_lease(leased);
        leased.queue
    }

    /// Gives a lease back unsettled; with no number, whichever it is. False where there is none, or where it is
    /// too late.
    pub(crate) fn release(&mut self, id: DeliveryId, fence: Option<Fence>) -> bool {
        match self.leases.get(&id) {
            Some(leased)
                if !leased.is_settling && fence.is_none_or(|fence| fence == leased.fence) =>
            {
                let leased = *leased;
                self.leases.remove(&id);
                self.put_back(leased, id);
                true
            }
            _ => false,
        }
    }

    /// Ends the lease of a delivery that cannot be read, which is not ready again. Nothing where the lease was taken
    /// back: then the next claim finds the same.
    pub(crate) fn stick(&mut self, id: DeliveryId, fence: Fence) {
        if let Entry::Occupied(entry) = self.leases.entry(id)
            && entry.get().fence == fence
        {
            let leased = entry.remove();
            self.forget_lease(leased);
            self.stuck_count += 1;
        }
    }

    pub(crate) fn is_leased(&self, id: DeliveryId) -> bool {
        self.leases.contains_key(&id)
    }
}
