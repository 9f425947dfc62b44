//! Ours: the store's own commands, as the host calls them.
//!
//! A round offers its accept and its settle together, so that the writer thread commits them as one group, then claims.
//! The journal and the id index are on; they cannot be off.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use tokio::runtime::{Builder, Runtime};
use wharf_core::route::Planned;
use wharf_core::{ChannelName, Message};
use wharf_store::{Accept, Accepted, Claim, Claims, Options, Settle, Settled, Store};

use super::{Engine, Io};
use crate::disk::{Counters, Disk};
use crate::work::{CHANNEL, Clock, ROUTE, Sent};

pub(crate) struct Wharf {
    runtime: Runtime,
    store: Store,
    counters: Arc<Counters>,
    clock: Clock,
    channel: ChannelName,
    planned: Planned,
    sent: Sent,
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
    /// Opens the store in a file of a folder, which is made where there is none.
    pub(crate) fn open(folder: &Path, name: &str, does: Does, clock: Clock) -> Result<Self> {
        let path = folder.join(name);
        let disk = Disk::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
        let counters = disk.counters();
        let options = Options::new([7; 32], clock.now());
        let store = Store::open_backend(Box::new(disk), &options)
            .with_context(|| format!("cannot open the store {}", path.display()))?;
        let channel = ChannelName::new(CHANNEL);
        Ok(Self {
            // Nothing here sleeps or does I/O: the store's writer has a thread of its own.
            runtime: Builder::new_current_thread().build()?,
            store,
            counters,
            clock,
            planned: Planned {
                route: ROUTE.into(),
                channel: channel.clone(),
            },
            channel,
            sent: Sent::new(),
            does,
            claims: Vec::new(),
        })
    }

    fn accepts(&self, batch: &mut Vec<Message>) -> Vec<Accept> {
        let accept = |message| Accept {
            message,
            planned: vec![self.planned.clone()],
        };
        batch.drain(..).map(accept).collect()
    }

    fn settles(&mut self) -> Vec<Settle> {
        let at = self.clock.now();
        let settle = |claim: Claim| Settle {
            transition: self.sent.transition(),
            attempt: Some(self.sent.attempt(claim.message.accepted_at)),
            wire: None,
            at,
            lease: claim.lease,
        };
        self.claims.drain(..).map(settle).collect()
    }

    /// Claims, and has claims put on disk where they must be.
    fn claim(&self, count: usize) -> Result<Vec<Claim>> {
        let claims = self.store.claim(&self.channel, count, self.clock.now())?;
        Ok(match claims {
            Claims::Ready(claims) => claims,
            Claims::Careful(claims) => self.runtime.block_on(self.store.persist_claims(claims))?,
        })
    }
}

impl Engine for Wharf {
    fn round(&mut self, batch: &mut Vec<Message>) -> Result<()> {
        let count = batch.len();
        let accepts = self.accepts(batch);
        if self.does == Does::Enqueue {
            return all_new(&self.runtime.block_on(self.store.accept(accepts))?);
        }
        let settles = self.settles();
        let (accepted, settled) = self.runtime.block_on(async {
            let settled = async {
                match settles.is_empty() {
                    true => Ok(Vec::new()),
                    false => self.store.settle(settles).await,
                }
            };
            tokio::try_join!(self.store.accept(accepts), settled)
        })?;
        all_new(&accepted)?;
        all_recorded(&settled)?;
        self.claims = self.claim(count)?;
        super::all_read(self.claims.len(), count)
    }

    fn io(&self) -> Result<Io> {
        Ok(Io {
            written_bytes: self.counters.written_bytes(),
            syncs_count: Some(self.counters.syncs_count()),
            commits_count: self.store.stats().commit_us.count(),
        })
    }
}

impl Drop for Wharf {
    fn drop(&mut self) {
        self.claims.clear();
        if let Err(cause) = self.runtime.block_on(self.store.close()) {
            eprintln!("a store did not close cleanly: {cause}");
        }
    }
}

fn all_new(accepted: &[Accepted]) -> Result<()> {
    match accepted
        .iter()
        .find(|one| !matches!(one, Accepted::New { .. }))
    {
        None => Ok(()),
        Some(other) => bail!("a new message was answered {other:?}"),
    }
}

fn all_recorded(settled: &[Settled]) -> Result<()> {
    match settled
        .iter()
        .find(|one| !matches!(one, Settled::Recorded(_)))
    {
        None => Ok(()),
        Some(other) => bail!("a settle was answered {other:?}"),
    }
}
