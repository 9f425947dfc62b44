//! The control: what the disk takes for writing the same bytes, and nothing else.
//!
//! A round writes as many bytes as its messages have at the next place of a file that was written before, at once, and
//! syncs. It keeps no index, no journal and no ids, and never reads. A file that grows costs more than that, so that
//! everything that is measured is at a disadvantage; so are those whose round is more than one sync.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use wharf_core::Message;
use wharf_store::Backend as _;

use super::{Engine, Io};
use crate::disk::{Counters, Disk};

/// Length of the file. Longer than what a disk would take for one place that is written again and again.
const RING_BYTES: u64 = 64 << 20;

/// What it is made with at once.
const BLOCK_BYTES: usize = 1 << 20;

pub(crate) struct Control {
    disk: Disk,
    counters: Arc<Counters>,
    at: u64,
    rounds_count: u64,
    message_bytes: usize,
    /// Bytes of the messages of a round; which ones they are is nobody's business.
    bytes: Vec<u8>,
}

impl Control {
    /// `message_bytes`: what is written for a message.
    pub(crate) fn open(folder: &Path, message_bytes: usize) -> Result<Self> {
        let counters = Arc::<Counters>::default();
        let disk = Disk::open(&folder.join("control"), counters.clone())
            .context("cannot make the control's file")?;
        let block = vec![1; BLOCK_BYTES];
        for at in (0..RING_BYTES).step_by(BLOCK_BYTES) {
            disk.write(at, &block)?;
        }
        disk.sync_data()?;
        Ok(Self {
            disk,
            counters,
            at: 0,
            rounds_count: 0,
            message_bytes,
            bytes: Vec::new(),
        })
    }
}

impl Engine for Control {
    fn round(&mut self, batch: &mut Vec<Message>) -> Result<()> {
        let len = batch.len() * self.message_bytes;
        self.bytes.resize(len, 2);
        if self.at + len as u64 > RING_BYTES {
            self.at = 0;
        }
        self.disk.write(self.at, &self.bytes)?;
        self.disk.sync_data()?;
        self.at += len as u64;
        self.rounds_count += 1;
        Ok(())
    }

    fn io(&self) -> Result<Io> {
        let counters = &self.counters;
        Ok(Io {
            written_bytes: counters.written_bytes(),
            syncs_count: Some(counters.syncs_count()),
            commits_count: self.rounds_count,
        })
    }
}
