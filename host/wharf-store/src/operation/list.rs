//! Listing deliveries by where they stand, a page at a time.

use tracing::error;
use wharf_core::journal::Attempt;
use wharf_core::route::Planned;
use wharf_core::{
    Cause, ChannelName, Cursor, DeliveryId, MessageId, MessageSeq, Standing, Status, TimeMs,
};

use crate::error::{Malformed, ReadError};
use crate::index::SharedIndex;
use crate::limits::{LIST_ENTRIES_MAX, LIST_LOOK_BACK_ROWS};
use crate::operation::get::DeliveryView;
use crate::read::{Chunks, Journal, Rows, Snapshot, TailReader};
use crate::store::Store;
use crate::table::chunk;
use crate::table::state::Counts;
use crate::table::tails::Place;
use crate::walk::{Walk, Wanted};

/// What to list: what stands at one of these, and for this channel where one is named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Deliveries with one of these statuses.
    pub statuses: Vec<Status>,
    /// Messages without deliveries that stand at one of these. They have no channel: with one named there are none.
    pub standings: Vec<Standing>,
    /// For this channel alone.
    pub channel: Option<ChannelName>,
}

/// A page of a list. Short, or even empty, pages can be followed by others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// In the order of acceptance.
    pub entries: Vec<Entry>,
    /// What is damaged, and left out. The log says what.
    pub unreadable_count: u64,
    /// What to list after for the next page; none where this is the last one.
    pub next: Option<DeliveryId>,
}

/// A delivery, or a message that has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The message's number.
    pub seq: MessageSeq,
    /// Its id.
    pub message: MessageId,
    /// When that was accepted.
    pub accepted_at: TimeMs,
    /// What stands there.
    pub of: Of,
    /// When it came to stand there; none where the row that says so was removed from the journal.
    pub changed_at: Option<TimeMs>,
    /// Why; none likewise.
    pub cause: Option<Cause>,
    /// The code of the last attempt's failure or refusal.
    pub code: Option<String>,
    /// And its reason.
    pub reason: Option<String>,
}

/// What an entry is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Of {
    /// A delivery.
    Delivery(DeliveryView),
    /// A message without deliveries.
    Message(Standing),
}

impl Store {
    /// Up to `max` entries that come after a number (of a delivery, or `message << 16` of a message without any), in
    /// the order of numbers. The work of a call is bounded: a page may be short and still not be the last one.
    ///
    /// Statuses that queued and delivered deliveries share take a walk through all deliveries; the others through
    /// those that wait for something or ended badly.
    pub fn list(
        &self,
        filter: &Filter,
        after: Option<DeliveryId>,
        max: usize,
    ) -> Result<Page, ReadError> {
        // Read before the snapshot is made: what was answered by then is counted.
        let wanted = wanted(filter, &self.index().lock().state().counts);
        self.read(|snapshot| page(snapshot, self.index(), &wanted, after, max))
    }
}

/// What nothing stands at is not looked for.
fn wanted<'a>(filter: &'a Filter, counts: &Counts) -> Wanted<'a> {
    let statuses = filter.statuses.iter().copied();
    let standings = filter.standings.iter().copied();
    Wanted {
        statuses: statuses.filter(|s| counts.status(*s) > 0).collect(),
        standings: standings
            .filter(|s| counts.standing(*s) > 0 && filter.channel.is_none())
            .collect(),
        channel: filter.channel.as_ref(),
    }
}

fn page(
    snapshot: &Snapshot,
    index: &SharedIndex,
    wanted: &Wanted<'_>,
    after: Option<DeliveryId>,
    max: usize,
) -> Result<Page, ReadError> {
    let mut walk = Walk::new(wanted, after, max.clamp(1, LIST_ENTRIES_MAX));
    let next = walk.run(snapshot)?;
    let mut page = Page {
        entries: Vec::with_capacity(walk.found.len()),
        unreadable_count: walk.unreadable_count,
        next,
    };
    let mut reader = Reader {
        index,
        tails: snapshot.tail_reader(),
        chunks: snapshot.chunks()?,
        rows: snapshot.rows()?,
        journal: snapshot.journal()?,
    };
    for id in walk.found {
        match reader.entry(id) {
            Ok(entry) => page.entries.push(entry),
            Err(ReadError::Malformed(cause)) => {
                error!(delivery = %id, error = &cause as &dyn std::error::Error, "a delivery cannot be read and is not listed");
                page.unreadable_count += 1;
            }
            Err(cause @ (ReadError::File(_) | ReadError::Closed)) => return Err(cause),
        }
    }
    Ok(page)
}

/// Puts entries together.
struct Reader<'a> {
    index: &'a SharedIndex,
    tails: TailReader<'a>,
    chunks: Chunks,
    rows: Rows,
    journal: Journal,
}

impl Reader<'_> {
    fn entry(&mut self, id: DeliveryId) -> Result<Entry, ReadError> {
        let (message, accepted_at, planned) = self.chunks.with(id.message(), |part| {
            let about = chunk::about(part, Some(id.place()))?;
            let planned = about.planned.map(|(route, channel, after)| Planned {
                route: route.into(),
                channel: ChannelName::new(channel),
                after,
            });
            Ok((about.id, about.accepted_at, planned))
        })?;
        let tail = self.tails.tail(id)?;
        let of = match (tail.place, planned) {
            (Place::Message(standing), None) => Of::Message(standing),
            (Place::Delivery(..), Some(planned)) => Of::Delivery(DeliveryView::read(
                &self.rows,
                &mut self.journal,
                self.index,
                planned,
                id,
                tail,
            )?),
            _ => return Err(Malformed("a delivery is not in its message's plan").into()),
        };
        let last = self.journal.find(tail.last)?;
        let (changed_at, cause) = last.map(|row| (row.at, row.cause)).unzip();
        let attempt = self.last_attempt(tail.last)?;
        let (code, reason) = attempt.map_or((None, None), |attempt| (attempt.code, attempt.reason));
        Ok(Entry {
            seq: id.message(),
            message,
            accepted_at,
            of,
            changed_at,
            cause,
            code,
            reason,
        })
    }

    fn last_attempt(&mut self, last: Cursor) -> Result<Option<Attempt>, ReadError> {
        let mut next = Some(last);
        for _ in 0..LIST_LOOK_BACK_ROWS {
            let Some(cursor) = next else {
                break;
            };
            let Some(row) = self.journal.find(cursor)? else {
                break;
            };
            if let Some(attempt) = row.attempt {
                return Ok(Some(*attempt));
            }
            next = row.previous;
        }
        Ok(None)
    }
}
