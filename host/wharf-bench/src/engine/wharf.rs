//! Ours: the store's own commands, as the host calls them.
//!
//! A round offers its accept and its settle together, so that the writer thread commits them as one group, and a call of
//! prune with them; then it claims. The journal and the id index are on; they cannot be off. Ids stay, and so does what
//! answers a duplicate.

use std::path::Path;

use anyhow::Result;
use tokio::runtime::{Builder, Runtime};
use wharf_core::Message;
use wharf_store::Claim;

use super::{Engine, Io};
use crate::caller::{Caller, Retention};
use crate::work::{Clock, Work};

/// Messages that are accepted at once to fill a store: as many as a group commit takes.
const FILL_COUNT: usize = 4096;

pub(crate) struct Wharf {
    runtime: Runtime,
    caller: Caller,
    does: Does,
    /// What the last round read.
    claims: Vec<Claim>,
}

/// What a round is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Does {
    /// Accepts, and leaves it at that.
    Enqueue,
    /// Accepts, claims, settles what was claimed before, and prunes.
    Life,
}

impl Wharf {
    /// Opens the store in a file, which is made where there is none.
    pub(crate) fn open(
        path: &Path,
        does: Does,
        retention: Retention,
        clock: Clock,
    ) -> Result<Self> {
        Ok(Self {
            // Nothing here sleeps or does I/O: the store's writer has a thread of its own.
            runtime: Builder::new_current_thread().build()?,
            caller: Caller::open(path, retention, clock)?,
            does,
            claims: Vec::new(),
        })
    }

    /// Accepts messages and leaves them waiting.
    pub(crate) fn fill(&self, work: &mut Work, count: usize) -> Result<()> {
        let mut left = count;
        while left > 0 {
            let batch = work.batch(left.min(FILL_COUNT));
            left -= batch.len();
            self.runtime.block_on(self.caller.accept(batch))?;
        }
        Ok(())
    }

    /// A round that may find less to read: after it was killed, a store hands out some deliveries alone. Returns how many
    /// it read.
    pub(crate) fn turn(&mut self, batch: &mut Vec<Message>) -> Result<usize> {
        let count = batch.len();
        let accepted = self.caller.accept(batch.drain(..));
        if self.does == Does::Enqueue {
            self.runtime.block_on(accepted)?;
            return Ok(0);
        }
        let settled = self.caller.settle(std::mem::take(&mut self.claims));
        self.claims = self.runtime.block_on(async {
            tokio::try_join!(accepted, settled, self.caller.prune())?;
            self.caller.claim(count).await
        })?;
        Ok(self.claims.len())
    }

    /// Claims one delivery.
    pub(crate) fn claim_one(&self) -> Result<()> {
        let claims = self.runtime.block_on(self.caller.claim(1))?;
        super::all_read(claims.len(), 1)
    }

    /// Gives back what was claimed, and closes the store cleanly.
    pub(crate) fn close(mut self) -> Result<()> {
        self.claims.clear();
        self.runtime.block_on(self.caller.close())
    }
}

impl Engine for Wharf {
    fn round(&mut self, batch: &mut Vec<Message>) -> Result<()> {
        let count = batch.len();
        let read_count = self.turn(batch)?;
        match self.does {
            Does::Enqueue => Ok(()),
            Does::Life => super::all_read(read_count, count),
        }
    }

    fn io(&self) -> Result<Io> {
        Ok(self.caller.io())
    }
}
