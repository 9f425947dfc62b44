//! A snapshot of the store, and how things are found in it.

use redb::{OwnedAccessGuard, ReadOnlyTable, ReadTransaction, ReadableTable};
use wharf_core::journal::Row as JournalRow;
use wharf_core::{Cursor, DeliveryId, MessageSeq, WireForm};

use crate::error::{Malformed, ReadError};
use crate::ids;
use crate::table::blob::Blob;
use crate::table::chunk::{self, Stored};
use crate::table::delivery::{self, Row};
use crate::table::id_manifest::Manifest;
use crate::table::tails::{self, Tails};
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
        Ok(Journal(Blobs::open(self, journal::TABLE)?))
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
        for definition in [tails::OPEN, tails::CLOSED] {
            let table = self.0.open_table(definition)?;
            let Some(entry) = ReadableTable::range(&table, ..=seq.0)?.next_back() else {
                continue;
            };
            let (first, value) = entry?;
            let place = (seq.0 - first.value()) as usize;
            let tails = Tails::read(value.value())?;
            if place < tails.messages_count() {
                return Ok((tails, place));
            }
        }
        Err(Malformed("a message has no tail").into())
    }

    pub(crate) fn rows(&self) -> Result<Rows, ReadError> {
        Ok(Rows {
            delivery: self.0.open_table(delivery::TABLE)?,
            wire: self.0.open_table(wire::TABLE)?,
        })
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

/// Blobs whose parts are numbered without a gap. The last one is kept: neighbours are found without a look-up.
struct Blobs {
    table: Table,
    last: Option<(u64, OwnedAccessGuard<&'static [u8]>)>,
}

impl Blobs {
    fn open(snapshot: &Snapshot, definition: Numbered) -> Result<Self, ReadError> {
        Ok(Self {
            table: snapshot.0.open_table(definition)?,
            last: None,
        })
    }

    /// Hands over the part with a number; none where there is no such part.
    fn with<T>(
        &mut self,
        number: u64,
        use_part: impl FnOnce(&[u8]) -> Result<T, Malformed>,
    ) -> Result<Option<T>, ReadError> {
        if !self.last_has(number) {
            self.last = match self.table.range_owned(..=number)?.next_back() {
                Some(entry) => {
                    let (first, value) = entry?;
                    Some((first.value(), value))
                }
                None => None,
            };
        }
        let Some((first, value)) = &self.last else {
            return Ok(None);
        };
        let part = Blob::read(value.value())?.part((number - first) as usize)?;
        Ok(part.map(use_part).transpose()?)
    }

    /// A malformed one has nothing: it must not stand in the way of the others.
    fn last_has(&self, number: u64) -> bool {
        let Some((first, value)) = &self.last else {
            return false;
        };
        let count = Blob::read(value.value()).map_or(0, Blob::count) as u64;
        number >= *first && number - first < count
    }
}

/// Reads messages. Each chunk is read once for a run of messages in it.
pub(crate) struct Chunks(Blobs);

impl Chunks {
    pub(crate) fn with<T>(
        &mut self,
        seq: MessageSeq,
        use_message: impl FnOnce(Stored<'_>) -> Result<T, Malformed>,
    ) -> Result<T, ReadError> {
        let used = self
            .0
            .with(seq.0, |part| use_message(Stored::decode(part)?))?;
        used.ok_or(ReadError::Malformed(Malformed(
            "a message is not in its chunk",
        )))
    }
}

/// Reads journal rows. Each blob is read once for a run of rows in it.
pub(crate) struct Journal(Blobs);

impl Journal {
    /// The row at a cursor; none past the end.
    pub(crate) fn row(&mut self, cursor: Cursor) -> Result<Option<JournalRow>, ReadError> {
        self.0.with(cursor.0, |part| journal::decode(part, cursor))
    }

    /// A row that must be there.
    pub(crate) fn required(&mut self, cursor: Cursor) -> Result<JournalRow, ReadError> {
        self.row(cursor)?
            .ok_or(ReadError::Malformed(Malformed("a journal row is missing")))
    }
}
