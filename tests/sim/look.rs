//! What readers, watchers and metrics see in the middle of life: pages from anywhere, single messages, and what is only
//! in memory.

use std::collections::BTreeSet;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use wharf_core::journal::Subject;
use wharf_core::{ChannelName, Cursor, DeliveryId, MessageId, MessageSeq, Standing, Status};
use wharf_core::{invariant, order};
use wharf_store::{Filter, JournalPage, ReadError, Stats};

use crate::model::{Model, ModelDelivery};
use crate::verify::{same, verify_list};
use crate::world::{ORDERED, World};

/// Claims one after the other that give nothing although there may be something: far more than any store of the
/// simulation takes to read all that waits.
const CLAIMS_IN_VAIN_MAX: usize = 100;

impl World {
    /// Looks at the store from all sides. What a failing disk keeps from being read is no difference.
    pub(crate) fn look(&mut self) -> Result<(), String> {
        let looked = match self.random.below(6) {
            5 => self.look_at_updates(),
            0 => self.look_at_journal(),
            1 => self.look_at_messages(),
            2 => self.look_at_list(),
            3 => self.look_at_small_things(),
            _ => self.look_at_queues(),
        };
        match looked {
            Err(_) if !self.is_up() => Ok(()),
            looked => looked,
        }
    }

    /// Reads on from any cursor, also from past the end, in pages of any size.
    fn look_at_journal(&mut self) -> Result<(), String> {
        let head = self.model.head().0;
        let mut after = Cursor(self.random.below(head + 3));
        let max_rows = 1 + self.random.below(9) as usize;
        let max_bytes = *self.random.pick(&[0, 500, 5_000, usize::MAX]);
        let none = read(self.store.journal(after, 0, max_bytes))?;
        same("rows that nobody wants", none.entries.len(), 0)?;
        same("where they end", none.end, self.begin(after))?;
        for _ in 0..4 {
            let page = read(self.store.journal(after, max_rows, max_bytes))?;
            self.is_page(&page, after, max_rows, max_bytes)?;
            after = page.end;
        }
        Ok(())
    }

    /// Where a page begins that comes after a cursor: not before what is left of the journal.
    fn begin(&self, after: Cursor) -> Cursor {
        after.max(Cursor(self.model.journal_from.0 - 1))
    }

    fn is_page(
        &self,
        page: &JournalPage,
        after: Cursor,
        max_rows: usize,
        max_bytes: usize,
    ) -> Result<(), String> {
        let begin = self.begin(after);
        let behind = self.model.journal.iter().skip(begin.0 as usize);
        let left_count = behind.len();
        let count = (page.end.0 - begin.0) as usize;
        let bytes: usize = page.entries.iter().map(|entry| entry.bytes()).sum();
        let told: Vec<_> = behind
            .take(count)
            .filter(|row| self.model.is_told(row))
            .collect();
        let passed = page.passed_over.iter();
        let passed_count: u64 = passed.map(|rows| rows.last.0 + 1 - rows.first.0).sum();
        same("a page's rows", page.entries.len(), told.len())?;
        same(
            "rows passed over",
            passed_count as usize,
            count - told.len(),
        )?;
        same("an empty page", count == 0, left_count == 0)?;
        same("too many rows", count > max_rows, false)?;
        let is_too_large = told.len() > 1 && bytes > max_bytes;
        same("too many bytes", is_too_large, false)?;
        let is_short = count < max_rows.min(left_count);
        same(
            "a page too short",
            is_short && max_bytes == usize::MAX,
            false,
        )?;
        for (entry, expected) in page.entries.iter().zip(told) {
            same("a page's row", &entry.row, &**expected)?;
            let seq = expected.subject.message();
            let message = seq.map(|seq| &self.model.messages[&seq]);
            let id = message.map(|message| &message.message.id);
            same("its message", entry.message.as_ref(), id)?;
            let planned = match (expected.subject, message) {
                (Subject::Delivery { id, .. }, Some(message)) => {
                    message.planned.get(usize::from(id.place()))
                }
                _ => None,
            };
            same("its plan", entry.planned.as_ref(), planned)?;
        }
        Ok(())
    }

    /// One message with all of its rows, and one that nobody sent.
    fn look_at_messages(&mut self) -> Result<(), String> {
        let unknown = MessageId::parse("unknown").expect("it is in the alphabet");
        same("unknown", read(self.store.get(&unknown))?, None)?;
        same("its rows", read(self.store.journal_of(&unknown))?.len(), 0)?;
        let seq = MessageSeq(1 + self.random.below(self.model.next_seq().0));
        let found = read(self.store.get_numbered(seq))?;
        let Some(message) = self.model.messages.get(&seq) else {
            return same("a message that is not there", found, None);
        };
        let is_kept = !self.model.removed.contains(&seq);
        let by_number = found.as_ref().map(|found| &found.message.id);
        same(
            "by its number",
            by_number,
            is_kept.then_some(&message.message.id),
        )?;
        for delivery in found.iter().flat_map(|found| &found.deliveries) {
            let is_leased = self.leased.contains_key(&delivery.id);
            same("being attempted", delivery.is_leased, is_leased)?;
        }
        // The id may have been forgotten, and have come again.
        let id = &message.message.id;
        let stands_for = self.model.ids.get(id);
        let stands_for = stands_for.filter(|seq| !self.model.removed.contains(seq));
        let rows = self.model.journal.iter();
        let rows = rows.skip(self.model.journal_from.0 as usize - 1);
        let rows =
            rows.filter(|row| stands_for.is_some() && row.subject.message().as_ref() == stands_for);
        let rows = rows.map(|row| (**row).clone()).collect();
        same("its rows", read(self.store.journal_of(id))?, rows)
    }

    /// A list of anything, in pages of any size.
    fn look_at_list(&mut self) -> Result<(), String> {
        let mut some = || self.random.once_in(2);
        let statuses = Status::ALL.iter().copied().filter(|_| some()).collect();
        let standings = Standing::ALL.iter().copied().filter(|_| some()).collect();
        let is_of_one = some();
        let channel = is_of_one.then(|| self.random.pick(&self.channels).clone());
        let filter = Filter {
            statuses,
            standings,
            channel,
        };
        let max = 1 + self.random.below(20) as usize;
        verify_list(&self.store, &self.model, &filter, max)
    }

    /// What is parked, named values and cursors.
    fn look_at_small_things(&mut self) -> Result<(), String> {
        let all = &self.model.parked;
        let count = all.len() as u64;
        same("parked", read(self.store.parked_count())?, count)?;
        let after = self.random.below(count + 2);
        let most = self.random.below(4) as usize;
        let page = read(self.store.parked(after, most))?;
        let numbered = (1..).zip(all.iter().map(|one| (**one).clone()));
        let expected = numbered.skip(after as usize).take(most).collect();
        same("a page of what is parked", page, expected)?;
        let name = format!("name-{}", self.random.below(4));
        let value = self.model.states.get(&name);
        let found = self.store.state(&name);
        same("a value", found.as_deref(), value.map(String::as_bytes))?;
        same(
            "values",
            self.store.states(&name).len(),
            usize::from(value.is_some()),
        )?;
        same("other values", self.store.states("other").len(), 0)?;
        same("a cursor", read(self.store.cursor("nobody's"))?, None)
    }

    /// What can be claimed, what waits for a time, and who would be woken.
    fn look_at_queues(&mut self) -> Result<(), String> {
        read(self.store.promote_due(self.now))?;
        let stats = self.store.stats();
        same("commits", self.store.commit_running_for(), None)?;
        let told = *self.store.watch_next_due().borrow();
        same("told when", told, self.store.next_due())?;
        let waiting = Queues::of(self);
        let leased = self.leased.len() as u64;
        same("leased", stats.spread.leased, leased)?;
        let polled = self.model.count(Status::Pending) + self.model.count(Status::Provisional);
        same("waiting for a poll", stats.waiting, polled)?;
        let unsent = waiting.due.len() + waiting.ready.len();
        // Nothing else is set apart: all can be read.
        let spread = stats.spread.ready + stats.spread.due + stats.spread.blocked;
        same("ready and due", spread, unsent as u64 + polled)?;
        // What has fallen due and is on disk alone may be counted as due yet.
        let ready_max = waiting.ready.len() as u64;
        let has_too_many = stats.spread.ready > ready_max;
        same("more ready than there are", has_too_many, false)?;
        for channel in &self.channels {
            self.is_counted(&stats, channel)?;
            if !self
                .model
                .claimed
                .keys()
                .any(|id| self.model.is_suspect(*id))
            {
                self.is_awake(&waiting, channel)?;
            }
        }
        Ok(())
    }

    fn is_counted(&self, stats: &Stats, channel: &ChannelName) -> Result<(), String> {
        let Some(found) = stats.channels.iter().find(|one| one.channel == *channel) else {
            let is_of = |id: &DeliveryId| self.model.channel(*id) == channel;
            let is_unknown = !self.model.deliveries().any(|(id, _)| is_of(&id));
            return same("a channel that is not counted", is_unknown, true);
        };
        let leased = self.leased.keys();
        let leased = leased.filter(|id| self.model.channel(**id) == channel);
        same("leased of a channel", found.leased, leased.count() as u64)?;
        // Delivered ones are not counted by channel.
        for status in Status::ALL.iter().filter(|s| **s != Status::Delivered) {
            let deliveries = self.model.deliveries();
            let of_status = deliveries.filter(|(id, delivery)| {
                delivery.status == *status && self.model.channel(*id) == channel
            });
            let counted = of_status.count() as u64;
            same(status.as_str(), found.depths.status(*status), counted)?;
        }
        Ok(())
    }

    /// Where something of a channel can be claimed, nobody sleeps; where something will be, somebody is told when.
    fn is_awake(&self, waiting: &Queues, channel: &ChannelName) -> Result<(), String> {
        let is_of = |id: &&DeliveryId| self.model.channel(**id) == channel;
        let ready: Vec<_> = waiting.ready.iter().filter(is_of).collect();
        let has_new = ready.iter().any(|id| {
            self.model.delivery(**id).due.is_none()
                && self.model.is_in_order(**id, self.order).is_ok()
        });
        if has_new {
            same("awake", self.is_awake_now(channel), true)?;
        }
        let behind = read(self.store.behind())?;
        let behind = behind.iter().find(|(name, _)| name == channel);
        same("behind", has_new && behind.is_none(), false)?;
        if let Some((_, accepted_at)) = behind {
            let accepted = |id: &&DeliveryId| self.model.message(**id).message.accepted_at;
            let is_one = ready.iter().any(|id| accepted(id) == *accepted_at);
            same("behind since", is_one, true)?;
        }
        // With nothing of the channel ready there is room in memory for what falls due.
        let due = waiting.due.iter().filter(is_of);
        let due = due.filter_map(|id| self.model.delivery(*id).due).min();
        if let (true, Some(due)) = (ready.is_empty(), due) {
            let is_told = self.store.next_due().is_some_and(|next| next <= due);
            same("told in time", is_told, true)?;
        }
        Ok(())
    }

    fn is_awake_now(&self, channel: &ChannelName) -> bool {
        let slept = pin!(self.store.ready(channel));
        let polled = slept.poll(&mut Context::from_waker(Waker::noop()));
        polled == Poll::Ready(())
    }

    /// Claims everything that can be, and perhaps gives it all back.
    pub(crate) fn drain(&mut self) -> Result<(), String> {
        if self
            .model
            .claimed
            .keys()
            .any(|id| self.model.is_suspect(*id))
        {
            return Ok(());
        }
        // Claims that are put on disk may bring new messages along.
        while self.is_up() && self.drain_once()? > 0 {}
        if self.is_up() {
            let mut left = Queues::of(self).ready;
            left.retain(|id| self.model.is_in_order(*id, self.order).is_ok());
            same("cannot be claimed", left, BTreeSet::new())?;
        }
        if self.random.once_in(2) {
            self.claims.retain(|held| held.is_stale);
            self.leased.clear();
        }
        Ok(())
    }

    /// Claims of each channel until nobody would be awake for it. Returns how many were claimed.
    fn drain_once(&mut self) -> Result<usize, String> {
        let mut sum = 0;
        for channel in self.channels.clone() {
            let mut in_vain_count = 0;
            while self.is_up() && in_vain_count < CLAIMS_IN_VAIN_MAX {
                let is_awake = self.is_awake_now(&channel);
                let count = self.claim_of(&channel, 5)?;
                if count == 0 && !is_awake {
                    break;
                }
                in_vain_count = if count == 0 { in_vain_count + 1 } else { 0 };
                sum += count;
            }
        }
        Ok(sum)
    }
}

/// What can be sent and is not being attempted.
struct Queues {
    ready: BTreeSet<DeliveryId>,
    due: BTreeSet<DeliveryId>,
}

impl Queues {
    fn of(world: &World) -> Self {
        let is_ready = |delivery: &ModelDelivery| delivery.due.is_none_or(|due| due <= world.now);
        let sendable = world.model.deliveries().filter(|(id, delivery)| {
            delivery.status.is_sendable() && !world.leased.contains_key(id)
        });
        let (ready, due): (Vec<_>, Vec<_>) = sendable.partition(|(_, one)| is_ready(one));
        let ids = |some: Vec<(DeliveryId, _)>| some.into_iter().map(|(id, _)| id).collect();
        Self {
            ready: ids(ready),
            due: ids(due),
        }
    }
}

impl Model {
    /// Whether no earlier delivery of its channel and key keeps it back.
    pub(crate) fn is_in_order(&self, id: DeliveryId, policy: order::Policy) -> Result<(), String> {
        let Some(key) = self.ordering_key(id) else {
            return Ok(());
        };
        let of_key = self
            .deliveries()
            .filter(|(other, _)| *other < id && self.ordering_key(*other) == Some(key));
        let of_key = of_key.map(|(other, delivery)| (other, delivery.status));
        let in_order = invariant::nothing_earlier_holds_it(id, of_key, policy);
        in_order.map_err(|violation| violation.to_string())
    }

    /// The key by which a delivery takes part in its channel's order.
    fn ordering_key(&self, id: DeliveryId) -> Option<&str> {
        let redriven = self.delivery(id).redriven;
        let is_kept = self.channel(id).as_str() == ORDERED;
        order::key_of(&self.message(id).message, redriven).filter(|_| is_kept)
    }

    pub(crate) fn channel(&self, id: DeliveryId) -> &ChannelName {
        &self.message(id).planned[usize::from(id.place())].channel
    }
}

fn read<T>(result: Result<T, ReadError>) -> Result<T, String> {
    result.map_err(|cause| format!("cannot read the store: {cause:?}"))
}
