//! What the store should hold, kept in plain maps.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use wharf_core::delivery::Transition;
use wharf_core::failover::{Failover, Failures};
use wharf_core::journal::{Attempt, Row, Subject};
use wharf_core::outcome::Effect;
use wharf_core::retry::Budget;
use wharf_core::route::Planned;
use wharf_core::{
    Cause, Cursor, DeliveryId, HashKey, Message, MessageId, MessageSeq, Standing, Status, TimeMs,
    WireForm,
};
use wharf_store::{
    Accept, Accepted, Cancelled, Filter, Parked, Redrive, Redriven, Reroute, Rerouted, Settled,
    Target,
};

use crate::update::Updates;

/// Everything that the store holds, and what it has removed. Cloned for every commit, so what never changes is shared.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    /// All that were ever accepted.
    pub(crate) messages: BTreeMap<MessageSeq, ModelMessage>,
    /// The ids that are known. One that was forgotten may have come again, with another message.
    pub(crate) ids: BTreeMap<MessageId, MessageSeq>,
    pub(crate) ids_known_from: MessageSeq,
    /// Messages that retention has removed.
    pub(crate) removed: BTreeSet<MessageSeq>,
    /// The first row of the journal that it has left.
    pub(crate) journal_from: Cursor,
    pub(crate) cursors: BTreeMap<String, Cursor>,
    pub(crate) states: BTreeMap<String, String>,
    pub(crate) parked: Vec<Arc<Parked>>,
    pub(crate) updates: Updates,
    pub(crate) last_update: u64,
    pub(crate) claimed: BTreeMap<DeliveryId, ModelClaim>,
    /// Whether the store was closed since it was last opened.
    pub(crate) is_clean: bool,
    /// All rows that were ever written.
    pub(crate) journal: Vec<Arc<Row>>,
}

#[derive(Clone, Debug)]
pub(crate) struct ModelMessage {
    pub(crate) seq: MessageSeq,
    pub(crate) message: Arc<Message>,
    /// What is in reserve comes last, so that those that were made are the first.
    pub(crate) planned: Arc<[Planned]>,
    pub(crate) deliveries: Vec<ModelDelivery>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ModelDelivery {
    pub(crate) status: Status,
    pub(crate) attempts_count: u32,
    pub(crate) due: Option<TimeMs>,
    pub(crate) token: Option<String>,
    pub(crate) wire: Option<WireForm>,
    pub(crate) is_cancelled: bool,
    pub(crate) key_generation: u32,
    pub(crate) redriven: Option<Budget>,
    pub(crate) failures: Failures,
    /// Tokens that it is found by.
    pub(crate) aliases: BTreeSet<String>,
    pub(crate) last: Cursor,
}

/// A claim that is on disk.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ModelClaim {
    pub(crate) found_count: u8,
    pub(crate) is_out: bool,
}

/// A settle, without its lease.
#[derive(Clone, Debug)]
pub(crate) struct ModelSettle {
    pub(crate) id: DeliveryId,
    pub(crate) is_stale: bool,
    pub(crate) transition: Transition,
    pub(crate) attempt: Option<Attempt>,
    pub(crate) wire: Option<WireForm>,
    pub(crate) at: TimeMs,
}

impl ModelDelivery {
    /// As it is when it is new.
    fn new(last: Cursor) -> Self {
        Self {
            status: Status::Queued,
            attempts_count: 0,
            due: None,
            token: None,
            wire: None,
            is_cancelled: false,
            key_generation: 0,
            redriven: None,
            failures: Failures::default(),
            aliases: BTreeSet::new(),
            last,
        }
    }
}

impl Default for Model {
    fn default() -> Self {
        Self {
            messages: BTreeMap::new(),
            ids: BTreeMap::new(),
            ids_known_from: MessageSeq(1),
            removed: BTreeSet::new(),
            journal_from: Cursor(1),
            cursors: BTreeMap::new(),
            states: BTreeMap::new(),
            parked: Vec::new(),
            updates: Updates::new(),
            last_update: 0,
            claimed: BTreeMap::new(),
            is_clean: false,
            journal: Vec::new(),
        }
    }
}

impl Model {
    /// What opening makes of it. Returns whether the stop was clean.
    pub(crate) fn start(&mut self, now: TimeMs) -> bool {
        let is_clean = std::mem::take(&mut self.is_clean);
        if is_clean {
            self.claimed.clear();
        }
        for claim in self.claimed.values_mut() {
            claim.found_count += u8::from(std::mem::take(&mut claim.is_out));
        }
        let found = self.claimed.clone().into_iter();
        for (id, _) in found.filter(|(_, claim)| claim.found_count == 2) {
            let after = ModelDelivery {
                status: Status::Dead,
                due: None,
                token: None,
                ..self.delivery(id).clone()
            };
            self.step(id, after, Cause::CrashedHost, now, None);
        }
        is_clean
    }

    /// Puts claims on disk; what is on disk and out no more is not claimed.
    pub(crate) fn persist(&mut self, ids: &[DeliveryId], leased: &BTreeMap<DeliveryId, u64>) {
        self.claimed.retain(|id, claim| {
            claim.is_out &= leased.contains_key(id);
            claim.is_out || claim.found_count > 0
        });
        for id in ids {
            self.claimed.entry(*id).or_default().is_out = true;
        }
    }

    /// Whether it was out when the process ended, and was not tried since.
    pub(crate) fn is_suspect(&self, id: DeliveryId) -> bool {
        self.claimed
            .get(&id)
            .is_some_and(|claim| claim.found_count > 0)
    }

    pub(crate) fn accept(&mut self, accept: &Accept) -> Accepted {
        let Accept {
            message,
            planned,
            unrouted,
        } = accept;
        if let Some(seq) = self.ids.get(&message.id).copied() {
            let first = &self.messages[&seq];
            return if is_same(&first.message, message) {
                let accepted_at = first.message.accepted_at;
                let deliveries_count = at_once(&first.planned);
                Accepted::Duplicate {
                    seq,
                    accepted_at,
                    deliveries_count,
                }
            } else {
                Accepted::Conflict { seq }
            };
        }
        let seq = self.next_seq();
        let at = message.accepted_at;
        let due = message.deliver_after.filter(|after| *after > at);
        if planned.is_empty() {
            let subject = Subject::Message {
                seq,
                standing: Standing::Unroutable,
            };
            let cause = unrouted.as_ref().map_or(Cause::NoRoute, |one| one.cause);
            let facts = unrouted.as_ref().map(|one| Box::new(one.facts.clone()));
            self.row(None, subject, cause, at, None, facts);
        }
        let deliveries: Vec<_> = (0..at_once(planned))
            .map(|place| {
                let id = DeliveryId::new(seq, place);
                let subject = Subject::Delivery {
                    id,
                    from: None,
                    to: Status::Queued,
                };
                let last = self.row(None, subject, Cause::Accepted, at, due, None);
                ModelDelivery {
                    due,
                    ..ModelDelivery::new(last)
                }
            })
            .collect();
        let (message, planned) = (Arc::new(message.clone()), Arc::from(planned.as_slice()));
        self.ids.insert(message.id.clone(), seq);
        let deliveries_count = deliveries.len() as u16;
        self.messages.insert(
            seq,
            ModelMessage {
                seq,
                message,
                planned,
                deliveries,
            },
        );
        Accepted::New {
            seq,
            deliveries_count,
        }
    }

    pub(crate) fn settle(&mut self, settle: &ModelSettle) -> Settled {
        if settle.is_stale {
            return Settled::Stale;
        }
        let before = self.delivery(settle.id).clone();
        let mut transition = settle.transition.clone();
        let is_cancelled = before.is_cancelled
            && (matches!(transition.to, Status::Retrying | Status::Superseded)
                || matches!(transition.cause, Cause::AttemptsSpent | Cause::AgeSpent));
        if is_cancelled {
            transition = Transition {
                to: Status::Cancelled,
                cause: Cause::Cancelled,
                due: None,
                token: None,
            };
        }
        let made = settle.attempt.as_ref().map_or(0, |attempt| attempt.number);
        let offered = settle.wire.clone().filter(|_| !transition.to.is_final());
        let after = ModelDelivery {
            status: transition.to,
            attempts_count: before.attempts_count.max(made),
            due: transition.due,
            token: transition.token,
            wire: before.wire.clone().or(offered),
            failures: before
                .failures
                .and(settle.attempt.as_ref().and_then(|one| one.effect)),
            ..before
        };
        let attempt = settle.attempt.clone().map(Box::new);
        let last = self.step(settle.id, after, transition.cause, settle.at, attempt);
        if transition.to == Status::Superseded {
            self.call_in(settle.id.message(), last, settle.at);
        }
        if is_cancelled {
            Settled::Cancelled(last)
        } else {
            Settled::Recorded(last)
        }
    }

    /// Makes the first of those in reserve.
    fn call_in(&mut self, seq: MessageSeq, superseded: Cursor, at: TimeMs) {
        let place = self.messages[&seq].deliveries.len() as u16;
        let subject = Subject::Delivery {
            id: DeliveryId::new(seq, place),
            from: None,
            to: Status::Queued,
        };
        let last = self.row(Some(superseded), subject, Cause::FailedOver, at, None, None);
        let delivery = ModelDelivery {
            redriven: Some(Budget {
                attempts_before: 0,
                began_at: at,
            }),
            ..ModelDelivery::new(last)
        };
        let message = self.messages.get_mut(&seq).expect("it was accepted");
        message.deliveries.push(delivery);
    }

    /// What a delivery's failures are held against.
    pub(crate) fn failover(&self, id: DeliveryId) -> Option<Failover> {
        let next = self.message(id).planned.get(usize::from(id.place()) + 1)?;
        next.after.map(|after| Failover {
            after,
            failures: self.delivery(id).failures,
        })
    }

    /// No step: it only waits, unless it is to be cancelled.
    pub(crate) fn defer(
        &mut self,
        id: DeliveryId,
        until: TimeMs,
        wire: Option<&WireForm>,
        failure: Option<Effect>,
    ) -> Settled {
        let delivery = self.delivery_mut(id);
        delivery.due = (!delivery.is_cancelled).then_some(until);
        delivery.failures = delivery.failures.and(failure);
        if delivery.wire.is_none() {
            delivery.wire = wire.cloned();
        }
        self.claimed.remove(&id);
        Settled::Deferred
    }

    pub(crate) fn cancel(
        &mut self,
        target: &Target,
        leased: &BTreeMap<DeliveryId, u64>,
        at: TimeMs,
    ) -> Vec<(DeliveryId, Cancelled)> {
        let ids = match target {
            Target::Delivery(id) => vec![*id],
            Target::Message(id) => match self.ids.get(id) {
                Some(seq) if self.removed.contains(seq) => vec![],
                Some(seq) => (0..self.messages[seq].deliveries.len() as u16)
                    .map(|place| DeliveryId::new(*seq, place))
                    .collect(),
                None => vec![],
            },
        };
        ids.into_iter()
            .map(|id| (id, self.cancel_one(id, leased.contains_key(&id), at)))
            .collect()
    }

    fn cancel_one(&mut self, id: DeliveryId, is_leased: bool, at: TimeMs) -> Cancelled {
        let Some(before) = self.find(id).cloned() else {
            return Cancelled::Unknown;
        };
        match before.status {
            status if status.is_final() => Cancelled::Ended(status),
            status @ (Status::Pending | Status::Provisional) => Cancelled::Refused(status),
            _ if is_leased => {
                self.delivery_mut(id).is_cancelled = true;
                Cancelled::Flagged
            }
            _ => {
                let after = ModelDelivery {
                    status: Status::Cancelled,
                    due: None,
                    token: None,
                    ..before
                };
                Cancelled::Recorded(self.step(id, after, Cause::Cancelled, at, None))
            }
        }
    }

    pub(crate) fn redrive(&mut self, redrive: &Redrive) -> Redriven {
        let id = redrive.delivery;
        let Some(before) = self.find(id).cloned() else {
            return Redriven::Unknown;
        };
        let to = match (before.status, &before.token) {
            (Status::Dead, Some(_)) => Status::Pending,
            (Status::Dead | Status::Rejected | Status::Shed, _) => Status::Queued,
            (status, _) => return Redriven::Refused(status),
        };
        let after = ModelDelivery {
            status: to,
            due: (to == Status::Pending).then_some(redrive.at),
            wire: before.wire.clone().filter(|_| !redrive.reconvert),
            key_generation: before.key_generation + u32::from(redrive.new_key),
            redriven: Some(Budget {
                attempts_before: before.attempts_count,
                began_at: redrive.at,
            }),
            failures: before.failures.redriven(),
            ..before
        };
        let row = self.step(id, after, Cause::Redriven, redrive.at, None);
        Redriven::Recorded { row, to }
    }

    pub(crate) fn reroute(&mut self, reroute: &Reroute) -> Rerouted {
        let Reroute {
            message: seq,
            planned,
            at,
        } = reroute;
        let is_kept = !self.removed.contains(seq);
        let Some(message) = self.messages.get(seq).filter(|_| is_kept) else {
            return Rerouted::Unknown;
        };
        if !message.planned.is_empty() || planned.is_empty() {
            return Rerouted::Refused;
        }
        let due = message.message.deliver_after.filter(|after| after > at);
        let of_message = self.of_message(*seq);
        let deliveries: Vec<_> = (0..at_once(planned))
            .map(|place| {
                let subject = Subject::Delivery {
                    id: DeliveryId::new(*seq, place),
                    from: None,
                    to: Status::Queued,
                };
                let last = self.row(Some(of_message), subject, Cause::Redriven, *at, due, None);
                ModelDelivery {
                    due,
                    redriven: Some(Budget {
                        attempts_before: 0,
                        began_at: *at,
                    }),
                    ..ModelDelivery::new(last)
                }
            })
            .collect();
        let count = deliveries.len() as u16;
        let message = self.messages.get_mut(seq).expect("it was just there");
        message.planned = Arc::from(planned.as_slice());
        message.deliveries = deliveries;
        Rerouted::Recorded(count)
    }

    /// Changes a delivery and writes the journal row. What an ended one cannot need any more goes.
    pub(crate) fn step(
        &mut self,
        id: DeliveryId,
        mut after: ModelDelivery,
        cause: Cause,
        at: TimeMs,
        attempt: Option<Box<Attempt>>,
    ) -> Cursor {
        let before = self.delivery(id);
        let to = after.status;
        let subject = Subject::Delivery {
            id,
            from: Some(before.status),
            to,
        };
        let keeps_wire = Status::ALL
            .iter()
            .any(|next| Status::allows(Some(to), *next));
        after.last = self.row(Some(before.last), subject, cause, at, after.due, attempt);
        after.wire = after.wire.filter(|_| keeps_wire);
        let token_before = self.delivery(id).token.clone();
        if let Some(token) = after.token.clone()
            && token_before.as_ref() != Some(&token)
        {
            if let Some(before) = token_before {
                after.aliases.remove(&before);
            }
            after.aliases.insert(token);
        }
        after.is_cancelled &= !to.is_final();
        let last = after.last;
        *self.delivery_mut(id) = after;
        self.claimed.remove(&id);
        last
    }

    pub(crate) fn set_cursor(&mut self, name: &str, to: Cursor) -> Cursor {
        let stands = self.cursors.entry(name.to_owned()).or_insert(to);
        *stands = (*stands).max(to);
        *stands
    }

    pub(crate) fn forget_ids(&mut self, before: MessageSeq) -> MessageSeq {
        self.ids_known_from = self.ids_known_from.max(before.min(self.next_seq()));
        self.ids.retain(|_, seq| *seq >= self.ids_known_from);
        self.ids_known_from
    }

    pub(crate) fn next_seq(&self) -> MessageSeq {
        MessageSeq(self.messages.len() as u64 + 1)
    }

    pub(crate) fn head(&self) -> Cursor {
        Cursor(self.journal.len() as u64)
    }

    pub(crate) fn message(&self, id: DeliveryId) -> &ModelMessage {
        &self.messages[&id.message()]
    }

    pub(crate) fn delivery(&self, id: DeliveryId) -> &ModelDelivery {
        &self.message(id).deliveries[usize::from(id.place())]
    }

    /// Every delivery whose message was not removed, by number.
    pub(crate) fn deliveries(&self) -> impl Iterator<Item = (DeliveryId, &ModelDelivery)> {
        self.kept().flat_map(|message| {
            let places = (0..).zip(&message.deliveries);
            places.map(|(place, delivery)| (DeliveryId::new(message.seq, place), delivery))
        })
    }

    /// What can be sent by now, each with its last journal row.
    pub(crate) fn ready(&self, now: TimeMs) -> BTreeMap<DeliveryId, Cursor> {
        let ready = self.deliveries().filter(|(_, delivery)| {
            delivery.status.is_sendable() && delivery.due.is_none_or(|due| due <= now)
        });
        ready.map(|(id, delivery)| (id, delivery.last)).collect()
    }

    /// The messages that were not removed.
    pub(crate) fn kept(&self) -> impl Iterator<Item = &ModelMessage> {
        let messages = self.messages.values();
        messages.filter(|message| !self.removed.contains(&message.seq))
    }

    /// Whether a row is handed out: its message was not removed.
    pub(crate) fn is_told(&self, row: &Row) -> bool {
        let seq = row.subject.message();
        seq.is_none_or(|seq| !self.removed.contains(&seq))
    }

    /// Every delivery that has ended.
    pub(crate) fn ended(&self) -> Vec<DeliveryId> {
        let ended = self.deliveries().filter(|(_, one)| one.status.is_final());
        ended.map(|(id, _)| id).collect()
    }

    /// What a list should have: the message, and the last journal row of what is listed, by number.
    pub(crate) fn listed(&self, filter: &Filter) -> Vec<(MessageSeq, MessageId, Cursor)> {
        let mut listed = Vec::new();
        for message in self.kept() {
            let (seq, id) = (&message.seq, &message.message.id);
            let is_listed = filter.channel.is_none()
                && filter.standings.contains(&Standing::Unroutable)
                && message.planned.is_empty();
            if is_listed {
                listed.push((*seq, id.clone(), self.of_message(*seq)));
            }
            for (planned, delivery) in message.planned.iter().zip(&message.deliveries) {
                let channel = filter.channel.as_ref();
                if filter.statuses.contains(&delivery.status)
                    && channel.is_none_or(|channel| *channel == planned.channel)
                {
                    listed.push((*seq, id.clone(), delivery.last));
                }
            }
        }
        listed
    }

    /// The journal row of a message that has no deliveries.
    pub(crate) fn of_message(&self, seq: MessageSeq) -> Cursor {
        let is_of = |row: &Arc<Row>| row.subject.message() == Some(seq);
        let place = self.journal.iter().position(is_of);
        Cursor(place.expect("every message has a row") as u64 + 1)
    }

    fn find(&self, id: DeliveryId) -> Option<&ModelDelivery> {
        if self.removed.contains(&id.message()) {
            return None;
        }
        let message = self.messages.get(&id.message())?;
        message.deliveries.get(usize::from(id.place()))
    }

    pub(crate) fn count(&self, status: Status) -> u64 {
        let deliveries = self.deliveries();
        deliveries.filter(|(_, one)| one.status == status).count() as u64
    }

    pub(crate) fn delivery_mut(&mut self, id: DeliveryId) -> &mut ModelDelivery {
        let message = self
            .messages
            .get_mut(&id.message())
            .expect("it was accepted");
        &mut message.deliveries[usize::from(id.place())]
    }

    pub(crate) fn row(
        &mut self,
        previous: Option<Cursor>,
        subject: Subject,
        cause: Cause,
        at: TimeMs,
        due: Option<TimeMs>,
        attempt: Option<Box<Attempt>>,
    ) -> Cursor {
        let cursor = Cursor(self.journal.len() as u64 + 1);
        let row = Row {
            cursor,
            previous,
            subject,
            cause,
            at,
            due,
            attempt,
        };
        self.journal.push(Arc::new(row));
        cursor
    }
}

/// How many deliveries a message has at first.
pub(crate) fn at_once(planned: &[Planned]) -> u16 {
    let at_once = planned.iter().filter(|one| one.after.is_none());
    at_once.count() as u16
}

/// Whether two messages with one id are the same one, sent again.
fn is_same(first: &Message, other: &Message) -> bool {
    let key = HashKey::new([0; 32]);
    first.content_hash(&key) == other.content_hash(&key)
}
