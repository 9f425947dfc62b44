//! A snapshot of the store, and how things are found in it.

use redb::{OwnedAccessGuard, ReadOnlyTable, ReadTransaction, ReadableTable};
use wharf_core::journal::Row as JournalRow;
use wharf_core::{Cursor, DeliveryId, MessageSeq, WireForm};

use crate::error::{Malformed, ReadError};
use crate::ids;
use crate::recover;
use crate::table::blob::Blob;
use crate::table::chunk;
use crate::table::delivery::{self, Row};
use crate::table::id_manifest::Manifest;
use crate::table::tails::{self, Tail, Tails};
use crate::table::{Numbered, cursor, journal, meta, wire};

/// The store as of the last commit, unmoved by later ones.
pub(crate) struct Snapshot(ReadTransaction);

type Table = ReadOnlyTable<u64, &'static [u8]>;

impl Snapshot {
    pub(crate) fn new(tx: ReadTransaction) -> Self {
        Self(tx)
    }

    pub(crate) fn tx(&self) -> &ReadTransaction {
        &self.0
    }

    pub(crate) fn chunks(&self) -> Result<Chunks, ReadError> {
        Ok(Chunks(Blobs::open(self, chunk::TABLE)?))
    }

    pub(crate) fn journal(&self) -> Result<Journal, ReadError> {
        Ok(Journal {
            blobs: Blobs::open(self, journal::TABLE)?,
            from: recover::state(self)?.space.journal_from,
        })
    }

    pub(crate) fn id_runs(&self) -> Result<ids::Runs, ReadError> {
        ids::Runs::open(&self.0, self.id_manifest()?)
    }

    pub(crate) fn id_manifest(&self) -> Result<Manifest, ReadError> {
        let table = self.0.open_table(meta::TABLE)?;
        let value = ReadableTable::get(&table, meta::IDS_NAME)?;
        let value = value.ok_or(Malformed("the manifest of the id index is missing"))?;
        Ok(Manifest::decode(value.value())?)
    }

    pub(crate) fn cursor(&self, name: &str) -> Result<Option<Cursor>, ReadError> {
        let table = self.0.open_table(cursor::TABLE)?;
        let value = ReadableTable::get(&table, name)?;
        Ok(value
            .map(|value| cursor::decode(value.value()))
            .transpose()?)
    }

    /// The tails of a message's chunk, and the message's place in it.
    pub(crate) fn tails(&self, seq: MessageSeq) -> Result<(Tails, usize), ReadError> {
        let (open, closed) = (
            self.0.open_table(tails::OPEN)?,
            self.0.open_table(tails::CLOSED)?,
        );
        let found = tails::find(&open, &closed, seq.0)?;
        let (first, tails, _) = found.ok_or(Malformed("a message has no tail"))?;
        Ok((tails, (seq.0 - first) as usize))
    }

    /// Where deliveries stand.
    pub(crate) fn tail_reader(&self) -> TailReader<'_> {
        TailReader {
            snapshot: self,
            last: None,
        }
    }

    pub(crate) fn rows(&self) -> Result<Rows, ReadError> {
        Ok(Rows {
            delivery: self.0.open_table(delivery::TABLE)?,
            wire: self.0.open_table(wire::TABLE)?,
        })
    }
}

/// Reads tails. Those of one chunk are kept: neighbours are found without a look-up.
pub(crate) struct TailReader<'a> {
    snapshot: &'a Snapshot,
    /// With the number of the chunk's first message.
    last: Option<(MessageSeq, Tails)>,
}

impl TailReader<'_> {
    /// The tail of a delivery, which must be there.
    pub(crate) fn tail(&mut self, id: DeliveryId) -> Result<Tail, ReadError> {
        let seq = id.message();
        let known = self.last.take().filter(|(first, tails)| {
            seq >= *first && seq.0 - first.0 < tails.messages_count() as u64
        });
        let (first, tails) = match known {
            Some(known) => known,
            None => {
                let (tails, message) = self.snapshot.tails(seq)?;
                (MessageSeq(seq.0 - message as u64), tails)
            }
        };
        let (_, tails) = self.last.insert((first, tails));
        let slots = tails.slots((seq.0 - first.0) as usize);
        let slot = slots.into_iter().nth(usize::from(id.place()));
        let slot = slot.ok_or(Malformed("a delivery has no tail"))?;
        Ok(tails.tail(slot)?)
    }
}

/// The rows of deliveries that have one, and their wire forms.
pub(crate) struct Rows {
    delivery: Table,
    wire: Table,
}

impl Rows {
    pub(crate) fn row(&self, id: DeliveryId) -> Result<Row, ReadError> {
        let value = ReadableTable::get(&self.delivery, id.0)?;
        let value = value.ok_or(Malformed("a delivery has no row"))?;
        Ok(Row::decode(value.value())?)
    }

    pub(crate) fn wire(&self, id: DeliveryId) -> Result<WireForm, ReadError> {
        let value = ReadableTable::get(&self.wire, id.0)?;
        let value = value.ok_or(Malformed("a delivery has no wire form"))?;
        Ok(wire::decode(value.value())?)
    }
}

/// Blobs whose parts are numbered without a gap. Some are kept, so that parts near to each other are found without a
/// look-up: neighbours mostly, and the few chunks that the rows of one commit are about by turns.
struct Blobs {
    table: Table,
    /// The one that was used last first.
    held: Vec<Held>,
}

type Held = (u64, OwnedAccessGuard<&'static [u8]>);

/// Blobs that are kept.
const HELD_COUNT_MAX: usize = 4;

impl Blobs {
    fn open(snapshot: &Snapshot, definition: Numbered) -> Result<Self, ReadError> {
        Ok(Self {
            table: snapshot.0.open_table(definition)?,
            held: Vec::with_capacity(HELD_COUNT_MAX),
        })
    }

    /// Hands over the part with a number; none where there is no such part.
    fn with<T>(
        &mut self,
        number: u64,
        use_part: impl FnOnce(&[u8]) -> Result<T, Malformed>,
    ) -> Result<Option<T>, ReadError> {
        match self.held.iter().position(|held| has(held, number)) {
            Some(at) => self.held[..=at].rotate_right(1),
            None => {
                let Some(entry) = self.table.range_owned(..=number)?.next_back() else {
                    return Ok(None);
                };
                let (first, value) = entry?;
                self.held.truncate(HELD_COUNT_MAX - 1);
                self.held.insert(0, (first.value(), value));
            }
        }
        let (first, value) = &self.held[0];
        let part = Blob::read(value.value())?.part((number - first) as usize)?;
        Ok(part.map(use_part).transpose()?)
    }

    /// Whether all blobs come after a number.
    fn begins_after(&self, number: u64) -> Result<bool, ReadError> {
        let first = ReadableTable::first(&self.table)?;
        Ok(first.is_none_or(|(first, _)| first.value() > number))
    }

    /// The last number, from one on whose part could not be read, that cannot be read either: the one itself where its
    /// blob has others; else all before the next blob, or up to `end`.
    fn lost_to(&self, number: u64, end: u64) -> Result<u64, ReadError> {
        if self.held.first().is_some_and(|held| has(held, number)) {
            return Ok(number);
        }
        Ok(match self.table.range_owned(number + 1..=end)?.next() {
            Some(entry) => entry?.0.value() - 1,
            None => end,
        })
    }
}

/// A malformed blob has nothing: it must not stand in the way of the others.
fn has((first, value): &Held, number: u64) -> bool {
    let count = Blob::read(value.value()).map_or(0, Blob::count) as u64;
    number >= *first && number - first < count
}

/// Reads messages, or parts of what is stored of them.
pub(crate) struct Chunks(Blobs);

impl Chunks {
    /// Hands over what is stored of a message, encoded by [`chunk::encode`].
    pub(crate) fn with<T>(
        &mut self,
        seq: MessageSeq,
        use_part: impl FnOnce(&[u8]) -> Result<T, Malformed>,
    ) -> Result<T, ReadError> {
        match self.find(seq, use_part)? {
            Some(used) => Ok(used),
            None if self.0.begins_after(seq.0)? => Err(chunk::REMOVED.into()),
            None => Err(Malformed("a message is not in its chunk").into()),
        }
    }

    /// The same; none where there is no such message.
    pub(crate) fn find<T>(
        &mut self,
        seq: MessageSeq,
        use_part: impl FnOnce(&[u8]) -> Result<T, Malformed>,
    ) -> Result<Option<T>, ReadError> {
        self.0.with(seq.0, use_part)
    }
}

/// Reads journal rows.
pub(crate) struct Journal {
    blobs: Blobs,
    /// The first one that is kept.
    pub(crate) from: Cursor,
}

impl Journal {
    /// A row; none where it was removed.
    pub(crate) fn find(&mut self, cursor: Cursor) -> Result<Option<JournalRow>, ReadError> {
        if cursor < self.from {
            return Ok(None);
        }
        self.row(cursor).map(Some)
    }

    /// A row that must be there.
    pub(crate) fn row(&mut self, cursor: Cursor) -> Result<JournalRow, ReadError> {
        let row = self
            .blobs
            .with(cursor.0, |part| journal::decode(part, cursor))?;
        row.ok_or(ReadError::Malformed(Malformed("a journal row is missing")))
    }

    /// The last row, from one on that could not be read, that cannot be read either.
    pub(crate) fn lost_to(&self, cursor: Cursor, end: Cursor) -> Result<Cursor, ReadError> {
        self.blobs.lost_to(cursor.0, end.0).map(Cursor)
    }
}
