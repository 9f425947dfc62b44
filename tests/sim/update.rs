//! Status updates: what partners report, and what is made of it, once.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use wharf_core::journal::{Attempt, Subject};
use wharf_core::update::{Claim, Known, Report, Target, Verdict, judge, reference};
use wharf_core::{Cause, ChannelName, DeliveryId, MessageId, MessageSeq, Status, TimeMs, Update};
use wharf_store::{Applied, Apply, Parked, Place};

use crate::model::{Model, ModelDelivery};
use crate::step::written;
use crate::verify::same;
use crate::world::{Asked, Said, World};

/// Messages with one reference that are looked at.
const SHARED_MAX: usize = 16;

impl World {
    /// About anything that there is, by any name that it has, and now and then about nothing.
    pub(crate) fn ask_receive(&mut self, model: &mut Model) -> (Asked, Said) {
        let mut batch = Vec::new();
        for _ in 0..=self.random.below(2) {
            let update = self.update(model);
            batch.push(update);
        }
        let numbers = batch.iter().map(|update| model.receive(update)).collect();
        let store = self.store.clone();
        let asked = written(async move { Ok(Said::Receive(store.receive(&batch).await?)) });
        (asked, Said::Receive(numbers))
    }

    fn update(&mut self, model: &Model) -> Update {
        let random = &mut self.random;
        let mut target = Target::default();
        let mut channel = random.pick(&self.channels).clone();
        let sent = model.deliveries().filter(|(_, one)| one.attempts_count > 0);
        let sent: Vec<_> = sent.collect();
        match random.below(14) {
            7.. if !sent.is_empty() => {
                let (id, delivery) = *random.pick(&sent);
                let message = model.message(id);
                channel = message.planned[usize::from(id.place())].channel.clone();
                match (reference(&message.message), &delivery.token) {
                    (Some((sender, sender_ref)), _) if random.once_in(3) => {
                        target.sender = Some(sender.to_owned());
                        target.sender_ref = Some(sender_ref.to_owned());
                    }
                    (_, Some(token)) if random.once_in(2) => target.token = Some(token.clone()),
                    _ => target.id = Some(message.message.id.clone()),
                }
            }
            0..=2 => {
                let seq = MessageSeq(1 + random.below(model.next_seq().0));
                let known = model.messages.get(&seq);
                let id = known.map(|message| message.message.id.clone());
                let unknown = || MessageId::parse("unknown").expect("it is in the alphabet");
                target.id = Some(id.unwrap_or_else(unknown));
            }
            3 | 4 => target.token = Some(format!("token-{}", 1 + random.below(4))),
            5 => {
                target.sender = Some("sender".to_owned());
                target.sender_ref = Some(random.below(6).to_string());
            }
            _ => target.sender = Some("sender".to_owned()),
        }
        let status = *random.pick(&[
            Claim::Delivered,
            Claim::Rejected,
            Claim::Provisional,
            Claim::Pending,
        ]);
        Update {
            channel,
            target,
            report: Report {
                status,
                code: None,
                reason: Some("so they say".to_owned()),
                reference: None,
                notes: Vec::new(),
            },
            received_at: self.now,
        }
    }

    /// Of those that wait, whether they are due or not, and of one that is not there any more.
    pub(crate) fn ask_apply(&mut self, model: &mut Model) -> (Asked, Said) {
        let mut batch = Vec::new();
        let mut places: Vec<_> = model.updates.keys().copied().collect();
        places.push((TimeMs(1), 0));
        for _ in 0..=self.random.below(4) {
            let nth = self.random.below(places.len() as u64) as usize;
            let (due, number) = places[nth];
            let wait = Duration::from_millis(self.random.below(2_000));
            batch.push(Apply {
                place: Place { due, number },
                again: (!self.random.once_in(3)).then(|| self.now.after(wait)),
                at: self.now,
            });
        }
        let expected = self.apply(model, &batch);
        let store = self.store.clone();
        let asked = written(async move { Ok(Said::Apply(store.apply(batch).await?)) });
        (asked, Said::Apply(expected))
    }

    fn apply(&mut self, model: &mut Model, batch: &[Apply]) -> Vec<Applied> {
        let mut met = Vec::new();
        let mut answers = Vec::new();
        for apply in batch {
            let key = (apply.place.due, apply.place.number);
            let Some((update, tries)) = model.updates.get(&key).cloned() else {
                answers.push(Applied::Gone);
                continue;
            };
            let outcome = model.make(&update, apply.at, |id| {
                if met.contains(&id) {
                    return true;
                }
                met.push(id);
                let fence = self.leased.get(&id);
                if let Some(fence) = fence {
                    self.awaited.insert(apply.place.number, (id, *fence));
                }
                fence.is_some()
            });
            answers.push(match outcome {
                Ok(applied) => {
                    if !matches!(applied, Applied::Held(_)) {
                        model.updates.remove(&key);
                    }
                    applied
                }
                Err(reason) => model.wait(apply, update, tries, reason),
            });
        }
        answers
    }

    /// What is due, without what waits for the end of an attempt.
    pub(crate) fn look_at_updates(&mut self) -> Result<(), String> {
        let leased = &self.leased;
        self.awaited
            .retain(|_, (id, fence)| leased.get(id) == Some(fence));
        let most = self.random.below(5) as usize;
        let found = self.store.updates_due(self.now, most);
        let found = found.map_err(|cause| format!("cannot read the store: {cause:?}"))?;
        let waiting = self.model.updates.iter();
        let mut waiting = waiting.filter(|((_, number), _)| !self.awaited.contains_key(number));
        for one in &found.due {
            let expected = waiting.next().map(|((due, number), (update, tries))| {
                let place = Place {
                    due: *due,
                    number: *number,
                };
                (place, *tries, update.clone())
            });
            let found = (one.place, one.tries, one.update.clone());
            same("an update", Some(found), expected)?;
            same("it is due", one.place.due <= self.now, true)?;
        }
        let next = waiting.next().map(|((due, _), _)| *due);
        same("when the next one is", found.next, next)?;
        let has_all = found.due.len() == most || next.is_none_or(|next| next > self.now);
        same("all that are due", has_all, true)
    }
}

impl Model {
    fn receive(&mut self, update: &Update) -> u64 {
        self.last_update += 1;
        let key = (update.received_at, self.last_update);
        self.updates.insert(key, (update.clone(), 0));
        self.last_update
    }

    /// What an update makes of its delivery, or why nothing yet. `is_held` says whether somebody has that.
    fn make(
        &mut self,
        update: &Update,
        at: TimeMs,
        is_held: impl FnOnce(DeliveryId) -> bool,
    ) -> Result<Applied, String> {
        let Some(known) = update.target.known() else {
            return Err(TOO_LITTLE.to_owned());
        };
        let found = self.find_known(known, &update.channel);
        let id = found.ok_or_else(|| unknown(known, &update.channel))?;
        if is_held(id) {
            return Ok(Applied::Held(id));
        }
        let before = self.delivery(id).clone();
        let subject = wharf_core::update::Subject {
            status: before.status,
            attempts_count: before.attempts_count,
            due: before.due,
            token: before.token.as_deref(),
        };
        let status = before.status;
        // How many attempts there were, where anything says so.
        let is_told = status != Status::Delivered
            || before.redriven.is_some()
            || before.last >= self.journal_from;
        let facts = |code: Option<&str>| Attempt {
            number: if is_told { before.attempts_count } else { 0 },
            started_at: update.received_at,
            code: code.map(str::to_owned),
            reason: update.report.reason.clone(),
            ..Attempt::default()
        };
        match judge(update.report.status, subject) {
            Verdict::Step(step) => {
                let facts = facts(None);
                let to = step.to;
                let after = ModelDelivery {
                    status: to,
                    due: step.due,
                    token: step.token,
                    ..before
                };
                let row = self.step(id, after, step.cause, at, Some(Box::new(facts)));
                Ok(Applied::Recorded {
                    delivery: id,
                    row,
                    to,
                })
            }
            Verdict::Known => Ok(Applied::Known(id)),
            Verdict::Conflict => {
                let code = update.report.status.conflict_code();
                let last = &self.journal[before.last.0 as usize - 1];
                let said = last.attempt.as_ref().and_then(|said| said.code.as_deref());
                let is_kept = before.last >= self.journal_from;
                if is_kept && last.cause == Cause::Conflict && said == Some(code) {
                    return Ok(Applied::Known(id));
                }
                let subject = Subject::Delivery {
                    id,
                    from: Some(status),
                    to: status,
                };
                let facts = Some(Box::new(facts(Some(code))));
                let (last, due) = (Some(before.last), before.due);
                let row = self.row(last, subject, Cause::Conflict, at, due, facts);
                let delivery = self.delivery_mut(id);
                delivery.last = row;
                // From now on this row is what says so.
                delivery.attempts_count *= u32::from(is_told);
                Ok(Applied::Conflict {
                    delivery: id,
                    row,
                    status,
                })
            }
            Verdict::Unsent => Err(format!(
                "its delivery is {status} and was not sent, as far as is recorded"
            )),
        }
    }

    /// It is tried again, or parked; what says too little at once.
    fn wait(&mut self, apply: &Apply, update: Update, tries: u32, reason: String) -> Applied {
        self.updates.remove(&(apply.place.due, apply.place.number));
        let number = apply.place.number;
        match apply.again.filter(|_| reason != TOO_LITTLE) {
            Some(due) => {
                self.updates.insert((due, number), (update, tries + 1));
                Applied::Again(Place { due, number })
            }
            None => {
                let parked = Parked {
                    source: format!("updates/{}", update.channel),
                    reason: reason.clone(),
                    at: apply.at,
                    content_type: "application/json".to_owned(),
                    content: content(&update).into_bytes(),
                };
                self.parked.push(Arc::new(parked));
                let number = self.parked.len() as u64;
                Applied::Parked { number, reason }
            }
        }
    }

    fn find_known(&self, known: Known<'_>, channel: &ChannelName) -> Option<DeliveryId> {
        let of_channel = |seq: MessageSeq| {
            let message = &self.messages[&seq];
            let planned = message.planned.iter().zip(&message.deliveries);
            let place = planned
                .into_iter()
                .position(|(one, _)| one.channel == *channel)?;
            Some(DeliveryId::new(seq, place as u16))
        };
        match known {
            Known::Id(id) => {
                let seq = self.ids.get(id).filter(|seq| !self.removed.contains(seq))?;
                of_channel(*seq)
            }
            Known::Token(token) => {
                let deliveries = self.deliveries().filter(|(id, one)| {
                    let planned = &self.message(*id).planned[usize::from(id.place())];
                    planned.channel == *channel && one.aliases.contains(token)
                });
                deliveries.map(|(id, _)| id).last()
            }
            Known::Reference(sender, sender_ref) => {
                let messages: Vec<_> = self.kept().collect();
                let named = messages
                    .into_iter()
                    .rev()
                    .filter(|message| reference(&message.message) == Some((sender, sender_ref)));
                named
                    .take(SHARED_MAX)
                    .find_map(|message| of_channel(message.seq))
            }
        }
    }
}

const TOO_LITTLE: &str =
    "it names no delivery: an update takes an id, a token, or sender and sender_ref";

fn unknown(known: Known<'_>, channel: &ChannelName) -> String {
    match known {
        Known::Id(id) => format!("no message {id} has a delivery on channel {channel}"),
        Known::Token(_) => format!("no delivery on channel {channel} is known by its token"),
        Known::Reference(sender, sender_ref) => format!(
            "no message of sender {sender:?} with sender_ref {sender_ref:?} has a delivery on channel {channel}"
        ),
    }
}

/// What is parked of an update.
fn content(update: &Update) -> String {
    let Target {
        id,
        token,
        sender,
        sender_ref,
    } = &update.target;
    let names = [
        ("channel", Some(update.channel.as_str())),
        ("id", id.as_ref().map(MessageId::as_str)),
        ("token", token.as_deref()),
        ("sender", sender.as_deref()),
        ("sender_ref", sender_ref.as_deref()),
        ("status", Some(update.report.status.status().as_str())),
        ("reason", update.report.reason.as_deref()),
    ];
    let named = names
        .iter()
        .filter_map(|(name, value)| Some(format!("\"{name}\":\"{}\"", (*value)?)));
    let named: Vec<_> = named.collect();
    format!("{{{}}}", named.join(","))
}

/// The updates that wait, by when they are looked at again and their number, and how often each was tried.
pub(crate) type Updates = BTreeMap<(TimeMs, u64), (Update, u32)>;
