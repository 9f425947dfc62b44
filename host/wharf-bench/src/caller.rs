//! Calls our store as the host does.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use wharf_core::route::Planned;
use wharf_core::{ChannelName, Message};
use wharf_store::{
    Accept, Accepted, Backends, Claim, Claims, Options, PRUNE_VALUES_MAX, Prune, Settle, Settled,
    Store,
};

use crate::disk::{Counters, Disk};
use crate::engine::Io;
use crate::work::{CHANNEL, Clock, ROUTE, Sent};

/// How long the store keeps what has ended. Ids and the journal stay for a week in either case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retention {
    /// Not at all: it goes with the next commit, as an acknowledged row does in other engines.
    Zero,
    /// A week, the default: nothing goes while the bench runs, and the file grows.
    Week,
}

const WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A store in a file, and what its callers have in common.
pub(crate) struct Caller {
    store: Store,
    counters: Arc<Counters>,
    clock: Clock,
    retention: Retention,
    channel: ChannelName,
    planned: Planned,
    sent: Sent,
}

impl Caller {
    /// Opens the store in a file, which is made where there is none.
    pub(crate) fn open(path: &Path, retention: Retention, clock: Clock) -> Result<Self> {
        let counters = Arc::<Counters>::default();
        let open = |path: &Path| {
            let disk = Disk::open(path, counters.clone());
            disk.with_context(|| format!("cannot open {}", path.display()))
        };
        let backends = Backends {
            tables: Box::new(open(path)?),
            log: Box::new(open(&path.with_added_extension("wal"))?),
        };
        let options = Options::new([7; 32], clock.now());
        let store = Store::open_backends(backends, &options)
            .with_context(|| format!("cannot open the store {}", path.display()))?;
        let channel = ChannelName::new(CHANNEL);
        Ok(Self {
            store,
            counters,
            clock,
            retention,
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

    /// Claims `count`, fewer where no more can be had. One call gives what is in memory, and there is more in the file.
    pub(crate) async fn claim(&self, count: usize) -> Result<Vec<Claim>> {
        let mut claims = Vec::new();
        while claims.len() < count {
            let more = self.claim_some(count - claims.len()).await?;
            if more.is_empty() {
                break;
            }
            claims.extend(more);
        }
        Ok(claims)
    }

    /// Has claims put on disk where they must be.
    async fn claim_some(&self, max: usize) -> Result<Vec<Claim>> {
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

    /// Removes what ended long enough ago, as much as may go at once.
    pub(crate) async fn prune(&self) -> Result<()> {
        let age = match self.retention {
            Retention::Zero => Duration::ZERO,
            Retention::Week => WEEK,
        };
        let pruned = self.store.prune(Prune {
            now: self.clock.now(),
            ended: age,
            dead: age,
            ids: WEEK,
            message_bytes_max: None,
            journal: WEEK,
            journal_bytes_max: None,
            journal_bytes_hard: None,
            readers: Vec::new(),
            values_max: PRUNE_VALUES_MAX,
        });
        let unreadable = pruned.await?.unreadable;
        ensure!(unreadable == 0, "{unreadable} stored values are damaged");
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
