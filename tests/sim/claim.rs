//! What workers do: claim, give back, lose a lease.

use std::cell::RefCell;
use std::rc::Rc;

use wharf_core::invariant::Violation;
use wharf_core::retry::Budget;
use wharf_core::{ChannelName, DeliveryId};
use wharf_store::{Claim, Claims, Unpersisted};

use crate::step::written;
use crate::verify::same;
use crate::world::{Held, Said, World};

impl World {
    /// Claims of any channel.
    pub(crate) fn claim(&mut self) -> Result<(), String> {
        let channel = self.random.pick(&self.channels).clone();
        let max = self.random.below(8) as usize;
        self.claim_of(&channel, max).map(drop)
    }

    /// Claims, and compares what is claimed with the model. Returns how many were.
    pub(crate) fn claim_of(&mut self, channel: &ChannelName, max: usize) -> Result<usize, String> {
        let claims = match self.store.claim(channel, max, self.now) {
            Ok(Claims::Ready(claims)) => {
                self.may_be_free(&claims)?;
                claims
            }
            Ok(Claims::Careful(_)) if self.was_clean => {
                return Err("claims are put on disk after a clean stop".to_owned());
            }
            Ok(Claims::Careful(claims)) => self.persist(claims)?,
            // The store has failed with the disk.
            Err(_) if !self.is_up() => return Ok(0),
            Err(cause) => return Err(format!("cannot claim: {cause:?}")),
        };
        let count = claims.len();
        same("claimed too many", count > max, false)?;
        let is_suspect = |id: &DeliveryId| self.model.is_suspect(*id);
        let is_one_out = self.leased.keys().any(is_suspect);
        let ids = claims.iter().map(|claim| claim.lease.delivery());
        let suspects_count = ids.filter(is_suspect).count();
        let is_alone = claims.len() == 1 && self.leased.is_empty();
        same("beside a suspect", is_one_out && !claims.is_empty(), false)?;
        same("alone", suspects_count == 0 || is_alone, true)?;
        for claim in claims {
            let id = claim.lease.delivery();
            let (message, expected) = (self.model.message(id), self.model.delivery(id));
            let planned = &message.planned[usize::from(id.place())];
            same("claimed message", &claim.message, &message.message)?;
            same("claimed channel", channel, &planned.channel)?;
            same("claimed route", &claim.route, &planned.route)?;
            same("claimed status", claim.status, expected.status)?;
            same(
                "claimed attempts",
                claim.attempts_count,
                expected.attempts_count,
            )?;
            same("claimed wire form", &claim.wire, &expected.wire)?;
            same("claimed flag", claim.is_cancelled, expected.is_cancelled)?;
            let budget = expected.redriven.unwrap_or(Budget {
                attempts_before: 0,
                began_at: message.message.accepted_at,
            });
            same("claimed budget", claim.budget, budget)?;
            same("claimed key", claim.key_generation, expected.key_generation)?;
            same("claimed failover", claim.failover, self.model.failover(id))?;
            if !claim.is_behind {
                self.model.is_in_order(id, self.order)?;
            }
            same("sendable", claim.status.is_sendable(), true)?;
            same("due", expected.due.is_none_or(|due| due <= self.now), true)?;
            if self.leased.insert(id, claim.lease.fence().0).is_some() {
                return Err(Violation::LeasedTwice(id).to_string());
            }
            self.claims.push(Held {
                claim,
                is_stale: false,
            });
        }
        Ok(count)
    }

    /// What was ready at an unclean start is not attempted before its claim is on disk.
    fn may_be_free(&self, claims: &[Claim]) -> Result<(), String> {
        for claim in claims {
            let id = claim.lease.delivery();
            if self.untried.get(&id) == Some(&self.model.delivery(id).last) {
                return Err(format!(
                    "delivery {id} is attempted and its claim is not on disk"
                ));
            }
        }
        Ok(())
    }

    /// Puts claims on disk, perhaps together with something else. None where the power goes.
    fn persist(&mut self, claims: Unpersisted) -> Result<Vec<Claim>, String> {
        let persisted = Rc::new(RefCell::new(Vec::new()));
        let mut model = self.model.clone();
        let ids = claims.deliveries();
        model.persist(&ids.collect::<Vec<_>>(), &self.leased);
        let (store, put) = (self.store.clone(), persisted.clone());
        let mut asked = vec![written(async move {
            *put.borrow_mut() = store.persist_claims(claims).await?;
            Ok(Said::Persist)
        })];
        let mut expected = vec![Said::Persist];
        if self.random.once_in(3) {
            let (accept, answer) = self.ask_accept(&mut model);
            asked.push(accept);
            expected.push(answer);
        }
        self.commit(asked, expected, model)?;
        Ok(persisted.take())
    }

    /// Workers that go away without a settle.
    pub(crate) fn drop_some(&mut self) {
        for _ in 0..self.random.below(3).min(self.claims.len() as u64) {
            let nth = self.random.below(self.claims.len() as u64) as usize;
            let held = self.claims.swap_remove(nth);
            if !held.is_stale {
                self.leased.remove(&held.claim.lease.delivery());
            }
        }
    }

    /// Leases that are taken back while their workers go on.
    pub(crate) fn revoke_some(&mut self) {
        for held in &mut self.claims {
            if !held.is_stale && self.random.once_in(4) {
                let id = held.claim.lease.delivery();
                if self.store.revoke(id) {
                    held.is_stale = true;
                    self.leased.remove(&id);
                }
            }
        }
    }
}
