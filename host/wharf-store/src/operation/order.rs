//! Keeping the order of a channel's keys: what was claimed too early is set apart.

use redb::ReadableTable;
use wharf_core::order::{OnDead, Policy, key_of};
use wharf_core::{ChannelName, DeliveryId};

use crate::error::ReadError;
use crate::index::{Aside, QueueAt};
use crate::operation::claim::Claim;
use crate::read::Snapshot;
use crate::step::Ordered;
use crate::store::Store;
use crate::table::order::{self, Stored};

impl Store {
    /// Has a channel keep the order of its keys from now on, or none. What was attempted before keeps nothing back.
    pub fn set_order(&self, channel: &ChannelName, policy: Option<Policy>) {
        self.index().lock().set_order(channel, policy);
    }

    /// Leaves those claims that are the first of their keys, and those that are to be deferred because there is no memory for
    /// them to wait in. `index::order` says how the first one is found.
    pub(crate) fn in_order(
        &self,
        at: QueueAt,
        claims: Vec<Claim>,
    ) -> Result<Vec<Claim>, ReadError> {
        let Some((policy, freed_count)) = self.index().lock().order(at) else {
            return Ok(claims);
        };
        let mut kept = Vec::with_capacity(claims.len());
        let mut ordered = Vec::new();
        for claim in claims {
            match self.hash_of(&claim) {
                Some(hash) => ordered.push((hash, claim)),
                None => kept.push(claim),
            }
        }
        // Taken as they came, which may be in no order of numbers.
        ordered.sort_by_key(|(_, claim)| claim.lease.delivery());
        let mut let_through = Vec::with_capacity(ordered.len());
        let mut is_alone = false;
        {
            let mut index = self.index().lock();
            for (hash, claim) in &ordered {
                let id = claim.lease.delivery();
                // What is tried alone was let through before the process ended.
                is_alone |= index.is_alone(id);
                if is_alone {
                    index.hold_order(at, *hash, id);
                }
                let_through.push(is_alone || index.enter_order(at, *hash, id));
            }
        }
        // After that: what was settled until then is in the snapshot.
        let mut is_deferred = vec![false; ordered.len()];
        if !is_alone && let_through.contains(&true) {
            self.read(|snapshot| {
                let decided = let_through.iter_mut().zip(&mut is_deferred);
                for ((hash, claim), (let_through, is_deferred)) in ordered.iter().zip(decided) {
                    let id = claim.lease.delivery();
                    if !*let_through {
                        continue;
                    }
                    let stands = self.stands(snapshot, at, *hash, id, policy)?;
                    *let_through = stands == Stands::First;
                    *is_deferred = stands == Stands::TooSoon;
                    if !*let_through {
                        self.index().lock().step_back(at, *hash, id);
                    }
                }
                Ok(())
            })?;
        }
        let decided = let_through.into_iter().zip(is_deferred);
        for ((hash, mut claim), (let_through, is_deferred)) in ordered.into_iter().zip(decided) {
            if !let_through {
                let named = (claim.lease.delivery(), claim.lease.fence());
                let mut index = self.index().lock();
                match index.set_aside(at, hash, named, freed_count, is_deferred) {
                    Aside::Kept => {
                        claim.lease.settled();
                        continue;
                    }
                    Aside::Again => {
                        // Its guard makes it ready again, which takes the lock.
                        drop(index);
                        continue;
                    }
                    Aside::Full => claim.is_behind = true,
                }
            }
            claim.lease.ordered = Some(Ordered {
                hash,
                policy,
                is_behind: claim.is_behind,
            });
            kept.push(claim);
        }
        let wake = self.index().lock().wake();
        wake.all();
        Ok(kept)
    }

    /// The hash of the key by which a claim takes part in the order.
    fn hash_of(&self, claim: &Claim) -> Option<u128> {
        let redriven = claim.is_redriven.then_some(claim.budget);
        let key = key_of(&claim.message, redriven)?;
        Some(u128::from_le_bytes(self.ids().key().hash(key.as_bytes())))
    }

    /// Where a delivery stands that memory lets through.
    fn stands(
        &self,
        snapshot: &Snapshot,
        at: QueueAt,
        hash: u128,
        id: DeliveryId,
        policy: Policy,
    ) -> Result<Stands, ReadError> {
        let number = self.index().lock().number(at);
        let table = snapshot.tx().open_table(order::TABLE)?;
        let first = order::key(number, hash, DeliveryId(0));
        let own = order::key(number, hash, id);
        for entry in ReadableTable::range(&table, first..=own)? {
            let (key, value) = entry?;
            let stored = order::decode(value.value())?;
            if key.value() == own {
                let is_too_soon = stored == Stored::Behind && self.index().lock().has_unmet(at, id);
                return Ok(match is_too_soon {
                    true => Stands::TooSoon,
                    false => Stands::First,
                });
            }
            if stored != Stored::Dead || policy.on_dead == OnDead::Block {
                return Ok(Stands::Behind);
            }
        }
        Ok(Stands::First)
    }
}

/// Where a delivery stands among those of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stands {
    /// It is the first one.
    First,
    /// An earlier one is to go before it.
    Behind,
    /// Earlier ones may be there that were not met yet.
    TooSoon,
}
