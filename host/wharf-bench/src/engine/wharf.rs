//! Ours: the store's own commands, as the host calls them.
//!
//! A round offers its accept and its settle together, so that the writer thread commits them as one group, then claims.
//! The journal and the id index are on; they cannot be off.

use std::path::Path;

use anyhow::Result;
use tokio::runtime::{Builder, Runtime};
use wharf_core::Message;
use wharf_store::Claim;

use super::{Engine, Io};
use crate::caller::Caller;
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
    /// Accepts, claims, and settles what was claimed before.
    Life,
}

impl Wharf {
    /// Opens the store in a file, which is made where there is none.
    pub(crate) fn open(path: &Path, does: Does, clock: Clock) -> Result<Self> {
        Ok(Self {
            // Nothing here sleeps or does I/O: the store's writer has a thread of its own.
            runtime: Builder::new_current_thread().build()?,
            caller: Caller::open(path, clock)?,
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
        let accepted = self.caller.accept(batch.drain(..));
        if self.does == Does::Enqueue {
            return self.runtime.block_on(accepted);
        }
        let settled = self.caller.settle(std::mem::take(&mut self.claims));
        self.claims = self.runtime.block_on(async {
            tokio::try_join!(accepted, settled)?;
            self.caller.claim(count).await
        })?;
        super::all_read(self.claims.len(), count)
    }

    fn io(&self) -> Result<Io> {
        Ok(self.caller.io())
    }
}
