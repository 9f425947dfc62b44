//! Order per key: who may be attempted next of each ordering key, and who waits for that.
//!
//! A delivery is let through where no earlier one of its channel and key keeps it back ([`wharf_core::order`] says which
//! do). Earlier ones can be in three places, and are looked for there in turn:
//!
//! - being attempted, or let through and given back: in `holders`, one a key;
//! - not attempted yet, and without a row: deliveries without a row come in the order of their numbers, so an earlier one
//!   was met before, and is let through or set apart;
//! - with a row, because it was attempted, or had to wait: in the table `order`.
//!
//! What had to wait on disk comes again by its time, and after a start that can be before an earlier one without a row was
//! met. It is let through once all that are earlier were met.
//!
//! What is met too early is set apart in memory (`aside`), up to a bound; when its key is free the first one is ready again,
//! before all others. Past the bound it is deferred by whoever claimed it (`behind` until that is on disk), with a row then,
//! and comes again after a while. So no key waits for another one, however many wait for one key, and memory is bounded. A
//! start has nothing to rebuild: what was set apart in memory is on disk as new as ever.
//!
//! A key that is freed between a look at the table and the setting apart would leave its next one waiting for nobody: keys
//! that are freed are counted, and what was looked up before the last one is looked up again.
//!
//! The drawback: of a key that more wait for than there is memory, the ones past it come again by their time, not when the
//! key is free.

use std::collections::BTreeMap;

use rustc_hash::{FxHashMap, FxHashSet};
use wharf_core::order::Policy;
use wharf_core::{ChannelName, DeliveryId, Fence};

use super::ready::Ready;
use super::{Index, QueueAt};
use crate::step::Ordered;

/// An ordering key of a channel.
type Key = (QueueAt, u128);

#[derive(Debug, Default)]
pub(super) struct Order {
    policies: FxHashMap<QueueAt, Policy>,
    holders: FxHashMap<Key, DeliveryId>,
    /// Claimed too early, and to be deferred.
    behind: FxHashMap<Key, FxHashSet<DeliveryId>>,
    /// The keys of both.
    keys: FxHashMap<DeliveryId, Key>,
    aside: FxHashMap<Key, BTreeMap<DeliveryId, Ready>>,
    aside_keys: FxHashMap<DeliveryId, Key>,
    freed_count: u64,
}

/// What becomes of a delivery that was met too early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aside {
    /// It waits in memory. Its lease has ended.
    Kept,
    /// There is no room: whoever has claimed it is to defer it.
    Full,
    /// A key was freed meanwhile, or the lease is gone: it is to be claimed again.
    Again,
}

impl Order {
    pub(super) fn aside_count(&self) -> u64 {
        self.aside_keys.len() as u64
    }

    pub(super) fn is_aside(&self, id: DeliveryId) -> bool {
        self.aside_keys.contains_key(&id)
    }

    /// Those that are set apart, and whether each is seen by its place alone.
    pub(super) fn aside(&self) -> impl Iterator<Item = (DeliveryId, bool)> {
        let all = self.aside.values().flat_map(BTreeMap::values);
        all.map(|ready| (ready.id, !ready.has_row))
    }
}

impl Index {
    /// Has a channel keep an order from now on, or none.
    pub(crate) fn set_order(&mut self, channel: &ChannelName, policy: Option<Policy>) {
        let at = self.queue(channel);
        match policy {
            Some(policy) => drop(self.order.policies.insert(at, policy)),
            None => drop(self.order.policies.remove(&at)),
        }
    }

    /// How a channel keeps its order; none where it does not. With it how many keys were freed so far.
    pub(crate) fn order(&self, at: QueueAt) -> Option<(Policy, u64)> {
        let policy = self.order.policies.get(&at).copied();
        policy.map(|policy| (policy, self.order.freed_count))
    }

    /// How a delivery takes part in its channel's order that is being attempted.
    pub(crate) fn ordered(&self, id: DeliveryId) -> Option<Ordered> {
        let (at, hash) = *self.order.keys.get(&id)?;
        let policy = *self.order.policies.get(&at)?;
        let is_behind = self.order.holders.get(&(at, hash)) != Some(&id);
        Some(Ordered {
            hash,
            policy,
            is_behind,
        })
    }

    /// Lets a claimed delivery through, as far as memory knows: where no earlier one of its key is there.
    pub(crate) fn enter_order(&mut self, at: QueueAt, hash: u128, id: DeliveryId) -> bool {
        let key = (at, hash);
        let order = &self.order;
        let holder = order.holders.get(&key);
        let is_first = holder.is_none_or(|holder| *holder == id)
            && order
                .aside
                .get(&key)
                .and_then(|aside| aside.first_key_value())
                .is_none_or(|(first, _)| *first > id)
            && order
                .behind
                .get(&key)
                .is_none_or(|behind| behind.iter().all(|other| *other >= id));
        if is_first {
            self.hold_order(at, hash, id);
        }
        is_first
    }

    /// Lets a claimed delivery through, whatever memory knows.
    pub(crate) fn hold_order(&mut self, at: QueueAt, hash: u128, id: DeliveryId) {
        let key = (at, hash);
        self.order.leave_behind(key, id);
        self.order.holders.insert(key, id);
        self.order.keys.insert(id, key);
    }

    /// It is not let through after all: what is stored keeps it back.
    pub(crate) fn step_back(&mut self, at: QueueAt, hash: u128, id: DeliveryId) {
        let key = (at, hash);
        if self.order.holders.get(&key) == Some(&id) {
            self.order.holders.remove(&key);
            self.order.keys.remove(&id);
        }
    }

    /// Sets a claimed delivery apart that was met too early, as was found when so many keys had been freed; or has it
    /// deferred in any case.
    pub(crate) fn set_aside(
        &mut self,
        at: QueueAt,
        hash: u128,
        (id, fence): (DeliveryId, Fence),
        freed_count: u64,
        is_deferred: bool,
    ) -> Aside {
        let key = (at, hash);
        if !self.has_lease(id, fence) || freed_count != self.order.freed_count {
            return Aside::Again;
        }
        self.step_back(at, hash, id);
        let has_earlier = self.order.aside.get(&key).is_some_and(|aside| {
            aside
                .first_key_value()
                .is_some_and(|(first, _)| *first < id)
        });
        let has_behind = self
            .order
            .behind
            .get(&key)
            .is_some_and(|ids| !ids.is_empty());
        if is_deferred || has_behind || self.order.aside_keys.len() >= self.sizes.ready {
            self.order.behind.entry(key).or_default().insert(id);
            self.order.keys.insert(id, key);
        } else {
            let ready = self.unlease(id);
            self.order.aside_keys.insert(id, key);
            self.order.aside.entry(key).or_default().insert(id, ready);
        }
        // It was let go before an earlier one was met, which is the next one then.
        if has_earlier {
            self.let_go(key);
        }
        match self.order.is_aside(id) {
            true => Aside::Kept,
            false => Aside::Full,
        }
    }

    /// Whether a delivery without a row that is earlier than this one was not met yet.
    pub(crate) fn has_unmet(&self, at: QueueAt, id: DeliveryId) -> bool {
        self.queues[at.0].has_new_before(id)
    }

    /// A delivery was settled or deferred: by what is stored it keeps later ones back, or lets them go.
    pub(super) fn leave_order(&mut self, id: DeliveryId, holds_key: bool) {
        let Some(key) = self.order.keys.remove(&id) else {
            return;
        };
        self.order.leave_behind(key, id);
        if self.order.holders.get(&key) == Some(&id) {
            self.order.holders.remove(&key);
            if !holds_key {
                self.let_go(key);
            }
        }
    }

    /// An ordering key is free, as far as one goes that had kept others back by what is stored.
    pub(crate) fn free(&mut self, channel: &ChannelName, hash: u128) {
        let at = self.queue(channel);
        self.let_go((at, hash));
    }

    /// The first one that waits for a key is ready, before all others.
    fn let_go(&mut self, key: Key) {
        let order = &mut self.order;
        order.freed_count += 1;
        if order.holders.contains_key(&key) {
            return;
        }
        let Some(aside) = order.aside.get_mut(&key) else {
            return;
        };
        let first = aside.pop_first();
        if aside.is_empty() {
            order.aside.remove(&key);
        }
        if let Some((id, ready)) = first {
            order.aside_keys.remove(&id);
            order.holders.insert(key, id);
            order.keys.insert(id, key);
            self.ready_first(key.0, ready);
        }
    }

    /// Takes a delivery that is set apart: whether it has a row, and was not tried yet.
    pub(super) fn take_aside(&mut self, id: DeliveryId) -> Option<(bool, bool)> {
        let key = self.order.aside_keys.remove(&id)?;
        let aside = self.order.aside.get_mut(&key)?;
        let ready = aside.remove(&id)?;
        if aside.is_empty() {
            self.order.aside.remove(&key);
        }
        Some((ready.has_row, ready.is_untried))
    }
}

impl Order {
    fn leave_behind(&mut self, key: Key, id: DeliveryId) {
        if let Some(behind) = self.behind.get_mut(&key) {
            behind.remove(&id);
            if behind.is_empty() {
                self.behind.remove(&key);
            }
        }
    }
}
