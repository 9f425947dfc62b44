//! What can be committed together: what senders, workers and readers ask.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use wharf_core::delivery::Transition;
use wharf_core::journal::{Attempt, HookRun};
use wharf_core::message::Priority;
use wharf_core::outcome::Effect;
use wharf_core::route::Planned;
use wharf_core::{
    Cause, Cursor, DeliveryId, Message, MessageId, MessageSeq, Pairs, Status, TimeMs, WireForm,
};
use wharf_store::{Accept, Claim, Defer, Parked, Settle, Settled, Unrouted};

use crate::model::{Model, ModelSettle};
use crate::step::written;
use crate::world::{Asked, Held, Said, World};

impl World {
    pub(crate) fn ask_accept(&mut self, model: &mut Model) -> (Asked, Said) {
        let mut batch = Vec::new();
        let mut expected = Vec::new();
        for _ in 0..=self.random.below(5) {
            let accept = self.message(model);
            expected.push(model.accept(&accept));
            batch.push(accept);
        }
        let store = self.store.clone();
        let asked = written(async move { Ok(Said::Accept(store.accept(batch).await?)) });
        (asked, Said::Accept(expected))
    }

    /// A new message mostly; else one sent again, as it was or changed.
    fn message(&mut self, model: &Model) -> Accept {
        let random = &mut self.random;
        if !model.messages.is_empty() && random.once_in(5) {
            let nth = random.below(model.messages.len() as u64) as usize;
            let known = model
                .messages
                .values()
                .nth(nth)
                .expect("it is below the length");
            let mut message = Message::clone(&known.message);
            message.accepted_at = self.now;
            message.traceparent = Some("00-another-trace-01".to_owned());
            if random.once_in(3) {
                message.payload = "changed".into();
            }
            return Accept {
                message,
                planned: known.planned.to_vec(),
                unrouted: None,
            };
        }
        // The last id again, now and then: a duplicate or conflict within the batch or group.
        if self.ids_count == 0 || !random.once_in(10) {
            self.ids_count += 1;
        }
        let size = match random.below(60) {
            0 => 300_000,
            1..=3 => 20_000,
            _ => 200,
        };
        let payload: Vec<u8> = (0..random.below(size))
            .map(|n| (n as u8) ^ size as u8)
            .collect();
        let count = [0, 1, 1, 1, 2, 3][random.below(6) as usize];
        let planned = self.channels[..count]
            .iter()
            .map(|channel| Planned::at_once(format!("route-{channel}").into(), channel.clone()));
        let mut planned: Vec<_> = planned.collect();
        self.reserve(&mut planned);
        let after = self.random.below(3_000);
        let message = Message {
            id: MessageId::parse(&format!("m-{}", self.ids_count)).expect("it is in the alphabet"),
            accepted_at: self.now,
            attributes: attributes(self.random.below(12), after),
            headers: vec![("content-type".to_owned(), "text/plain".to_owned())],
            payload: payload.into(),
            ordering_key: (!self.random.once_in(3))
                .then(|| format!("key-{}", self.random.below(3))),
            sequence_global: None,
            sequence_key: Some(self.ids_count),
            deliver_after: self
                .random
                .once_in(4)
                .then(|| TimeMs(self.now.0.saturating_sub(500) + after)),
            expires_at: None,
            priority: Priority::Normal,
            traceparent: None,
        };
        let is_routed = !planned.is_empty() || self.random.once_in(2);
        let unrouted = (!is_routed).then(|| {
            let facts = Attempt {
                started_at: self.now,
                code: Some("router-error".to_owned()),
                reason: Some("it does not know".to_owned()),
                ..Attempt::default()
            };
            Box::new(Unrouted {
                cause: Cause::RouterFailed,
                facts,
            })
        });
        Accept {
            message,
            planned,
            unrouted,
        }
    }

    /// Puts some of the last ones in reserve, now and then; never the first.
    pub(crate) fn reserve(&mut self, planned: &mut [Planned]) {
        let count = planned.len().saturating_sub(1) as u64;
        if count > 0 && self.random.once_in(2) {
            let reserve_count = 1 + self.random.below(count) as usize;
            let after = NonZeroU32::new(1 + self.random.below(2) as u32);
            for one in planned.iter_mut().rev().take(reserve_count) {
                one.after = after;
            }
        }
    }

    pub(crate) fn ask_settle(&mut self, model: &mut Model) -> (Asked, Said) {
        let count = self.random.below(5).min(self.claims.len() as u64);
        let mut batch = Vec::new();
        let mut expected = Vec::new();
        for _ in 0..count {
            let nth = self.random.below(self.claims.len() as u64) as usize;
            if self.claims[nth].claim.is_behind {
                continue;
            }
            let Held { claim, is_stale } = self.claims.swap_remove(nth);
            let settle = if claim.is_cancelled && self.random.once_in(2) {
                self.give_up(claim.lease.delivery(), is_stale)
            } else {
                self.outcome(&claim, is_stale)
            };
            expected.push(model.settle(&settle));
            if !is_stale {
                self.leased.remove(&settle.id);
            }
            batch.push(Settle {
                lease: claim.lease,
                transition: settle.transition,
                attempt: settle.attempt,
                wire: settle.wire,
                at: settle.at,
            });
        }
        let store = self.store.clone();
        let asked = written(async move { Ok(Said::Settle(store.settle(batch).await?)) });
        (asked, Said::Settle(expected))
    }

    /// What its lane does not take now.
    pub(crate) fn ask_defer(&mut self, model: &mut Model) -> (Asked, Said) {
        let mut batch = Vec::new();
        let mut expected = Vec::new();
        for _ in 0..self.random.below(3).min(self.claims.len() as u64) {
            let nth = self.random.below(self.claims.len() as u64) as usize;
            let Held { claim, is_stale } = self.claims.swap_remove(nth);
            let id = claim.lease.delivery();
            let until = self
                .now
                .after(Duration::from_millis(self.random.below(3_000)));
            let wire = self.random.once_in(2).then(|| WireForm {
                endpoint: Some("https://a.example".to_owned()),
                headers: vec![],
                body: vec![7; self.random.below(2_000) as usize],
                begun: self.random.once_in(2).then(|| {
                    Box::new(Attempt {
                        number: claim.attempts_count + 1,
                        ..Attempt::default()
                    })
                }),
            });
            let failure = self.random.once_in(4).then_some(Effect::None);
            expected.push(if is_stale {
                Settled::Stale
            } else {
                model.defer(id, until, wire.as_ref(), failure)
            });
            if !is_stale {
                self.leased.remove(&id);
                // It was tried as far as its lane: what had ended the process before that is found.
                self.untried.remove(&id);
            }
            let lease = claim.lease;
            batch.push(Defer {
                lease,
                until,
                wire,
                failure,
            });
        }
        let store = self.store.clone();
        let asked = written(async move { Ok(Said::Settle(store.defer(batch).await?)) });
        (asked, Said::Settle(expected))
    }

    fn outcome(&mut self, claim: &Claim, is_stale: bool) -> ModelSettle {
        let (id, number) = (claim.lease.delivery(), claim.attempts_count + 1);
        let random = &mut self.random;
        let (mut to, mut cause) = *random.pick(&[
            (Status::Delivered, Cause::Sent),
            (Status::Delivered, Cause::Sent),
            (Status::Retrying, Cause::Failed),
            (Status::Retrying, Cause::PluginFault),
            (Status::Retrying, Cause::Failed),
            (Status::Pending, Cause::Sent),
            (Status::Provisional, Cause::Sent),
            (Status::Rejected, Cause::Refused),
            (Status::Dead, Cause::AttemptsSpent),
            (Status::Dead, Cause::OutcomeUnknown),
            (Status::Shed, Cause::Failed),
            (Status::Expired, Cause::Expired),
        ]);
        if claim.failover.is_some() && random.once_in(2) {
            (to, cause) = (Status::Superseded, Cause::FailedOver);
        }
        let waits = matches!(to, Status::Pending | Status::Provisional);
        let has_due = to == Status::Retrying || waits && random.once_in(2);
        let due = has_due.then(|| self.now.after(Duration::from_millis(random.below(3_000))));
        let can_be_polled = waits || cause == Cause::OutcomeUnknown;
        let token = can_be_polled.then(|| format!("token-{number}"));
        let attempt = (to != Status::Expired).then(|| Attempt {
            number,
            started_at: self.now,
            duration_us: random.below(1_000_000),
            hooks: vec![HookRun {
                hook: "channel http".into(),
                digest: [0xab; 32],
                duration_us: random.below(1_000),
            }],
            code: (to != Status::Delivered).then(|| "http-503".to_owned()),
            reason: None,
            effect: *random.pick(&[None, Some(Effect::None), Some(Effect::Unknown)]),
            reference: random.once_in(2).then(|| "ref".to_owned()),
            body_sha256: Some([number as u8; 32]),
            notes: Vec::new(),
        });
        let wire = random.once_in(2).then(|| WireForm {
            endpoint: Some("https://a.example".to_owned()),
            headers: vec![("x".to_owned(), number.to_string())],
            body: vec![number as u8; random.below(2_000) as usize],
            begun: None,
        });
        let transition = Transition {
            to,
            cause,
            due,
            token,
        };
        ModelSettle {
            id,
            is_stale,
            transition,
            attempt,
            wire,
            at: self.now,
        }
    }

    /// What a dispatcher makes of a claim that is to be cancelled.
    fn give_up(&self, id: DeliveryId, is_stale: bool) -> ModelSettle {
        ModelSettle {
            id,
            is_stale,
            transition: Transition {
                to: Status::Cancelled,
                cause: Cause::Cancelled,
                due: None,
                token: None,
            },
            attempt: None,
            wire: None,
            at: self.now,
        }
    }

    pub(crate) fn ask_cursor(&mut self, model: &mut Model) -> (Asked, Said) {
        let name = format!("reader-{}", self.random.below(3));
        let to = Cursor(self.random.below(self.model.head().0 + 1));
        let stands = model.set_cursor(&name, to);
        let store = self.store.clone();
        let asked = written(async move { Ok(Said::SetCursor(store.set_cursor(&name, to).await?)) });
        (asked, Said::SetCursor(stands))
    }

    pub(crate) fn ask_state(&mut self, model: &mut Model) -> (Asked, Said) {
        let name = format!("name-{}", self.random.below(4));
        let value = (!self.random.once_in(3)).then(|| self.random.number().to_string());
        match &value {
            Some(value) => model.states.insert(name.clone(), value.clone()),
            None => model.states.remove(&name),
        };
        let store = self.store.clone();
        let asked = written(async move {
            store.set_state(&name, value.map(Bytes::from)).await?;
            Ok(Said::SetState)
        });
        (asked, Said::SetState)
    }

    pub(crate) fn ask_park(&mut self, model: &mut Model) -> (Asked, Said) {
        let parked = Parked {
            source: "queue".to_owned(),
            reason: "it cannot be read".to_owned(),
            at: self.now,
            content_type: "text/plain".to_owned(),
            content: self.random.number().to_string().into_bytes(),
        };
        let name = format!("reader-{}", self.random.below(3));
        let to = Cursor(self.random.below(self.model.head().0 + 1));
        model.set_cursor(&name, to);
        model.parked.push(Arc::new(parked.clone()));
        let number = model.parked.len() as u64;
        let store = self.store.clone();
        let asked = written(async move {
            let number = store.park(parked, Some((&name, to))).await?;
            Ok(Said::Parked(number))
        });
        (asked, Said::Parked(number))
    }

    pub(crate) fn ask_forget(&mut self, model: &mut Model) -> (Asked, Said) {
        // All of them rarely, and past the end sometimes.
        let reach = if self.random.once_in(10) { 200 } else { 8 };
        let before = MessageSeq(model.ids_known_from.0 + self.random.below(reach));
        let stands = model.forget_ids(before);
        let store = self.store.clone();
        let asked = written(async move { Ok(Said::ForgetIds(store.forget_ids(before).await?)) });
        (asked, Said::ForgetIds(stands))
    }
}

/// Half of all messages have a reference, which they share with others.
fn attributes(sender_ref: u64, kind: u64) -> Pairs {
    let mut attributes = vec![("type".to_owned(), format!("order.{kind}"))];
    if sender_ref < 6 {
        attributes.insert(0, ("sender".to_owned(), "sender".to_owned()));
        attributes.insert(1, ("sender_ref".to_owned(), sender_ref.to_string()));
    }
    attributes
}
