//! What happens between two cuts: one thing after the other, chosen by chance.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use wharf_core::delivery::Transition;
use wharf_core::journal::{Attempt, HookRun};
use wharf_core::message::Priority;
use wharf_core::outcome::Effect;
use wharf_core::retry::Budget;
use wharf_core::route::Planned;
use wharf_core::{
    Cause, Cursor, DeliveryId, Message, MessageId, MessageSeq, Status, TimeMs, WireForm,
};
use wharf_store::{
    Accept, Cancel, Claim, Claims, Parked, Redrive, Reroute, Settle, Target, Unpersisted,
};

use crate::model::{Model, ModelSettle};
use crate::verify::same;
use crate::world::{Answer, Asked, Held, RECENT_IDS, Said, Unsaid, World, answers};

/// Something to commit, as the world asks it.
fn written(asked: impl Future<Output = Result<Said, Unsaid>> + 'static) -> Asked {
    Box::pin(async { Answer::Written(asked.await) })
}

impl World {
    pub(crate) fn step(&mut self) -> Result<(), String> {
        match self.random.below(44) {
            0..=15 => self.group(),
            16..=27 => self.claim(),
            28..=31 => {
                self.now = self
                    .now
                    .after(Duration::from_millis(self.random.below(2_000)));
                match self.store.promote_due(self.now) {
                    Err(cause) if !self.disk.is_cut() => Err(format!("cannot promote: {cause:?}")),
                    _ => Ok(()),
                }
            }
            32..=35 => {
                self.drop_some();
                Ok(())
            }
            36..=38 => {
                self.revoke_some();
                Ok(())
            }
            39..=42 => self.operate(),
            // In the middle of life, with leases out and deliveries waiting.
            _ => self.verify(),
        }
    }

    /// Several requests at once, which become one commit.
    fn group(&mut self) -> Result<(), String> {
        let mut model = self.model.clone();
        let mut asked: Vec<Asked> = Vec::new();
        let mut expected = Vec::new();
        for _ in 0..=self.random.below(3) {
            let (one, answer) = match self.random.below(19) {
                0..=7 => self.ask_accept(&mut model),
                8..=13 => self.ask_settle(&mut model),
                14 => self.ask_cursor(&mut model),
                15 => self.ask_forget(&mut model),
                16 => self.ask_park(&mut model),
                _ => self.ask_state(&mut model),
            };
            asked.push(one);
            expected.push(answer);
        }
        self.commit(asked, expected, model)
    }

    /// What is committed alone.
    fn operate(&mut self) -> Result<(), String> {
        let mut model = self.model.clone();
        let (asked, expected) = match self.random.below(5) {
            0 | 1 => self.ask_cancel(&mut model),
            2 | 3 => self.ask_redrive(&mut model),
            _ => self.ask_reroute(&mut model),
        };
        self.commit(vec![asked], vec![expected], model)
    }

    /// Has the writer make one commit of what is asked, and compares what it says. `model` is what stands then.
    fn commit(
        &mut self,
        asked: Vec<Asked>,
        expected: Vec<Said>,
        model: Model,
    ) -> Result<(), String> {
        let new_count = model.messages.len() - self.model.messages.len();
        let ids = self.store.stats().ids;
        let answers = answers(&mut self.engine, asked);
        let is_acknowledged = answers
            .iter()
            .any(|answer| matches!(answer, Answer::Written(Ok(_))));
        if !is_acknowledged {
            return if self.disk.is_cut() {
                self.model_in_flight = Some(model);
                self.was_new_run = ids.recent as usize + new_count >= RECENT_IDS && new_count > 0;
                Ok(())
            } else {
                Err("a commit failed with the power on".to_owned())
            };
        }
        // What is acknowledged is on disk, whatever happens from here on.
        self.model = model;
        for (answer, expected) in answers.into_iter().zip(expected) {
            match answer {
                Answer::Written(Ok(found)) => same("answer", found, expected)?,
                // The power went after the commit and before the first answer to a duplicate was read.
                Answer::Written(Err(Unsaid::FirstAnswer)) if self.disk.is_cut() => {}
                Answer::Written(Err(Unsaid::FirstAnswer)) => {
                    return Err("a first answer is not read with the power on".to_owned());
                }
                Answer::Written(Err(Unsaid::Other(cause))) => {
                    return Err(format!("one commit has two outcomes: {cause}"));
                }
                Answer::Check(_) | Answer::Close(_) => return Err("another answer".to_owned()),
            }
        }
        Ok(())
    }

    fn ask_accept(&mut self, model: &mut Model) -> (Asked, Said) {
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
        let planned = self.channels[..count].iter().map(|channel| Planned {
            route: format!("route-{channel}").into(),
            channel: channel.clone(),
        });
        let planned = planned.collect();
        let after = self.random.below(3_000);
        let message = Message {
            id: MessageId::parse(&format!("m-{}", self.ids_count)).expect("it is in the alphabet"),
            accepted_at: self.now,
            attributes: vec![("type".to_owned(), format!("order.{after}"))],
            headers: vec![("content-type".to_owned(), "text/plain".to_owned())],
            payload: payload.into(),
            ordering_key: self.random.once_in(4).then(|| "key".to_owned()),
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
        Accept { message, planned }
    }

    fn ask_settle(&mut self, model: &mut Model) -> (Asked, Said) {
        let count = self.random.below(5).min(self.claims.len() as u64);
        let mut batch = Vec::new();
        let mut expected = Vec::new();
        for _ in 0..count {
            let nth = self.random.below(self.claims.len() as u64) as usize;
            let Held { claim, is_stale } = self.claims.swap_remove(nth);
            let settle = if claim.is_cancelled && self.random.once_in(2) {
                self.give_up(claim.lease.delivery(), is_stale)
            } else {
                self.outcome(claim.lease.delivery(), claim.attempts_count + 1, is_stale)
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

    fn outcome(&mut self, id: DeliveryId, number: u32, is_stale: bool) -> ModelSettle {
        let random = &mut self.random;
        let (to, cause) = *random.pick(&[
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
            effect: Some(Effect::Unknown),
            reference: random.once_in(2).then(|| "ref".to_owned()),
            body_sha256: Some([number as u8; 32]),
            notes: Vec::new(),
        });
        let wire = random.once_in(2).then(|| WireForm {
            endpoint: Some("https://a.example".to_owned()),
            headers: vec![("x".to_owned(), number.to_string())],
            body: vec![number as u8; random.below(2_000) as usize],
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

    fn ask_cursor(&mut self, model: &mut Model) -> (Asked, Said) {
        let name = format!("reader-{}", self.random.below(3));
        let to = Cursor(self.random.below(self.model.head().0 + 1));
        let stands = model.set_cursor(&name, to);
        let store = self.store.clone();
        let asked = written(async move { Ok(Said::SetCursor(store.set_cursor(&name, to).await?)) });
        (asked, Said::SetCursor(stands))
    }

    fn ask_state(&mut self, model: &mut Model) -> (Asked, Said) {
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

    fn ask_park(&mut self, model: &mut Model) -> (Asked, Said) {
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

    /// A delivery or a whole message, whatever its status, and now and then one that does not exist.
    fn ask_cancel(&mut self, model: &mut Model) -> (Asked, Said) {
        let mut batch = Vec::new();
        let mut expected = Vec::new();
        for _ in 0..=self.random.below(3) {
            let target = self.target(model);
            expected.push(model.cancel(&target, &self.leased, self.now));
            batch.push(Cancel {
                target,
                at: self.now,
            });
        }
        let store = self.store.clone();
        let asked = written(async move { Ok(Said::Cancel(store.cancel(batch).await?)) });
        (asked, Said::Cancel(expected))
    }

    /// Deliveries of any status; mostly such as have ended.
    fn ask_redrive(&mut self, model: &mut Model) -> (Asked, Said) {
        let mut batch = Vec::new();
        let mut expected = Vec::new();
        for _ in 0..=self.random.below(3) {
            let any = DeliveryId::new(
                MessageSeq(1 + self.random.below(model.messages.len() as u64 + 1)),
                self.random.below(3) as u16,
            );
            let ended = model.ended();
            let delivery = if ended.is_empty() || self.random.once_in(4) {
                any
            } else {
                *self.random.pick(&ended)
            };
            let redrive = Redrive {
                delivery,
                reconvert: self.random.once_in(2),
                new_key: self.random.once_in(2),
                at: self.now,
            };
            expected.push(model.redrive(&redrive));
            batch.push(redrive);
        }
        let store = self.store.clone();
        let asked = written(async move { Ok(Said::Redrive(store.redrive(batch).await?)) });
        (asked, Said::Redrive(expected))
    }

    /// Messages of any kind, mostly such as have no deliveries.
    fn ask_reroute(&mut self, model: &mut Model) -> (Asked, Said) {
        let mut batch = Vec::new();
        let mut expected = Vec::new();
        for _ in 0..=self.random.below(2) {
            let messages = model.messages.values();
            let unrouted = messages.filter(|message| message.planned.is_empty());
            let unrouted: Vec<_> = unrouted.map(|message| message.seq).collect();
            let message = if unrouted.is_empty() || self.random.once_in(4) {
                MessageSeq(1 + self.random.below(model.messages.len() as u64 + 1))
            } else {
                *self.random.pick(&unrouted)
            };
            let planned = (0..self.random.below(4)).map(|_| Planned {
                route: "again".into(),
                channel: self.random.pick(&self.channels).clone(),
            });
            let reroute = Reroute {
                message,
                planned: planned.collect(),
                at: self.now,
            };
            expected.push(model.reroute(&reroute));
            batch.push(reroute);
        }
        let store = self.store.clone();
        let asked = written(async move { Ok(Said::Reroute(store.reroute(batch).await?)) });
        (asked, Said::Reroute(expected))
    }

    fn target(&mut self, model: &Model) -> Target {
        // Not one whose id was forgotten: a flag leaves no row, and is seen after a cut by the id alone.
        let known = model.messages.len() as u64 + 1 - model.ids_known_from.0;
        let seq = MessageSeq(model.ids_known_from.0 + self.random.below(known + 1));
        match model.messages.get(&seq) {
            Some(known) if self.random.once_in(3) => Target::Message(known.message.id.clone()),
            None if self.random.once_in(3) => {
                Target::Message(MessageId::parse("unknown").expect("it is in the alphabet"))
            }
            _ => Target::Delivery(DeliveryId::new(seq, self.random.below(3) as u16)),
        }
    }

    fn ask_forget(&mut self, model: &mut Model) -> (Asked, Said) {
        // All of them rarely, and past the end sometimes.
        let reach = if self.random.once_in(10) { 200 } else { 8 };
        let before = MessageSeq(model.ids_known_from.0 + self.random.below(reach));
        let stands = model.forget_ids(before);
        let store = self.store.clone();
        let asked = written(async move { Ok(Said::ForgetIds(store.forget_ids(before).await?)) });
        (asked, Said::ForgetIds(stands))
    }

    /// Claims, and compares what is claimed with the model.
    fn claim(&mut self) -> Result<(), String> {
        let channel = self.random.pick(&self.channels).clone();
        let max = self.random.below(8) as usize;
        let claims = match self.store.claim(&channel, max, self.now) {
            Ok(Claims::Ready(claims)) => {
                self.may_be_free(&claims)?;
                claims
            }
            Ok(Claims::Careful(_)) if self.was_clean => {
                return Err("claims are put on disk after a clean stop".to_owned());
            }
            Ok(Claims::Careful(claims)) => self.persist(claims)?,
            // The store has failed with the cut.
            Err(_) if self.disk.is_cut() => return Ok(()),
            Err(cause) => return Err(format!("cannot claim: {cause:?}")),
        };
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
            same("claimed channel", &channel, &planned.channel)?;
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
            same("sendable", claim.status.is_sendable(), true)?;
            same("due", expected.due.is_none_or(|due| due <= self.now), true)?;
            if self.leased.insert(id, claim.lease.fence().0).is_some() {
                return Err(format!("delivery {id} is leased twice"));
            }
            self.claims.push(Held {
                claim,
                is_stale: false,
            });
        }
        Ok(())
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
    fn drop_some(&mut self) {
        for _ in 0..self.random.below(3).min(self.claims.len() as u64) {
            let nth = self.random.below(self.claims.len() as u64) as usize;
            let held = self.claims.swap_remove(nth);
            if !held.is_stale {
                self.leased.remove(&held.claim.lease.delivery());
            }
        }
    }

    /// Leases that are taken back while their workers go on.
    fn revoke_some(&mut self) {
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
