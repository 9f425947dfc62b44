//! Writing an export: one snapshot, read in order, one message in memory at a time.

use std::io::{self, Write};
use std::ops::Range;

use redb::{ReadableTable, ReadableTableMetadata};
use wharf_core::route::Planned;
use wharf_core::{Cursor, DeliveryId, MessageSeq};

use super::content::{Content, Hex};
use super::known::Known;
use super::line::{
    CursorLine, DeliveryLine, FORMAT, Header, KeptLine, KnownLine, Line, MessageLine, ParkedLine,
    PrunedLine, RemovedLine, ReserveLine, RowLine, StandingLine, UpdateLine, VERSION, ValueLine,
};
use crate::error::{Malformed, ReadError};
use crate::maintain::StoreFile;
use crate::maintain::progress::{Progress, Steps};
use crate::read::{Rows, Snapshot};
use crate::recover;
use crate::table::blob::Blob;
use crate::table::tails::{Place, Tail, Tails};
use crate::table::{chunk, cursor, journal, keyed, meta, parked, update};

/// Why an export ended.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The store could not be read.
    #[error("the store could not be read")]
    Read(#[from] ReadError),
    /// Something that it holds could not be read.
    #[error("{what} cannot be read")]
    Unreadable {
        /// What it is, with its number or name.
        what: String,
        /// Why.
        #[source]
        source: ReadError,
    },
    /// What it is written to takes no more.
    #[error("the export could not be written")]
    Write(#[source] io::Error),
}

impl StoreFile {
    /// Writes all of the store as text. Many small writes: `out` should gather them.
    pub fn export(
        &self,
        out: &mut dyn Write,
        told: &mut dyn FnMut(Progress),
    ) -> Result<(), ExportError> {
        let snapshot = self.snapshot()?;
        let state = recover::state(&snapshot)?;
        let messages = state.next_seq.0 - first_message(&snapshot)?.unwrap_or(state.next_seq).0;
        let rows = state.next_cursor.0 - state.space.journal_from.0;
        let steps = Steps::new(messages + rows, told);
        let mut export = Export {
            snapshot: &snapshot,
            out,
            steps,
        };
        export.header()?;
        export.messages()?;
        export.rows()?;
        export.rest()?;
        export.out.flush().map_err(ExportError::Write)
    }
}

struct Export<'a> {
    snapshot: &'a Snapshot,
    out: &'a mut dyn Write,
    steps: Steps<'a>,
}

/// Names what cannot be read.
fn named<T>(
    read: Result<T, impl Into<ReadError>>,
    what: impl FnOnce() -> String,
) -> Result<T, ExportError> {
    read.map_err(|source| ExportError::Unreadable {
        what: what(),
        source: source.into(),
    })
}

impl Export<'_> {
    fn line(&mut self, line: &Line) -> Result<(), ExportError> {
        serde_json::to_writer(&mut *self.out, line)
            .map_err(|cause| ExportError::Write(cause.into()))?;
        self.out.write_all(b"\n").map_err(ExportError::Write)
    }

    fn header(&mut self) -> Result<(), ExportError> {
        let state = recover::state(self.snapshot)?;
        let tx = self.snapshot.tx();
        let space = state.space;
        let header = Header {
            format: FORMAT.to_owned(),
            version: VERSION,
            written_by: concat!("wharf ", env!("CARGO_PKG_VERSION")).to_owned(),
            ids_secret: Hex(recover::id_secret(self.snapshot)?),
            first_message: first_message(self.snapshot)?.unwrap_or(state.next_seq),
            next_message: state.next_seq,
            first_row: space.journal_from,
            next_row: state.next_cursor,
            rows_from_message: space.journal_from_seq,
            pruned: PrunedLine {
                messages: space.pruned_messages,
                deliveries: space.pruned_deliveries,
                rows: space.pruned_rows,
            },
            ids_from: self.snapshot.id_manifest()?.floor,
            messages: state.counts.messages(),
            deliveries: state.counts.deliveries(),
            rows: state.next_cursor.0 - space.journal_from.0,
            cursors: len(tx.open_table(cursor::TABLE))?,
            values: len(tx.open_table(keyed::TABLE))?,
            parked: len(tx.open_table(parked::TABLE))?,
            updates: len(tx.open_table(update::TABLE))?,
            next_update: self.next_update()?,
        };
        self.line(&Line::Header(header))
    }

    /// 0 where none was ever received.
    fn next_update(&self) -> Result<u64, ReadError> {
        let meta = self.snapshot.tx().open_table(meta::TABLE)?;
        let stored = ReadableTable::get(&meta, meta::NEXT_UPDATE_NAME)?;
        Ok(stored.map_or(Ok(0), |value| meta::decode_next_update(value.value()))?)
    }

    fn messages(&mut self) -> Result<(), ExportError> {
        let rows = self.snapshot.rows()?;
        let mut known = Known::new(self.snapshot)?;
        let chunks = self.snapshot.tx().open_table(chunk::TABLE);
        let chunks = chunks.map_err(ReadError::from)?;
        for entry in chunks.iter().map_err(ReadError::from)? {
            let (first, value) = entry.map_err(ReadError::from)?;
            let first = MessageSeq(first.value());
            let chunk = || format!("the chunk from message {first} on");
            let blob = named(Blob::read(value.value()), chunk)?;
            let is_removed = (0..blob.count()).all(|place| is_stub(blob, place));
            // A chunk that has nothing else has none.
            let tails = match is_removed {
                true => None,
                false => Some(named(self.snapshot.tails(first), chunk)?.0),
            };
            for place in 0..blob.count() {
                let seq = MessageSeq(first.0 + place as u64);
                let what = || format!("message {seq}");
                let part = named(blob.part(place), what)?.unwrap_or_default();
                match &tails {
                    Some(tails) if !chunk::is_stub(part) => {
                        let stored = named(chunk::decode(part), what)?;
                        self.message(seq, stored, tails, tails.slots(place), &rows)?;
                    }
                    _ => {
                        let line = named(self.removed(seq, part, &mut known), what)?;
                        self.line(&Line::Removed(line))?;
                    }
                }
            }
            self.steps.advance(blob.count() as u64);
        }
        Ok(())
    }

    fn removed(
        &self,
        seq: MessageSeq,
        stub: &[u8],
        known: &mut Known,
    ) -> Result<RemovedLine, ReadError> {
        let (accepted_at_ms, deliveries_count) = chunk::first_answer(stub)?;
        let known = known.find(self.snapshot, seq)?;
        Ok(RemovedLine {
            seq,
            accepted_at_ms,
            deliveries: deliveries_count as u32,
            known: known.map(|(hash, content)| KnownLine {
                id_hash: Hex(hash.to_bytes()),
                content_hash: Hex(content.0),
            }),
        })
    }

    /// A message, and its deliveries behind it.
    fn message(
        &mut self,
        seq: MessageSeq,
        stored: chunk::Stored,
        tails: &Tails,
        slots: Range<usize>,
        rows: &Rows,
    ) -> Result<(), ExportError> {
        let what = || format!("message {seq}");
        let expected_count = stored.planned.len().max(1);
        if slots.len() != expected_count {
            return named(
                Err(Malformed("it has not as many slots as deliveries")),
                what,
            );
        }
        let standing = if stored.planned.is_empty() {
            Some(named(standing(tails, slots.start), what)?)
        } else {
            None
        };
        let count = stored.planned.len() as u16;
        let message = MessageLine::new(seq, stored.message, count, standing);
        self.line(&Line::Message(Box::new(message)))?;
        for ((place, planned), slot) in (0..).zip(stored.planned).zip(slots) {
            let id = DeliveryId::new(seq, place);
            let what = || format!("delivery {place} of message {seq}");
            let tail = named(tails.tail(slot), what)?;
            let line = match (tail.place, planned.after) {
                (Place::Reserve, Some(after)) => Line::Reserve(ReserveLine {
                    message: seq,
                    place,
                    route: planned.route.to_string(),
                    channel: planned.channel.as_str().to_owned(),
                    after,
                }),
                _ => {
                    let line = named(delivery(id, planned, tail, rows), what)?;
                    Line::Delivery(Box::new(line))
                }
            };
            self.line(&line)?;
        }
        Ok(())
    }

    fn rows(&mut self) -> Result<(), ExportError> {
        let journal = self.snapshot.tx().open_table(journal::TABLE);
        let journal = journal.map_err(ReadError::from)?;
        for entry in journal.iter().map_err(ReadError::from)? {
            let (first, value) = entry.map_err(ReadError::from)?;
            let blob = named(Blob::read(value.value()), || {
                format!("the journal from row {} on", first.value())
            })?;
            for (place, cursor) in (0..blob.count()).zip(first.value()..) {
                let what = || format!("journal row {cursor}");
                let part = named(blob.part(place), what)?.unwrap_or_default();
                let row = named(journal::decode(part, Cursor(cursor)), what)?;
                self.line(&Line::Row(Box::new(RowLine::from(row))))?;
            }
            self.steps.advance(blob.count() as u64);
        }
        Ok(())
    }

    fn rest(&mut self) -> Result<(), ExportError> {
        let tx = self.snapshot.tx();
        let cursors = tx.open_table(cursor::TABLE).map_err(ReadError::from)?;
        for entry in cursors.iter().map_err(ReadError::from)? {
            let (name, value) = entry.map_err(ReadError::from)?;
            let name = name.value().to_owned();
            let row = named(cursor::decode(value.value()), || format!("cursor {name}"))?;
            self.line(&Line::Cursor(CursorLine { name, row }))?;
        }
        let values = tx.open_table(keyed::TABLE).map_err(ReadError::from)?;
        for entry in values.iter().map_err(ReadError::from)? {
            let (name, value) = entry.map_err(ReadError::from)?;
            let name = name.value().to_owned();
            let value = named(keyed::decode(value.value()), || {
                format!("the named value {name}")
            })?;
            let value = Content(value.to_owned());
            self.line(&Line::Value(ValueLine { name, value }))?;
        }
        let parked = tx.open_table(parked::TABLE).map_err(ReadError::from)?;
        for entry in parked.iter().map_err(ReadError::from)? {
            let (number, value) = entry.map_err(ReadError::from)?;
            let number = number.value();
            let parked = named(parked::decode(value.value()), || format!("parked {number}"))?;
            self.line(&Line::Parked(ParkedLine::new(number, parked)))?;
        }
        let updates = tx.open_table(update::TABLE).map_err(ReadError::from)?;
        for entry in updates.iter().map_err(ReadError::from)? {
            let (key, value) = entry.map_err(ReadError::from)?;
            let place = update::place(key.value());
            let what = || format!("update {}", place.number);
            let update = named(update::decode(value.value()), what)?;
            self.line(&Line::Update(Box::new(UpdateLine::new(place, update))))?;
        }
        Ok(())
    }
}

/// The first message, removed or not; none where there is none.
fn first_message(snapshot: &Snapshot) -> Result<Option<MessageSeq>, ReadError> {
    let chunks = snapshot.tx().open_table(chunk::TABLE)?;
    Ok(chunks.first()?.map(|(first, _)| MessageSeq(first.value())))
}

fn len<T: ReadableTableMetadata>(table: Result<T, redb::TableError>) -> Result<u64, ReadError> {
    Ok(table?.len()?)
}

fn is_stub(blob: Blob<'_>, place: usize) -> bool {
    blob.part(place)
        .is_ok_and(|part| part.is_some_and(chunk::is_stub))
}

/// Where a message without deliveries stands.
fn standing(tails: &Tails, slot: usize) -> Result<StandingLine, Malformed> {
    let tail = tails.tail(slot)?;
    match tail.place {
        Place::Message(standing) => Ok(StandingLine {
            standing,
            last_row: tail.last,
        }),
        Place::Delivery(..) | Place::Reserve => {
            Err(Malformed("it has no deliveries, and its slot is of one"))
        }
    }
}

fn delivery(
    id: DeliveryId,
    planned: Planned,
    tail: Tail,
    rows: &Rows,
) -> Result<DeliveryLine, ReadError> {
    let Place::Delivery(status, has_row) = tail.place else {
        return Err(Malformed("its slot says that its message has no deliveries").into());
    };
    let row = has_row.then(|| rows.row(id)).transpose()?;
    let has_wire = row.as_ref().is_some_and(|row| row.has_wire);
    let wire = has_wire.then(|| rows.wire(id)).transpose()?;
    Ok(DeliveryLine {
        message: id.message(),
        place: id.place(),
        route: planned.route.to_string(),
        channel: planned.channel.as_str().to_owned(),
        after: planned.after,
        status,
        last_row: tail.last,
        kept: row.map(KeptLine::new),
        wire: wire.map(Into::into),
    })
}
