//! What is committed alone: what operators ask; updates are in `update`.

use wharf_core::route::Planned;
use wharf_core::{DeliveryId, MessageId, MessageSeq};
use wharf_store::{Cancel, Redrive, Reroute, Target};

use crate::model::Model;
use crate::step::written;
use crate::world::{Asked, Said, World};

impl World {
    /// A delivery or a whole message, whatever its status, and now and then one that does not exist.
    pub(crate) fn ask_cancel(&mut self, model: &mut Model) -> (Asked, Said) {
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
    pub(crate) fn ask_redrive(&mut self, model: &mut Model) -> (Asked, Said) {
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
    pub(crate) fn ask_reroute(&mut self, model: &mut Model) -> (Asked, Said) {
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
            let planned = (0..self.random.below(4)).map(|_| {
                Planned::at_once("again".into(), self.random.pick(&self.channels).clone())
            });
            let mut planned: Vec<_> = planned.collect();
            self.reserve(&mut planned);
            let reroute = Reroute {
                message,
                planned,
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
        let seq = MessageSeq(1 + self.random.below(model.next_seq().0));
        match model.messages.get(&seq) {
            Some(known) if self.random.once_in(3) => Target::Message(known.message.id.clone()),
            None if self.random.once_in(3) => {
                Target::Message(MessageId::parse("unknown").expect("it is in the alphabet"))
            }
            _ => Target::Delivery(DeliveryId::new(seq, self.random.below(3) as u16)),
        }
    }
}
