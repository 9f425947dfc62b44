//! fjall, a log-structured merge tree, as it comes: its own cache sizes apart, every option is the default.
//!
//! A round is one batch over three keyspaces, made durable by `fdatasync`: for each message a look-up of its id, an insert
//! into ids, messages and journal; for what was read before a removal (the weak one, which fits what is written once) and
//! an insert into the journal. What comes next is read after the commit. Its own threads flush and compact beside it; in
//! large batches it makes its callers wait for them.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use wharf_core::Message;

use super::plain::{Progress, Row};
use super::{Engine, Io};
use crate::usage;
use crate::work::{Clock, PAYLOAD_BYTES};

pub(crate) struct Fjall {
    database: Database,
    /// Numbers are written so that their order is that of their bytes.
    messages: Keyspace,
    ids: Keyspace,
    journal: Keyspace,
    progress: Progress,
}

impl Fjall {
    pub(crate) fn open(folder: &Path, clock: Clock) -> Result<Self> {
        let database = Database::builder(folder.join("fjall"))
            .cache_size(wharf_store::CACHE_BYTES_DEFAULT as u64)
            .open()
            .context("cannot make fjall's folder")?;
        let keyspace = |name| database.keyspace(name, KeyspaceCreateOptions::default);
        Ok(Self {
            messages: keyspace("messages")?,
            ids: keyspace("ids")?,
            journal: keyspace("journal")?,
            database,
            progress: Progress::new(clock),
        })
    }

    fn commit(&mut self, batch: &[Message]) -> Result<()> {
        let mut tx = self
            .database
            .batch()
            .durability(Some(PersistMode::SyncData));
        for row in batch.iter().map(Row::new) {
            if self.ids.contains_key(row.id)? {
                bail!("a new id was there already");
            }
            let (seq, (cursor, step)) = self.progress.accept(&row);
            let known = [row.content.as_slice(), &seq.to_be_bytes()].concat();
            tx.insert(&self.ids, row.id, known);
            tx.insert(&self.messages, seq.to_be_bytes(), row.bytes);
            tx.insert(&self.journal, cursor.to_be_bytes(), step);
        }
        for (seq, (cursor, step)) in self.progress.acknowledge() {
            tx.remove_weak(&self.messages, seq.to_be_bytes());
            tx.insert(&self.journal, cursor.to_be_bytes(), step);
        }
        tx.commit()?;
        self.progress.commits_count += 1;
        Ok(())
    }

    fn read(&mut self, count: usize) -> Result<()> {
        let first = self.progress.unread.to_be_bytes();
        for entry in self.messages.range(first..).take(count) {
            let (seq, bytes) = entry.into_inner()?;
            ensure!(
                bytes.to_vec().len() > PAYLOAD_BYTES,
                "a message is cut short"
            );
            let seq = seq.as_ref().try_into().context("a key is no number")?;
            self.progress.was_read(u64::from_be_bytes(seq));
        }
        Ok(())
    }
}

impl Engine for Fjall {
    fn round(&mut self, batch: &mut Vec<Message>) -> Result<()> {
        self.commit(batch)?;
        self.read(batch.len())?;
        super::all_read(self.progress.read_count(), batch.len())
    }

    fn rest(&mut self) {
        // Its threads tell nobody when they are done.
        while self.database.outstanding_flushes() > 0 || self.database.active_compactions() > 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// It has files of its own: what the process gave to write calls is counted.
    fn io(&self) -> Result<Io> {
        Ok(Io {
            written_bytes: usage::written_bytes()?,
            syncs_count: None,
            commits_count: self.progress.commits_count,
        })
    }
}
