//! A plain layout on redb, the engine that our store is built on too: a row a message.
//!
//! A round is one transaction with one sync. It looks up each id in a table that is keyed by it, inserts a row into
//! that table, into the one of messages and into the journal, and for what was read before removes the row of the message
//! and inserts one into the journal. What comes next is read from a snapshot after the commit. Cache and file are as ours.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition};
use wharf_core::Message;

use super::plain::{Progress, Row};
use super::{Engine, Io};
use crate::disk::{Counters, Disk};
use crate::work::{Clock, PAYLOAD_BYTES};

/// By number.
const MESSAGES: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("messages");

/// By 128 bits of the id: 128 bits of the content, and the number.
const IDS: TableDefinition<'_, [u8; 16], ([u8; 16], u64)> = TableDefinition::new("ids");

/// By cursor.
const JOURNAL: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("journal");

pub(crate) struct RowLayout {
    database: Database,
    counters: Arc<Counters>,
    progress: Progress,
}

impl RowLayout {
    pub(crate) fn open(folder: &Path, clock: Clock) -> Result<Self> {
        let counters = Arc::<Counters>::default();
        let disk = Disk::open(&folder.join("row"), counters.clone())
            .context("cannot make the row layout's file")?;
        let database = redb::Builder::new()
            .set_cache_size(wharf_store::CACHE_BYTES_DEFAULT)
            .create_with_backend(disk)?;
        let tx = database.begin_write()?;
        tx.open_table(MESSAGES)?;
        tx.open_table(IDS)?;
        tx.open_table(JOURNAL)?;
        tx.commit()?;
        Ok(Self {
            database,
            counters,
            progress: Progress::new(clock),
        })
    }

    fn commit(&mut self, batch: &[Message]) -> Result<()> {
        let tx = self.database.begin_write()?;
        {
            let mut messages = tx.open_table(MESSAGES)?;
            let mut ids = tx.open_table(IDS)?;
            let mut journal = tx.open_table(JOURNAL)?;
            for row in batch.iter().map(Row::new) {
                if ids.get(row.id)?.is_some() {
                    bail!("a new id was there already");
                }
                let (seq, (cursor, step)) = self.progress.accept(&row);
                ids.insert(row.id, (row.content, seq))?;
                messages.insert(seq, row.bytes.as_slice())?;
                journal.insert(cursor, step.as_slice())?;
            }
            for (seq, (cursor, step)) in self.progress.acknowledge() {
                messages.remove(seq)?;
                journal.insert(cursor, step.as_slice())?;
            }
        }
        tx.commit()?;
        self.progress.commits_count += 1;
        Ok(())
    }

    fn read(&mut self, count: usize) -> Result<()> {
        let tx = self.database.begin_read()?;
        let messages = tx.open_table(MESSAGES)?;
        for entry in messages.range(self.progress.unread..)?.take(count) {
            let (seq, bytes) = entry?;
            let bytes = bytes.value().to_vec();
            anyhow::ensure!(bytes.len() > PAYLOAD_BYTES, "a message is cut short");
            self.progress.was_read(seq.value());
        }
        Ok(())
    }
}

impl Engine for RowLayout {
    fn round(&mut self, batch: &mut Vec<Message>) -> Result<()> {
        self.commit(batch)?;
        self.read(batch.len())?;
        super::all_read(self.progress.read_count(), batch.len())
    }

    fn io(&self) -> Result<Io> {
        Ok(Io {
            written_bytes: self.counters.written_bytes(),
            syncs_count: Some(self.counters.syncs_count()),
            commits_count: self.progress.commits_count,
        })
    }
}
