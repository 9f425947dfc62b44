//! SQLite, as a queue in a table is usually made: write-ahead log, `synchronous = FULL`. It syncs with `fdatasync`, as all
//! others here do (`.cargo/config.toml` has it built so).
//!
//! A round is one `IMMEDIATE` transaction of prepared statements: for each message an insert into the table of ids, which
//! is keyed by them and decides whether it is new, one into the messages and one into the journal; for what was read
//! before a delete and an insert into the journal. What comes next is read after the commit. The cache is as large as
//! ours. The connection has the file to itself, which spares it the shared memory of its log's index, and the log may
//! grow to 64 MiB before it is written back, where 4 MiB are the default: in large batches that saves it half of what it
//! writes.

use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use rusqlite::{Connection, TransactionBehavior, params};
use wharf_core::Message;

use super::plain::{Progress, Row};
use super::{Engine, Io};
use crate::usage;
use crate::work::{Clock, PAYLOAD_BYTES};

/// Pages of 4 KiB that the log has when it is written back.
const CHECKPOINT_PAGES: u32 = 16 << 10;

const SCHEMA: &str = "
    CREATE TABLE messages (seq INTEGER PRIMARY KEY, bytes BLOB NOT NULL);
    CREATE TABLE ids (id BLOB PRIMARY KEY, content BLOB NOT NULL, seq INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE journal (cursor INTEGER PRIMARY KEY, step BLOB NOT NULL);";

pub(crate) struct Sqlite {
    connection: Connection,
    progress: Progress,
}

impl Sqlite {
    pub(crate) fn open(folder: &Path, clock: Clock) -> Result<Self> {
        let connection =
            Connection::open(folder.join("sqlite")).context("cannot make SQLite's file")?;
        connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
        // Negative: in KiB.
        let cache_kib = (wharf_store::CACHE_BYTES_DEFAULT >> 10) as i64;
        connection.pragma_update(None, "cache_size", -cache_kib)?;
        connection.execute_batch(SCHEMA)?;
        Ok(Self {
            connection,
            progress: Progress::new(clock),
        })
    }

    fn commit(&mut self, batch: &[Message]) -> Result<()> {
        let tx = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        {
            let mut add_id = tx.prepare_cached("INSERT OR IGNORE INTO ids VALUES (?, ?, ?)")?;
            let mut add_message = tx.prepare_cached("INSERT INTO messages VALUES (?, ?)")?;
            let mut remove_message = tx.prepare_cached("DELETE FROM messages WHERE seq = ?")?;
            let mut add_step = tx.prepare_cached("INSERT INTO journal VALUES (?, ?)")?;
            for row in batch.iter().map(Row::new) {
                let (seq, (cursor, step)) = self.progress.accept(&row);
                if add_id.execute(params![row.id, row.content, seq as i64])? == 0 {
                    bail!("a new id was there already");
                }
                add_message.execute(params![seq as i64, row.bytes])?;
                add_step.execute(params![cursor as i64, step])?;
            }
            for (seq, (cursor, step)) in self.progress.acknowledge() {
                remove_message.execute([seq as i64])?;
                add_step.execute(params![cursor as i64, step])?;
            }
        }
        tx.commit()?;
        self.progress.commits_count += 1;
        Ok(())
    }

    fn read(&mut self, count: usize) -> Result<()> {
        let mut next = self.connection.prepare_cached(
            "SELECT seq, bytes FROM messages WHERE seq >= ? ORDER BY seq LIMIT ?",
        )?;
        let mut rows = next.query([self.progress.unread as i64, count as i64])?;
        while let Some(row) = rows.next()? {
            let bytes: Vec<u8> = row.get(1)?;
            ensure!(bytes.len() > PAYLOAD_BYTES, "a message is cut short");
            self.progress.was_read(row.get::<_, i64>(0)? as u64);
        }
        Ok(())
    }
}

impl Engine for Sqlite {
    fn round(&mut self, batch: &mut Vec<Message>) -> Result<()> {
        self.commit(batch)?;
        self.read(batch.len())?;
        super::all_read(self.progress.read_count(), batch.len())
    }

    /// Its file cannot be wrapped without code that is not safe: what the process gave to write calls is counted.
    fn io(&self) -> Result<Io> {
        Ok(Io {
            written_bytes: usage::written_bytes()?,
            syncs_count: None,
            commits_count: self.progress.commits_count,
        })
    }
}
