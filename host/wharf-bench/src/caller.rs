//! Calls our store as the host does.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use wharf_core::route::Planned;
use wharf_core::{ChannelName, Message};
use wharf_store::{Accept, Accepted, Claim, Claims, Options, Settle, Settled, Store};

use crate::disk::{Counters, Disk};
use crate::engine::Io;
use crate::work::{CHANNEL, Clock, ROUTE, Sent};

/// A store in a file, and what its callers have in common.
pub(crate) struct Caller {
    store: Store,
    counters: Arc<Counters>,
    clock: Clock,
    channel: ChannelName,
    planned: Planned,
    sent: Sent,
}

impl Caller {
    /// Opens the store in a file, which is made where there is none.
    pub(crate) fn open(path: &Path, clock: Clock) -> Result<Self> {
        let disk = Disk::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        let counters = disk.counters();
        let options = Options::new([7; 32], clock.now());
        let store = Store::open_backend(Box::new(disk), &options)
            .with_context(|| format!("cannot open the store {}", path.display()))?;
        let channel = ChannelName::new(CHANNEL);
        Ok(Self {
            store,
            counters,
            clock,
            planned: Planned {
                route: ROUTE.into(),
                channel: channel.clone(),
            },
            channel,
            sent: Sent::new(),
        })
    }

    /// Accepts messages that are all new.
    pub(crate) async fn accept(&self, messages: impl IntoIterator<Item = Message>) -> Result<()> {
        let accept = |message| Accept {
            message,
            planned: vec![self.planned.clone()],
        };
        let batch = messages.into_iter().map(accept).collect();
        for accepted in self.store.accept(batch).await? {
            let is_new = matches!(accepted, Accepted::New { .. });
            ensure!(is_new, "a new message was answered {accepted:?}");
        }
        Ok(())
    }

    /// Claims up to `max`, and has claims put on disk where they must be.
    pub(crate) async fn claim(&self, max: usize) -> Result<Vec<Claim>> {
        match self.store.claim(&self.channel, max, self.clock.now())? {
            Claims::Ready(claims) => Ok(claims),
            Claims::Careful(claims) => Ok(self.store.persist_claims(claims).await?),
        }
    }

    /// Sleeps until there may be something to claim.
    pub(crate) async fn ready(&self) {
        self.store.ready(&self.channel).await;
    }

    /// Settles claims as delivered.
    pub(crate) async fn settle(&self, claims: Vec<Claim>) -> Result<()> {
        if claims.is_empty() {
            return Ok(());
        }
        let at = self.clock.now();
        let settle = |claim: Claim| Settle {
            transition: self.sent.transition(),
            attempt: Some(self.sent.attempt(claim.message.accepted_at)),
            wire: None,
            at,
            lease: claim.lease,
        };
        let batch = claims.into_iter().map(settle).collect();
        for settled in self.store.settle(batch).await? {
            let is_recorded = matches!(settled, Settled::Recorded(_));
            ensure!(is_recorded, "a settle was answered {settled:?}");
        }
        Ok(())
    }

    /// What it has written so far.
    pub(crate) fn io(&self) -> Io {
        Io {
            written_bytes: self.counters.written_bytes(),
            syncs_count: Some(self.counters.syncs_count()),
            commits_count: self.store.stats().commit_us.count(),
        }
    }

    /// Closes the store cleanly. Not waited for where it is dropped.
    pub(crate) async fn close(&self) -> Result<()> {
        self.store.close().await.context("cannot close the store")
    }
}
