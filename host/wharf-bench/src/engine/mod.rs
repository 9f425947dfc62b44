//! What is measured: each keeps messages in its own way, and does the same work with them.

pub(crate) mod control;
pub(crate) mod fjall;
pub(crate) mod plain;
pub(crate) mod row;
pub(crate) mod sqlite;
#[cfg(test)]
mod tests;
pub(crate) mod wharf;

use anyhow::{Result, ensure};
use wharf_core::Message;

/// Something that keeps messages.
pub(crate) trait Engine {
    /// One round. All of it is durable when it returns:
    ///
    /// - the messages are stored, unless their id was stored before, each with a row in the journal;
    /// - as many as there are of them, the longest waiting first, are read, whole;
    /// - those that were read by the round before are acknowledged, each with a row in the journal that has the facts of
    ///   its attempt.
    ///
    /// It may take the messages; what it leaves is dropped after the clock has stopped.
    fn round(&mut self, batch: &mut Vec<Message>) -> Result<()>;

    /// Ends what goes on in the background: it belongs to the rounds before, and not to the slice of another engine.
    fn rest(&mut self) {}

    /// What it has written so far.
    fn io(&self) -> Result<Io>;
}

/// What an engine has written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Io {
    pub(crate) written_bytes: u64,
    /// None where nobody counts them.
    pub(crate) syncs_count: Option<u64>,
    pub(crate) commits_count: u64,
}

impl Io {
    pub(crate) fn and(self, other: Self) -> Self {
        let syncs_count = self.syncs_count.zip(other.syncs_count);
        Self {
            written_bytes: self.written_bytes + other.written_bytes,
            syncs_count: syncs_count.map(|(one, other)| one + other),
            commits_count: self.commits_count + other.commits_count,
        }
    }

    pub(crate) fn since(self, before: Self) -> Self {
        let syncs_count = self.syncs_count.zip(before.syncs_count);
        Self {
            written_bytes: self.written_bytes - before.written_bytes,
            syncs_count: syncs_count.map(|(now, before)| now - before),
            commits_count: self.commits_count - before.commits_count,
        }
    }
}

/// A round that finds less to read than it stored does other work than the others.
fn all_read(read_count: usize, wanted_count: usize) -> Result<()> {
    ensure!(
        read_count == wanted_count,
        "{read_count} messages were read instead of {wanted_count}"
    );
    Ok(())
}
