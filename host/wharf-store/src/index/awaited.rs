//! Updates that wait for the end of an attempt: their delivery is somebody's until it is settled or given back.
//!
//! In memory only, as leases are, and bounded: past the bound an update waits for a time instead.

use rustc_hash::FxHashMap;
use tokio::sync::watch;
use wharf_core::DeliveryId;

use super::Index;
use crate::limits::UPDATES_AWAITED_MAX;

/// Updates by their number, with the delivery that each waits for.
#[derive(Debug, Default)]
pub(super) struct Awaited {
    by_number: FxHashMap<u64, DeliveryId>,
    /// Changes of what there is to look at.
    told: watch::Sender<u64>,
}

/// Whether somebody holds the delivery that an update is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    /// Nobody.
    Free,
    /// Somebody; the update is told when that ends.
    Awaited,
    /// Somebody, and too many updates wait already.
    Full,
}

impl Index {
    /// Has an update wait where its delivery is being attempted.
    pub(crate) fn await_lease(&mut self, number: u64, id: DeliveryId) -> Hold {
        if !self.is_leased(id) {
            return Hold::Free;
        }
        if self.awaited.by_number.len() >= UPDATES_AWAITED_MAX {
            return Hold::Full;
        }
        self.awaited.by_number.insert(number, id);
        Hold::Awaited
    }

    pub(crate) fn is_awaited(&self, number: u64) -> bool {
        self.awaited.by_number.contains_key(&number)
    }

    /// A lease has ended: what waits for it is looked at again.
    pub(super) fn end_wait(&mut self, id: DeliveryId) {
        if self.awaited.by_number.is_empty() {
            return;
        }
        let before = self.awaited.by_number.len();
        self.awaited.by_number.retain(|_, awaited| *awaited != id);
        if self.awaited.by_number.len() < before {
            self.updates_changed();
        }
    }

    /// There are others to look at.
    pub(crate) fn updates_changed(&self) {
        self.awaited.told.send_modify(|count| *count += 1);
    }

    pub(crate) fn watch_updates(&self) -> watch::Receiver<u64> {
        self.awaited.told.subscribe()
    }
}
