//! The messages' and deliveries' part of a check.

use redb::{ReadOnlyTable, ReadableTable};
use wharf_core::invariant;
use wharf_core::route::Planned;
use wharf_core::{ChannelName, DeliveryId, MessageSeq, Standing, Status};

use super::journal::{Journal, key};
use super::{Counted, Findings};
use crate::channels::Channels;
use crate::error::{Malformed, ReadError};
use crate::ids::{Ids, Runs};
use crate::index::Residents;
use crate::maintain::Steps;
use crate::read::Snapshot;
use crate::stand::Stand;
use crate::table::blob::Blob;
use crate::table::channel::Channel;
use crate::table::chunk;
use crate::table::delivery::{self, Row};
use crate::table::due;
use crate::table::id_entry::Entry;
use crate::table::state::State;
use crate::table::tails::{self, Place, Tail, Tails};
use crate::table::wire;

type Table = ReadOnlyTable<u64, &'static [u8]>;

struct Walk<'a> {
    ids: &'a Ids,
    runs: Runs,
    journal: &'a Journal,
    findings: &'a mut Findings,
    delivery: Table,
    wire: Table,
    due: ReadOnlyTable<due::Key, ()>,
    stored: Channels,
    /// What is in memory, where the store is open.
    residents: Option<&'a Residents>,
    /// Of them, those that were met.
    residents_count: usize,
    counted: Counted,
    slots_count: usize,
}

/// Walks all chunks: every message, its id, its deliveries, their tails and rows.
pub(super) fn check(
    snapshot: &Snapshot,
    ids: &Ids,
    state: &State,
    journal: &Journal,
    residents: Option<&Residents>,
    steps: &mut Steps<'_>,
    findings: &mut Findings,
) -> Result<Counted, ReadError> {
    let tx = snapshot.tx();
    let (open, closed) = (tx.open_table(tails::OPEN)?, tx.open_table(tails::CLOSED)?);
    let mut walk = Walk {
        ids,
        runs: snapshot.id_runs()?,
        journal,
        findings,
        delivery: tx.open_table(delivery::TABLE)?,
        wire: tx.open_table(wire::TABLE)?,
        due: tx.open_table(due::TABLE)?,
        stored: Channels::load(snapshot)?,
        residents,
        residents_count: 0,
        counted: Counted::default(),
        slots_count: 0,
    };
    let chunks = tx.open_table(chunk::TABLE)?;
    // Where neither a chunk nor its tails can be read, none is expected to come next.
    let mut next = Some(walk.front(&chunks, state)?);
    for entry in chunks.iter()? {
        let (first, value) = entry?;
        let first = MessageSeq(first.value());
        walk.findings.follows("chunk", first.0, next);
        walk.counted.chunks += 1;
        walk.counted.message_bytes += value.value().len() as u64;
        let blob = Blob::read(value.value());
        let blob = walk.findings.read(blob, || format!("chunk {first}"));
        let tails = match blob.filter(|blob| is_removed(*blob)) {
            Some(blob) => {
                walk.removed(&open, &closed, first, blob)?;
                next = Some(first.0 + blob.count() as u64);
                continue;
            }
            None => walk.tails(&open, &closed, first)?,
        };
        let (found, expected) = (
            tails.as_ref().map(Tails::messages_count),
            blob.map(Blob::count),
        );
        if let (Some(found), Some(expected)) = (found, expected) {
            walk.expect(found == expected, || {
                format!("chunk {first} has {expected} messages, tails {found}")
            });
        }
        let count = expected.or(found);
        next = count.map(|count| first.0 + count as u64);
        for place in 0..count.unwrap_or_default() {
            let seq = MessageSeq(first.0 + place as u64);
            let part = blob.map(|blob| blob.part(place).map(Option::unwrap_or_default));
            let tails = tails
                .as_ref()
                .filter(|tails| place < tails.messages_count());
            walk.message(seq, part, tails, place)?;
        }
        steps.advance(count.unwrap_or_default() as u64);
    }
    let stored = state.next_seq.0;
    walk.findings.follows("the next message", stored, next);
    if journal.is_whole() && state.space.pruned_messages == 0 && !walk.counted.is_incomplete {
        let (slots_count, subjects_count) = (walk.slots_count, journal.subjects_count());
        walk.expect(slots_count == subjects_count, || {
            format!("{slots_count} slots, and a journal about {subjects_count}")
        });
    }
    if let Some(residents) = residents.filter(|_| !walk.counted.is_incomplete) {
        let (met_count, known_count) = (walk.residents_count, residents.known.len());
        walk.expect(met_count == known_count, || {
            format!("{known_count} deliveries are in memory, {met_count} of them can be sent")
        });
    }
    Ok(walk.counted)
}

/// Whether a chunk has nothing but what stays of removed messages.
fn is_removed(blob: Blob<'_>) -> bool {
    let mut parts = (0..blob.count()).map(|place| blob.part(place));
    parts.all(|part| part.is_ok_and(|part| part.is_some_and(chunk::is_stub)))
}

impl Walk<'_> {
    /// The number that the first chunk should have. Only such are removed whose ids are forgotten.
    fn front(&mut self, chunks: &Table, state: &State) -> Result<u64, ReadError> {
        let first = ReadableTable::first(chunks)?.map(|(first, _)| first.value());
        let first = first.unwrap_or(state.next_seq.0);
        let floor = self.runs.floor();
        let may_be_first = first == 1 || state.space.pruned_messages > 0 && first <= floor.0;
        self.expect(may_be_first, || {
            format!("chunk {first} comes first, and ids are known from {floor} on")
        });
        Ok(first)
    }

    /// A chunk that has nothing but stubs.
    fn removed(
        &mut self,
        open: &Table,
        closed: &Table,
        first: MessageSeq,
        blob: Blob<'_>,
    ) -> Result<(), ReadError> {
        self.counted.chunks_removed += 1;
        let is_in_open = ReadableTable::get(open, first.0)?.is_some();
        let is_in_closed = ReadableTable::get(closed, first.0)?.is_some();
        self.expect(!is_in_open && !is_in_closed, || {
            format!("chunk {first} has no messages and still tails")
        });
        for place in 0..blob.count() {
            let part = blob.part(place).map(Option::unwrap_or_default);
            self.stub(MessageSeq(first.0 + place as u64), part);
        }
        Ok(())
    }

    /// What stays of a removed message.
    fn stub(&mut self, seq: MessageSeq, part: Result<&[u8], Malformed>) {
        self.counted.ids += u64::from(seq >= self.runs.floor());
        let answer = part.and_then(chunk::first_answer);
        self.findings.read(answer, || format!("message {seq}"));
    }

    fn expect(&mut self, holds: bool, what: impl FnOnce() -> String) {
        self.findings.expect(holds, what);
    }

    /// The tails of a chunk, which are in one of two tables.
    fn tails(
        &mut self,
        open: &Table,
        closed: &Table,
        first: MessageSeq,
    ) -> Result<Option<Tails>, ReadError> {
        let in_open = ReadableTable::get(open, first.0)?;
        let in_closed = ReadableTable::get(closed, first.0)?;
        let (value, is_open) = match (&in_open, &in_closed) {
            (Some(value), None) => (value, true),
            (None, Some(value)) => (value, false),
            _ => {
                self.counted.is_incomplete = true;
                self.expect(false, || {
                    format!("chunk {first} has none or two values of tails")
                });
                return Ok(None);
            }
        };
        let tails = Tails::read(value.value());
        let tails = tails.and_then(|tails| Ok((tails.is_open()?, tails)));
        let tails = self
            .findings
            .read(tails, || format!("the tails of chunk {first}"));
        let Some((should_be_open, tails)) = tails else {
            self.counted.is_incomplete = true;
            return Ok(None);
        };
        self.expect(is_open == should_be_open, || {
            format!("chunk {first} is in the wrong table")
        });
        Ok(Some(tails))
    }

    fn message(
        &mut self,
        seq: MessageSeq,
        part: Option<Result<&[u8], Malformed>>,
        tails: Option<&Tails>,
        place: usize,
    ) -> Result<(), ReadError> {
        if let Some(Ok(part)) = part
            && chunk::is_stub(part)
        {
            self.stub(seq, Ok(part));
            let slots_count = tails.map_or(0, |tails| tails.slots(place).len());
            self.expect(slots_count == 0, || {
                format!("message {seq} was removed and has {slots_count} slots")
            });
            return Ok(());
        }
        self.counted.counts.add_message();
        self.counted.ids += u64::from(seq >= self.runs.floor());
        // What is known of a whole chunk that cannot be read is known of it already.
        let stored = part.and_then(|part| {
            let stored = part.and_then(chunk::decode);
            self.findings.read(stored, || format!("message {seq}"))
        });
        let mut planned = None;
        if let Some(stored) = stored {
            self.id(seq, &stored.message)?;
            planned = Some((stored.planned, stored.standing));
        }
        let Some(tails) = tails else {
            return Ok(());
        };
        let names = self
            .findings
            .read(tails.names(), || format!("the channels of {seq}"));
        let names = names.unwrap_or_default();
        let slots = tails.slots(place);
        if let Some((planned, standing)) = &planned {
            let expected = planned.len().max(1);
            self.expect(slots.len() == expected, || {
                format!("message {seq} has {} slots", slots.len())
            });
            let is_standing =
                slots.len() == 1 && matches!(tails.tail(slots.start)?.place, Place::Message(_));
            self.expect(standing.is_some() == is_standing, || {
                format!("message {seq} has deliveries in one place, and none in another")
            });
        }
        let mut before = None;
        for (place, slot) in (0..).zip(slots) {
            let tail = tails.tail(slot)?;
            let channel = names.get(tails.channel(slot));
            let one = planned
                .as_ref()
                .map(|(planned, _)| planned.get(usize::from(place)));
            if let Some(Some(one)) = one {
                self.reserve(DeliveryId::new(seq, place), one, before, tail.place);
            }
            before = Some(tail.place);
            self.slots_count += usize::from(tail.place != Place::Reserve);
            match tail.place {
                Place::Reserve => {}
                Place::Message(standing) => self.standing(
                    seq,
                    standing,
                    planned.as_ref().and_then(|(_, standing)| *standing),
                    tail,
                ),
                Place::Delivery(status, has_row) => {
                    let id = DeliveryId::new(seq, place);
                    if let Some(one) = one {
                        let is_same = one.map(|one| &one.channel) == channel;
                        self.expect(is_same, || {
                            format!("delivery {id} is planned for another channel")
                        });
                    }
                    self.delivery(id, channel, tail, status, has_row)?;
                }
            }
        }
        Ok(())
    }

    /// A delivery that stands in for the one before it is made in the commit that supersedes that one, not before and not
    /// later.
    fn reserve(&mut self, id: DeliveryId, planned: &Planned, before: Option<Place>, place: Place) {
        let is_superseded = matches!(before, Some(Place::Delivery(Status::Superseded, _)));
        let should_be_made = planned.after.is_none() || is_superseded;
        let is_made = matches!(place, Place::Delivery(..));
        self.expect(is_made == should_be_made, || {
            format!("delivery {id} is made: {is_made}, the one before it is {before:?}")
        });
    }

    /// Looks the id up as everyone does.
    fn id(&mut self, seq: MessageSeq, message: &wharf_core::Message) -> Result<(), ReadError> {
        let hash = self.ids.hash(&message.id);
        let entry = match self.runs.find(self.ids, hash, self.ids.recent(hash)) {
            Ok(entry) => entry,
            Err(ReadError::Malformed(cause)) => {
                self.findings
                    .read::<()>(Err(cause), || format!("the id of message {seq}"));
                return Ok(());
            }
            Err(cause) => return Err(cause),
        };
        let expected = Entry {
            content: message.content_hash(self.ids.key()),
            seq,
        };
        let is_right = if seq >= self.runs.floor() {
            entry == Some(expected)
        } else {
            // Forgotten, it may have come again.
            entry.is_none_or(|entry| entry.seq > seq)
        };
        self.expect(is_right, || {
            format!("message {seq} has the id entry {entry:?}")
        });
        Ok(())
    }

    fn standing(
        &mut self,
        seq: MessageSeq,
        standing: Standing,
        stored: Option<Standing>,
        tail: Tail,
    ) {
        self.counted.counts.add_standing(standing);
        self.expect(stored.is_none_or(|stored| stored == standing), || {
            format!("message {seq} is {stored:?}, its tail {tail:?}")
        });
        if self.journal.is_lost(tail.last) {
            return;
        }
        let end = self.journal.ends.get(&key(seq));
        let is_last = end == Some(&(tail.last, None));
        let end = end.copied();
        self.expect(is_last, || {
            format!("message {seq} ends at {end:?}, its tail {tail:?}")
        });
    }

    fn delivery(
        &mut self,
        id: DeliveryId,
        channel: Option<&ChannelName>,
        tail: Tail,
        status: Status,
        has_row: bool,
    ) -> Result<(), ReadError> {
        self.counted.counts.step(None, status);
        if !self.journal.is_lost(tail.last) {
            let end = self.journal.ends.get(&id.0).copied();
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
        }
        let row = ReadableTable::get(&self.delivery, id.0)?;
        let row = row.map(|value| Row::decode(value.value()));
        let has_wire = ReadableTable::get(&self.wire, id.0)?.is_some();
        self.counted.rows_of_deliveries += u64::from(row.is_some());
        self.counted.wires += u64::from(has_wire);
        self.expect(row.is_some() == has_row, || {
            format!("delivery {id} has row: {has_row}")
        });
        self.expect(!has_wire || Row::keeps_wire(status), || {
            format!("delivery {id} is {status} and still has a wire form")
        });
        if let Some(channel) = channel {
            let due = row.as_ref().and_then(|row| row.as_ref().ok()?.due);
            let stand = Stand {
                status,
                has_row,
                due,
            };
            // One whose row cannot be read was reckoned with by a time that nobody knows any more.
            let is_readable = row.as_ref().is_none_or(Result::is_ok);
            self.stand(id, channel, stand, is_readable)?;
        }
        let row = match row {
            Some(row) => match self
                .findings
                .read(row, || format!("the row of delivery {id}"))
            {
                Some(row) => Some(row),
                None => return Ok(()),
            },
            None => None,
        };
        let is_needed = row
            .as_ref()
            .map_or(Row::is_always_needed(status), Row::is_needed);
        self.expect(is_needed == has_row, || {
            format!("delivery {id} is {status}, row: {has_row}")
        });
        let says_wire = row.as_ref().is_some_and(|row| row.has_wire);
        self.expect(says_wire == has_wire, || {
            format!("delivery {id} has wire form: {has_wire}")
        });
        if let Some(row) = row {
            self.row(id, channel, status, &row);
        }
        Ok(())
    }

    /// Whether it is found when it can be sent, and counted.
    fn stand(
        &mut self,
        id: DeliveryId,
        channel: &ChannelName,
        stand: Stand,
        is_readable: bool,
    ) -> Result<(), ReadError> {
        let counted = self.counted.channels.entry(channel.clone());
        counted.or_insert(Channel::new(0)).step(None, stand);
        self.counted.dues += u64::from(stand.due(id).is_some());
        if let Some(due) = stand.due(id).filter(|_| is_readable) {
            let number = self.stored.number(channel).unwrap_or(u32::MAX);
            let is_found = ReadableTable::get(&self.due, due::key(number, due))?.is_some();
            self.expect(is_found, || {
                format!("delivery {id} is not among those that are due")
            });
        }
        if let Some(residents) = self.residents {
            self.resident(residents, id, channel, stand, is_readable);
        }
        Ok(())
    }

    /// Whether it is in one place in memory, or is read when its turn comes.
    fn resident(
        &mut self,
        residents: &Residents,
        id: DeliveryId,
        channel: &ChannelName,
        stand: Stand,
        is_readable: bool,
    ) {
        let in_memory = residents.known.get(&id).copied();
        self.residents_count += usize::from(in_memory.is_some());
        if !stand.status.is_sendable() {
            return;
        }
        let behind = residents.behind.get(channel);
        let behind = behind.copied().unwrap_or_default();
        let is_on_disk = match stand.due(id) {
            Some(_) if !is_readable => return,
            Some(due) => behind.due.is_some_and(|from| due >= from),
            None => behind.open.is_some_and(|from| id >= from),
        };
        // What is being attempted, or set apart, is not read once more where that comes to it.
        let is_read = is_on_disk && in_memory != Some(false);
        let places = usize::from(in_memory.is_some()) + usize::from(is_read);
        self.findings
            .note(invariant::delivery_is_in_one_place(id, places));
    }

    fn row(&mut self, id: DeliveryId, channel: Option<&ChannelName>, status: Status, row: &Row) {
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
        self.expect(channel == Some(&row.channel), || {
            format!(
                "delivery {id} is for {channel:?}, its row says {}",
                row.channel
            )
        });
    }
}
