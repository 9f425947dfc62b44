//! What the store should hold, kept in plain maps.

use std::collections::BTreeMap;
use std::sync::Arc;

use wharf_core::delivery::Transition;
use wharf_core::journal::{Attempt, Row, Subject};
use wharf_core::route::Planned;
use wharf_core::{
    Cause, Cursor, DeliveryId, Message, MessageId, MessageSeq, Standing, Status, TimeMs, WireForm,
};
use wharf_store::{Accept, Accepted, Settled};

/// Everything that the store holds. Cloned for every commit, so what never changes is shared.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub(crate) messages: BTreeMap<MessageSeq, ModelMessage>,
    /// The ids that are known. One that was forgotten may have come again, with another message.
    pub(crate) ids: BTreeMap<MessageId, MessageSeq>,
    pub(crate) ids_known_from: MessageSeq,
    pub(crate) cursors: BTreeMap<String, Cursor>,
    pub(crate) journal: Vec<Arc<Row>>,
}

#[derive(Clone, Debug)]
pub(crate) struct ModelMessage {
    pub(crate) seq: MessageSeq,
    pub(crate) message: Arc<Message>,
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
    pub(crate) last: Cursor,
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

impl Default for Model {
    fn default() -> Self {
        Self {
            messages: BTreeMap::new(),
            ids: BTreeMap::new(),
            ids_known_from: MessageSeq(1),
            cursors: BTreeMap::new(),
            journal: Vec::new(),
        }
    }
}

impl Model {
    pub(crate) fn accept(&mut self, accept: &Accept) -> Accepted {
        let Accept { message, planned } = accept;
        if let Some(seq) = self.ids.get(&message.id).copied() {
            let first = &self.messages[&seq];
            return if first.message.content_hash() == message.content_hash() {
                let accepted_at = first.message.accepted_at;
                let deliveries_count = first.planned.len() as u16;
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
            self.row(None, subject, Cause::NoRoute, at, None, None);
        }
        let deliveries: Vec<_> = (0..planned.len() as u16)
            .map(|place| {
                let id = DeliveryId::new(seq, place);
                let subject = Subject::Delivery {
                    id,
                    from: None,
                    to: Status::Queued,
                };
                let last = self.row(None, subject, Cause::Accepted, at, due, None);
                let status = Status::Queued;
                ModelDelivery {
                    status,
                    attempts_count: 0,
                    due,
                    token: None,
                    wire: None,
                    last,
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
        let Transition {
            to,
            cause,
            due,
            token,
        } = settle.transition.clone();
        let subject = Subject::Delivery {
            id: settle.id,
            from: Some(before.status),
            to,
        };
        let attempt = settle.attempt.clone().map(Box::new);
        let last = self.row(Some(before.last), subject, cause, settle.at, due, attempt);
        let offered = settle.wire.clone().filter(|_| !to.is_final());
        let keeps_wire = Status::ALL
            .iter()
            .any(|next| Status::allows(Some(to), *next));
        let made = settle.attempt.as_ref().map_or(0, |attempt| attempt.number);
        *self.delivery_mut(settle.id) = ModelDelivery {
            status: to,
            attempts_count: before.attempts_count.max(made),
            due,
            token,
            wire: before.wire.or(offered).filter(|_| keeps_wire),
            last,
        };
        Settled::Recorded(last)
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

    pub(crate) fn count(&self, status: Status) -> u64 {
        let deliveries = self
            .messages
            .values()
            .flat_map(|message| &message.deliveries);
        deliveries
            .filter(|delivery| delivery.status == status)
            .count() as u64
    }

    fn delivery_mut(&mut self, id: DeliveryId) -> &mut ModelDelivery {
        let message = self
            .messages
            .get_mut(&id.message())
            .expect("it was accepted");
        &mut message.deliveries[usize::from(id.place())]
    }

    fn row(
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
