//! The tables of runs and filters, open for writing.

use std::ops::RangeBounds;
use std::vec;

use redb::{Range, ReadableTable, Table, WriteTransaction};

use super::change::FilterChange;
use crate::error::{Malformed, ReadError};
use crate::table::id_entry::{IdHash, Keyed};
use crate::table::id_filter::{self, Segment};
use crate::table::id_manifest::Run;
use crate::table::id_run::{self, Block, KEY_BYTES, RunNumber};

type Key = &'static [u8; KEY_BYTES];

pub(super) struct RunTables<'tx> {
    pub(super) blocks: Table<'tx, Key, &'static [u8]>,
    filters: Table<'tx, Key, &'static [u8]>,
}

impl<'tx> RunTables<'tx> {
    pub(super) fn open(tx: &'tx WriteTransaction) -> Result<Self, ReadError> {
        Ok(Self {
            blocks: tx.open_table(id_run::TABLE)?,
            filters: tx.open_table(id_filter::TABLE)?,
        })
    }

    /// Appends a segment to a run: its blocks and their filter. The entries are sorted, come after those of the run,
    /// and there is at least one.
    pub(super) fn append(
        &mut self,
        run: &mut Run,
        entries: &[Keyed],
        block_entries: usize,
    ) -> Result<FilterChange, ReadError> {
        for block in entries.chunks(block_entries) {
            let key = id_run::key(run.number, block[0].0);
            self.blocks.insert(&key, id_run::encode(block).as_slice())?;
        }
        let segment = Segment::new(entries.iter().map(|(hash, _)| *hash));
        let first = entries[0].0;
        let key = id_run::key(run.number, first);
        self.filters.insert(&key, segment.encode().as_slice())?;
        run.entries_count += entries.len() as u64;
        let seqs = entries.iter().map(|(_, entry)| entry.seq);
        run.highest = seqs.fold(run.highest, Ord::max);
        Ok(FilterChange::Added(run.number, first, segment))
    }

    /// Removes what of a run ends below a hash.
    pub(super) fn consume(
        &mut self,
        run: RunNumber,
        next: IdHash,
    ) -> Result<FilterChange, ReadError> {
        let (lower, upper) = (id_run::key(run, IdHash::MIN), id_run::key(run, next));
        // What is unreadable is kept: a block stops its merge before anything of it is removed, and a filter goes
        // with its run.
        let is_below = |last: Result<IdHash, Malformed>| last.is_ok_and(|last| last < next);
        remove(&mut self.blocks, &lower..&upper, usize::MAX, |value| {
            is_below(Block::read(value).map(|block| block.last()))
        })?;
        remove(&mut self.filters, &lower..&upper, usize::MAX, |value| {
            is_below(id_filter::last(value))
        })?;
        Ok(FilterChange::Consumed(run, next))
    }

    /// Removes up to so many blocks of a run, unread, and as many filters, of which it does not have more. True once
    /// none is left.
    pub(super) fn discard(&mut self, run: RunNumber, blocks_max: usize) -> Result<bool, ReadError> {
        let (lower, upper) = (id_run::key(run, IdHash::MIN), id_run::key(run, IdHash::MAX));
        let mut is_empty = true;
        for table in [&mut self.blocks, &mut self.filters] {
            let removed_count = remove(table, &lower..=&upper, blocks_max, |_| true)?;
            is_empty &= removed_count < blocks_max;
        }
        Ok(is_empty)
    }

    /// Reads a run from a hash on, below which whole blocks are gone.
    pub(super) fn read(&self, run: RunNumber, from: IdHash) -> Result<Reader<'_>, ReadError> {
        let (lower, upper) = (id_run::key(run, IdHash::MIN), id_run::key(run, IdHash::MAX));
        let mut reader = Reader {
            blocks: self.blocks.range::<&[u8; KEY_BYTES]>(&lower..=&upper)?,
            entries: Vec::new().into_iter(),
        };
        reader.fill()?;
        while reader.peek().is_some_and(|hash| hash < from) {
            reader.next()?;
        }
        Ok(reader)
    }
}

/// Removes the first values of a range that are to go, up to so many; returns how many went. Key by key: what the engine has
/// for removing a range panics where the disk fails in the middle of it.
fn remove<'k>(
    table: &mut Table<'_, Key, &'static [u8]>,
    range: impl RangeBounds<&'k [u8; KEY_BYTES]> + 'k,
    count_max: usize,
    is_gone: impl Fn(&[u8]) -> bool,
) -> Result<usize, ReadError> {
    let mut keys = Vec::new();
    for entry in table.range::<&[u8; KEY_BYTES]>(range)? {
        if keys.len() == count_max {
            break;
        }
        let (key, value) = entry?;
        if is_gone(value.value()) {
            keys.push(*key.value());
        }
    }
    for key in &keys {
        table.remove(key)?;
    }
    Ok(keys.len())
}

/// Entries of a run in order.
pub(super) struct Reader<'a> {
    blocks: Range<'a, Key, &'static [u8]>,
    entries: vec::IntoIter<Keyed>,
}

impl Reader<'_> {
    pub(super) fn peek(&self) -> Option<IdHash> {
        self.entries.as_slice().first().map(|(hash, _)| *hash)
    }

    pub(super) fn next(&mut self) -> Result<Option<Keyed>, ReadError> {
        let entry = self.entries.next();
        self.fill()?;
        Ok(entry)
    }

    /// Reads the next block where the last one is used up.
    fn fill(&mut self) -> Result<(), ReadError> {
        if self.entries.len() == 0
            && let Some(block) = self.blocks.next()
        {
            let (_, value) = block?;
            self.entries = Block::read(value.value())?.entries()?.into_iter();
        }
        Ok(())
    }
}
