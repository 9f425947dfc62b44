//! The messages' and deliveries' part of a check.

use redb::{ReadOnlyTable, ReadableTable};
use wharf_core::invariant;
use wharf_core::journal::Subject;
use wharf_core::{ChannelName, DeliveryId, MessageSeq, Status};

use super::journal::{Ends, key};
use super::{Counted, Findings};
use crate::error::ReadError;
use crate::read::Snapshot;
use crate::table::blob::Blob;
use crate::table::chunk::{self, Stored};
use crate::table::delivery::{self, Row};
use crate::table::ids::{Entry, IdKey};
use crate::table::state::State;
use crate::table::tails::{self, Place, Tail, Tails};
use crate::table::wire;

type Table = ReadOnlyTable<u64, &'static [u8]>;

struct Walk<'a> {
    snapshot: &'a Snapshot,
    id_key: &'a IdKey,
    ends: &'a Ends,
    findings: &'a mut Findings,
    delivery: Table,
    wire: Table,
    counted: Counted,
}

/// Walks all chunks: every message, its id, its deliveries, their tails and rows.
pub(super) fn check(
    snapshot: &Snapshot,
    id_key: &IdKey,
    state: &State,
    ends: &Ends,
    findings: &mut Findings,
) -> Result<Counted, ReadError> {
    let tx = snapshot.tx();
    let (open, closed) = (tx.open_table(tails::OPEN)?, tx.open_table(tails::CLOSED)?);
    let (delivery, wire) = (tx.open_table(delivery::TABLE)?, tx.open_table(wire::TABLE)?);
    let counted = Counted::default();
    let mut walk = Walk {
        snapshot,
        id_key,
        ends,
        findings,
        delivery,
        wire,
        counted,
    };
    let (mut next, mut slots_count) = (MessageSeq(1), 0);
    for entry in tx.open_table(chunk::TABLE)?.iter()? {
        let (first, value) = entry?;
        let (first, blob) = (MessageSeq(first.value()), Blob::read(value.value())?);
        walk.expect(first == next, || format!("chunk {first} should be {next}"));
        next = MessageSeq(first.0 + blob.count() as u64);
        walk.counted.chunks += 1;
        let in_open = ReadableTable::get(&open, first.0)?;
        let in_closed = ReadableTable::get(&closed, first.0)?;
        let (tails, is_open) = match (&in_open, &in_closed) {
            (Some(value), None) => (Tails::read(value.value())?, true),
            (None, Some(value)) => (Tails::read(value.value())?, false),
            _ => {
                walk.expect(false, || {
                    format!("chunk {first} has none or two values of tails")
                });
                continue;
            }
        };
        let should_be_open = tails.is_open()?;
        walk.expect(is_open == should_be_open, || {
            format!("chunk {first} is in the wrong table")
        });
        let (found, expected) = (tails.messages_count(), blob.count());
        walk.expect(found == expected, || {
            format!("chunk {first} has {expected} messages, tails {found}")
        });
        slots_count += tails.slots_count();
        let names = tails.names()?;
        for place in 0..expected.min(found) {
            let stored = Stored::decode(blob.part(place)?.unwrap_or_default())?;
            walk.message(
                MessageSeq(first.0 + place as u64),
                stored,
                &tails,
                place,
                &names,
            )?;
        }
    }
    let stored = state.next_seq;
    walk.expect(next == stored, || {
        format!("the next message is {next}, stored is {stored}")
    });
    walk.expect(slots_count == ends.len(), || {
        format!("{slots_count} slots, and a journal about {}", ends.len())
    });
    Ok(walk.counted)
}

impl Walk<'_> {
    fn expect(&mut self, holds: bool, what: impl FnOnce() -> String) {
        self.findings.expect(holds, what);
    }

    fn message(
        &mut self,
        seq: MessageSeq,
        mut stored: Stored<'_>,
        tails: &Tails,
        place: usize,
        names: &[ChannelName],
    ) -> Result<(), ReadError> {
        self.counted.counts.add_message();
        let planned = std::mem::take(&mut stored.planned);
        let standing = stored.standing;
        let message = stored.into_message();
        let entry = self.snapshot.entry(&message.id, self.id_key)?;
        let expected = Entry {
            content: message.content_hash(),
            seq,
        };
        self.expect(entry == Some(expected), || {
            format!("message {seq} has the id entry {entry:?}")
        });
        let slots = tails.slots(place);
        let expected = planned.len().max(1);
        self.expect(slots.len() == expected, || {
            format!("message {seq} has {} slots", slots.len())
        });
        if let Some(standing) = standing {
            self.counted.counts.add_standing(standing);
            let tail = tails.tail(slots.start)?;
            let is_there = tail.place == Place::Message(standing);
            self.expect(is_there, || {
                format!("message {seq} is {standing}, its tail {tail:?}")
            });
            let end = self.ends.get(&key(Subject::Message { seq, standing }));
            let is_last = end == Some(&(tail.last, None));
            self.expect(is_last, || {
                format!("message {seq} ends at {end:?}, its tail {tail:?}")
            });
        }
        for ((place, planned), slot) in (0..).zip(planned).zip(slots) {
            let id = DeliveryId::new(seq, place);
            let name = names.get(tails.channel(slot));
            let is_same = name == Some(&planned.channel);
            self.expect(is_same, || {
                format!("delivery {id} is planned for another channel")
            });
            self.delivery(id, &planned.channel, tails.tail(slot)?)?;
        }
        Ok(())
    }

    fn delivery(
        &mut self,
        id: DeliveryId,
        channel: &ChannelName,
        tail: Tail,
    ) -> Result<(), ReadError> {
        let Place::Delivery(status, has_row) = tail.place else {
            self.expect(false, || format!("delivery {id} has the tail {tail:?}"));
            return Ok(());
        };
        self.counted.counts.step(None, status);
        let end = self.ends.get(&id.0).copied();
        let journal = end.and_then(|(_, status)| status);
        self.findings
            .note(invariant::journal_ends_at(journal, status));
        let last = end.map(|(cursor, _)| cursor);
        self.expect(last == Some(tail.last), || {
            format!(
                "delivery {id} ends at {last:?}, its tail says {}",
                tail.last
            )
        });
        let row = match ReadableTable::get(&self.delivery, id.0)? {
            Some(value) => Some(Row::decode(value.value())?),
            None => None,
        };
        let has_wire = ReadableTable::get(&self.wire, id.0)?.is_some();
        self.expect(row.is_some() == has_row, || {
            format!("delivery {id} has row: {has_row}")
        });
        let plain = Row::new(status, channel.clone());
        let is_needed = row.as_ref().unwrap_or(&plain).is_needed();
        self.expect(is_needed == has_row, || {
            format!("delivery {id} is {status}, row: {has_row}")
        });
        let says_wire = row.as_ref().is_some_and(|row| row.has_wire);
        self.expect(says_wire == has_wire, || {
            format!("delivery {id} has wire form: {has_wire}")
        });
        self.expect(!has_wire || Row::keeps_wire(status), || {
            format!("delivery {id} is {status} and still has a wire form")
        });
        if let Some(row) = row {
            self.counted.rows_of_deliveries += 1;
            self.counted.wires += u64::from(row.has_wire);
            self.row(id, channel, status, &row);
        }
        Ok(())
    }

    fn row(&mut self, id: DeliveryId, channel: &ChannelName, status: Status, row: &Row) {
        self.expect(row.status == status, || {
            format!("delivery {id} is {status}, its row says {}", row.status)
        });
        self.expect(!(row.is_cancelled && status.is_final()), || {
            format!("delivery {id} is {status} and still to be cancelled")
        });
        let can_be_polled = matches!(status, Status::Pending | Status::Provisional | Status::Dead);
        self.expect(can_be_polled || row.token.is_none(), || {
            format!("delivery {id} is {status} and has something to poll with")
        });
        let before = row.redriven.map_or(0, |budget| budget.attempts_before);
        self.expect(before <= row.attempts_count, || {
            format!(
                "delivery {id} made {} attempts, {before} before",
                row.attempts_count
            )
        });
        self.expect(row.channel == *channel, || {
            format!(
                "delivery {id} is for {channel}, its row says {}",
                row.channel
            )
        });
    }
}
