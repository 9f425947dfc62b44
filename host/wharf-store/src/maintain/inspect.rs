//! What is in a store's file: counts that it keeps, rows of its tables, and, for whoever has the time, their sizes.

use redb::{Key, ReadableTable, ReadableTableMetadata, TableDefinition, TableHandle, Value};
use wharf_core::{Cursor, MessageSeq};

use super::progress::{Progress, Steps};
use crate::error::ReadError;
use crate::read::Snapshot;
use crate::recover;
use crate::store::Store;
use crate::table::all::{self, Visit};
use crate::table::state::Counts;
use crate::table::{chunk, claimed, journal, meta, parked, tails};

/// What is in a store's file, as of one commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    /// The file's format.
    pub format: u32,
    /// Whether the store was closed cleanly, and nothing was opened since.
    pub is_clean: bool,
    /// Deliveries by status, messages by standing.
    pub counts: Counts,
    /// The number of the next message.
    pub next_seq: MessageSeq,
    /// Chunks of messages.
    pub chunks: u64,
    /// Those of them that have a delivery which waits for its first attempt: what a start reads.
    pub open_chunks: u64,
    /// The journal's first row; none where it has no rows.
    pub first_row: Option<Cursor>,
    /// Its last one; 0 before the first.
    pub last_row: Cursor,
    /// From which message on ids are known.
    pub ids_from: MessageSeq,
    /// Sorted runs of ids, those that are being merged included.
    pub id_runs: u64,
    /// Claims that are on disk.
    pub claimed: u64,
    /// What could not be used.
    pub parked: u64,
    /// Every table.
    pub tables: Vec<TableSize>,
}

/// A table and how large it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableSize {
    /// Its name.
    pub name: String,
    /// Its rows: values, of which one can hold many messages or journal rows.
    pub rows: u64,
    /// What it takes of the file, where that was asked for.
    pub bytes: Option<TableBytes>,
}

/// What a table takes of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableBytes {
    /// Keys and values.
    pub stored: u64,
    /// What the engine keeps about them.
    pub overhead: u64,
    /// Unused room in its pages.
    pub unused: u64,
}

impl Inspection {
    /// What all tables take of the file, where sizes were asked for.
    #[must_use]
    pub fn used_bytes(&self) -> Option<u64> {
        let sizes = self.tables.iter().map(|table| table.bytes);
        sizes
            .map(|bytes| bytes.map(|bytes| bytes.stored + bytes.overhead + bytes.unused))
            .sum()
    }
}

impl Store {
    /// What is in the store's file, as of the last commit; commits go on meanwhile. Sizes of tables where `with_sizes`,
    /// which reads the whole file. The store is open, so it says that it was not closed.
    pub fn inspect(&self, with_sizes: bool) -> Result<Inspection, ReadError> {
        inspect(&self.shared.snapshot()?, with_sizes, &mut |_| {})
    }
}

pub(super) fn inspect(
    snapshot: &Snapshot,
    with_sizes: bool,
    told: &mut dyn FnMut(Progress),
) -> Result<Inspection, ReadError> {
    let tx = snapshot.tx();
    let state = recover::state(snapshot)?;
    let manifest = snapshot.id_manifest()?;
    let rows = tx.open_table(journal::TABLE)?;
    let first_row = rows.first()?.map(|(first, _)| Cursor(first.value()));
    let mut sizes = Sizes {
        snapshot,
        with_sizes,
        steps: Steps::new(all::COUNT, told),
        tables: Vec::new(),
    };
    all::each(&mut sizes)?;
    Ok(Inspection {
        format: meta::FORMAT,
        is_clean: recover::is_clean(snapshot)?,
        counts: state.counts,
        next_seq: state.next_seq,
        chunks: tx.open_table(chunk::TABLE)?.len()?,
        open_chunks: tx.open_table(tails::OPEN)?.len()?,
        first_row,
        last_row: state.head(),
        ids_from: manifest.floor,
        id_runs: manifest.all().count() as u64,
        claimed: tx.open_table(claimed::TABLE)?.len()?,
        parked: tx.open_table(parked::TABLE)?.len()?,
        tables: sizes.tables,
    })
}

struct Sizes<'a> {
    snapshot: &'a Snapshot,
    with_sizes: bool,
    steps: Steps<'a>,
    tables: Vec<TableSize>,
}

impl Visit for Sizes<'_> {
    type Error = ReadError;

    fn table<K: Key + 'static, V: Value + 'static>(
        &mut self,
        table: TableDefinition<'static, K, V>,
    ) -> Result<(), ReadError> {
        let open = self.snapshot.tx().open_table(table)?;
        let bytes = if self.with_sizes {
            let stats = open.stats()?;
            Some(TableBytes {
                stored: stats.stored_bytes(),
                overhead: stats.metadata_bytes(),
                unused: stats.fragmented_bytes(),
            })
        } else {
            None
        };
        self.tables.push(TableSize {
            name: table.name().to_owned(),
            rows: open.len()?,
            bytes,
        });
        self.steps.advance(1);
        Ok(())
    }
}
