//! Walking through deliveries in the order of their numbers, for as long as a walk may take.
//!
//! Where every delivery that is sought has a row, only rows are walked through: they are few beside all deliveries
//! that were ever delivered. Otherwise the tails of all chunks are.

use std::iter::Peekable;

use redb::{AccessGuard, Range, ReadOnlyTable, ReadableTable, StorageError};
use tracing::error;
use wharf_core::{ChannelName, DeliveryId, MessageSeq, Standing, Status};

use crate::error::{Malformed, ReadError};
use crate::limits::LIST_SCAN_MAX;
use crate::read::Snapshot;
use crate::table::delivery::{self, Row};
use crate::table::tails::{self, Place, Tails};

/// What is sought.
pub(crate) struct Wanted<'a> {
    pub(crate) statuses: Vec<Status>,
    pub(crate) standings: Vec<Standing>,
    pub(crate) channel: Option<&'a ChannelName>,
}

/// A walk, and what it has found. A message without deliveries is found under the number of its first one.
pub(crate) struct Walk<'a> {
    wanted: &'a Wanted<'a>,
    max: usize,
    scanned_count: usize,
    /// What was looked at last.
    at: Option<DeliveryId>,
    pub(crate) found: Vec<DeliveryId>,
    /// Values that cannot be read.
    pub(crate) unreadable_count: u64,
}

impl Wanted<'_> {
    fn has_rows(&self) -> bool {
        let all_have = self.statuses.iter().copied().all(Row::is_always_needed);
        all_have && self.standings.is_empty()
    }

    fn is_nothing(&self) -> bool {
        self.statuses.is_empty() && self.standings.is_empty()
    }

    fn has(&self, place: Place) -> bool {
        match place {
            Place::Delivery(status, _) => self.statuses.contains(&status),
            Place::Message(standing) => self.standings.contains(&standing),
            Place::Reserve => false,
        }
    }
}

impl<'a> Walk<'a> {
    /// Looks for up to `max` of what is wanted, from behind `after` on.
    pub(crate) fn new(wanted: &'a Wanted<'a>, after: Option<DeliveryId>, max: usize) -> Self {
        Self {
            wanted,
            max,
            scanned_count: 0,
            at: after,
            found: Vec::new(),
            unreadable_count: 0,
        }
    }

    /// Walks on. Returns where the next walk goes on, none where this one came to the end.
    pub(crate) fn run(&mut self, snapshot: &Snapshot) -> Result<Option<DeliveryId>, ReadError> {
        let is_through = if self.wanted.is_nothing() {
            true
        } else if self.wanted.has_rows() {
            self.through_rows(snapshot)?
        } else {
            self.through_tails(snapshot)?
        };
        Ok(self.at.filter(|_| !is_through))
    }

    fn is_spent(&self) -> bool {
        self.found.len() >= self.max || self.scanned_count >= LIST_SCAN_MAX
    }

    fn through_rows(&mut self, snapshot: &Snapshot) -> Result<bool, ReadError> {
        let table = snapshot.tx().open_table(delivery::TABLE)?;
        let Some(from) = self.at.map_or(Some(0), |at| at.0.checked_add(1)) else {
            return Ok(true);
        };
        for entry in ReadableTable::range(&table, from..)? {
            if self.is_spent() {
                return Ok(false);
            }
            let (id, value) = entry?;
            let id = DeliveryId(id.value());
            self.scanned_count += 1;
            self.at = Some(id);
            match Row::decode(value.value()) {
                Ok(row) => {
                    let is_of_channel = self.wanted.channel.is_none_or(|name| *name == row.channel);
                    if is_of_channel && self.wanted.statuses.contains(&row.status) {
                        self.found.push(id);
                    }
                }
                Err(cause) => {
                    error!(delivery = %id, error = &cause as &dyn std::error::Error, "a delivery's row cannot be read, and it is not listed");
                    self.unreadable_count += 1;
                }
            }
        }
        Ok(true)
    }

    fn through_tails(&mut self, snapshot: &Snapshot) -> Result<bool, ReadError> {
        let from = self.at.map_or(MessageSeq(0), DeliveryId::message);
        let tx = snapshot.tx();
        let (open, closed) = (tx.open_table(tails::OPEN)?, tx.open_table(tails::CLOSED)?);
        let (mut open, mut closed) = (chunks(&open, from)?, chunks(&closed, from)?);
        while let Some(entry) = earlier(&mut open, &mut closed) {
            if self.is_spent() {
                return Ok(false);
            }
            let (first, value) = entry?;
            let first = MessageSeq(first.value());
            let tails = Tails::read(value.value());
            match tails.and_then(|tails| self.through_chunk(first, &tails)) {
                Ok(true) => {}
                Ok(false) => return Ok(false),
                Err(cause) => {
                    error!(chunk = %first, error = &cause as &dyn std::error::Error, "where deliveries stand cannot be read, and they are not listed");
                    self.unreadable_count += 1;
                }
            }
        }
        Ok(true)
    }

    fn through_chunk(&mut self, first: MessageSeq, tails: &Tails) -> Result<bool, Malformed> {
        self.scanned_count += 1;
        let channel = match self.wanted.channel {
            Some(channel) => match tails.names()?.iter().position(|name| name == channel) {
                Some(place) => Some(place),
                None => {
                    let behind = first.0 + tails.messages_count() as u64;
                    let last = MessageSeq(behind.saturating_sub(1));
                    self.at = self.at.max(Some(DeliveryId::new(last, u16::MAX)));
                    return Ok(true);
                }
            },
            None => None,
        };
        let from = self
            .at
            .map_or(0, |at| at.message().0.saturating_sub(first.0));
        for message in from as usize..tails.messages_count() {
            let seq = MessageSeq(first.0 + message as u64);
            for (place, slot) in (0..).zip(tails.slots(message)) {
                let id = DeliveryId::new(seq, place);
                if self.at.is_some_and(|at| id <= at) {
                    continue;
                }
                if self.is_spent() {
                    return Ok(false);
                }
                self.scanned_count += 1;
                self.at = Some(id);
                let is_of_channel = channel.is_none_or(|place| place == tails.channel(slot));
                if is_of_channel && self.wanted.has(tails.tail(slot)?.place) {
                    self.found.push(id);
                }
            }
        }
        Ok(true)
    }
}

type Chunks<'a> = Peekable<Range<'a, u64, &'static [u8]>>;
type Chunk<'a> = (AccessGuard<'a, u64>, AccessGuard<'a, &'static [u8]>);

/// The chunks from the one of a message on.
fn chunks<'a>(
    table: &'a ReadOnlyTable<u64, &'static [u8]>,
    from: MessageSeq,
) -> Result<Chunks<'a>, ReadError> {
    let first = match ReadableTable::range(table, ..=from.0)?.next_back() {
        Some(entry) => entry?.0.value(),
        None => 0,
    };
    Ok(ReadableTable::range(table, first..)?.peekable())
}

/// The next chunk, whichever table it is in. An error comes first.
fn earlier<'a>(
    open: &mut Chunks<'a>,
    closed: &mut Chunks<'a>,
) -> Option<Result<Chunk<'a>, StorageError>> {
    let first = |chunks: &mut Chunks<'a>| match chunks.peek() {
        Some(Ok((first, _))) => first.value(),
        Some(Err(_)) => 0,
        None => u64::MAX,
    };
    if first(open) <= first(closed) {
        open.next()
    } else {
        closed.next()
    }
}
