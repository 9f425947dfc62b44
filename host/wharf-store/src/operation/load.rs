//! Reading on what waits on disk alone, a page at a time.

use redb::ReadableTable;
use rustc_hash::FxHashMap;
use tracing::error;
use wharf_core::{ChannelName, DeliveryId, MessageSeq, TimeMs};

use crate::error::{Malformed, ReadError};
use crate::index::{Page, Plan, QueueAt};
use crate::limits::PAGE_SLOTS_MAX;
use crate::read::Snapshot;
use crate::recover;
use crate::store::Store;
use crate::table::due::{self, Due};
use crate::table::tails::{self, Tails};

impl Store {
    /// Reads a page of what a queue has on disk alone, where that has to be before something of it can be claimed, or made
    /// ready by `now`. False where it need not, or where another page is being read.
    pub(crate) fn load(&self, at: QueueAt, now: TimeMs) -> Result<bool, ReadError> {
        let plan = self.index().lock().plan(at, now);
        let Some(plan) = plan else {
            return Ok(false);
        };
        let read = self.read_page(&plan);
        let (page, outcome) = match read {
            Ok(page) => (Some(page), Ok(true)),
            Err(cause) => (None, Err(cause)),
        };
        let wake = {
            let mut index = self.index().lock();
            index.end_load(&plan, page);
            index.wake()
        };
        wake.all();
        outcome
    }

    /// Reads with a snapshot of the commit that the index mirrors. Between a commit and its being mirrored lie
    /// microseconds; only one that comes right between the two looks here makes another round.
    fn read_page(&self, plan: &Plan) -> Result<Page, ReadError> {
        loop {
            let page = self.read(|snapshot| {
                let state = recover::state(snapshot)?;
                if !self.index().lock().begin_load(state.head()) {
                    return Ok(None);
                }
                read(snapshot, plan, state.next_seq).map(Some)
            })?;
            match page {
                Some(page) => return Ok(page),
                None => std::thread::yield_now(),
            }
        }
    }
}

fn read(snapshot: &Snapshot, plan: &Plan, next_seq: MessageSeq) -> Result<Page, ReadError> {
    let mut page = Page {
        open: FxHashMap::default(),
        open_end: DeliveryId::new(next_seq, 0),
        due: Vec::new(),
        due_end: None,
    };
    if let Some(from) = plan.from.due {
        (page.due, page.due_end) = dues(snapshot, plan.number, from, plan.count)?;
    }
    if let Some(from) = plan.from.open {
        let mut scan = Scan {
            found: FxHashMap::default(),
            slots_count: 0,
        };
        page.open_end = scan.run(snapshot, from, next_seq, |found| {
            let ids = found.get(&plan.channel);
            ids.is_some_and(|ids| ids.len() >= plan.count)
        })?;
        page.open = scan.found;
    }
    Ok(page)
}

/// Up to `count` deliveries of a channel in the order in which they fall due, and what comes behind them.
fn dues(
    snapshot: &Snapshot,
    channel: u32,
    from: Due,
    count: usize,
) -> Result<(Vec<Due>, Option<Due>), ReadError> {
    let last = (TimeMs(u64::MAX), DeliveryId(u64::MAX));
    let table = snapshot.tx().open_table(due::TABLE)?;
    let mut range =
        ReadableTable::range(&table, due::key(channel, from)..=due::key(channel, last))?;
    let mut dues = Vec::new();
    for entry in range.by_ref().take(count) {
        let (_, at, id) = entry?.0.value();
        dues.push((TimeMs(at), DeliveryId(id)));
    }
    let next = range.next().transpose()?;
    let end = next.map(|(key, _)| {
        let (_, at, id) = key.value();
        (TimeMs(at), DeliveryId(id))
    });
    Ok((dues, end))
}

/// A walk through the tails of open chunks.
struct Scan {
    found: FxHashMap<ChannelName, Vec<DeliveryId>>,
    slots_count: usize,
}

impl Scan {
    /// Walks on until enough was found or looked at. Returns where it came to, which is the number of the next message
    /// where there is nothing more.
    fn run(
        &mut self,
        snapshot: &Snapshot,
        from: DeliveryId,
        next_seq: MessageSeq,
        is_enough: impl Fn(&FxHashMap<ChannelName, Vec<DeliveryId>>) -> bool,
    ) -> Result<DeliveryId, ReadError> {
        let table = snapshot.tx().open_table(tails::OPEN)?;
        let first = match ReadableTable::range(&table, ..=from.message().0)?.next_back() {
            Some(entry) => entry?.0.value(),
            None => 0,
        };
        for entry in ReadableTable::range(&table, first..)? {
            let (first, value) = entry?;
            let first = MessageSeq(first.value());
            if self.slots_count >= PAGE_SLOTS_MAX || is_enough(&self.found) {
                return Ok(DeliveryId::new(first, 0).max(from));
            }
            let tails = Tails::read(value.value());
            if let Err(cause) = tails.and_then(|tails| self.chunk(first, &tails, from)) {
                error!(chunk = %first, error = &cause as &dyn std::error::Error, "where deliveries stand cannot be read, and they are kept back");
            }
        }
        Ok(DeliveryId::new(next_seq, 0))
    }

    fn chunk(
        &mut self,
        first: MessageSeq,
        tails: &Tails,
        from: DeliveryId,
    ) -> Result<(), Malformed> {
        let names = tails.names()?;
        self.slots_count += tails.slots_count();
        let mut by_name: Vec<Vec<DeliveryId>> = vec![Vec::new(); names.len()];
        for message in 0..tails.messages_count() {
            let seq = MessageSeq(first.0 + message as u64);
            for (place, slot) in (0..).zip(tails.slots(message)) {
                let id = DeliveryId::new(seq, place);
                if id >= from && tails.tail(slot)?.is_open() {
                    let ids = by_name.get_mut(tails.channel(slot));
                    ids.ok_or(Malformed("a delivery has no channel"))?.push(id);
                }
            }
        }
        for (name, ids) in names.into_iter().zip(by_name) {
            if !ids.is_empty() {
                self.found.entry(name).or_default().extend(ids);
            }
        }
        Ok(())
    }
}
