//! Removes what has been kept for long enough, a little at a time, in commits that are made anyway.
//!
//! A round goes on until nothing is left to remove, with a pause after each call, so that commits with a call in them stay
//! few beside those without. Post-event hooks that are configured hold back what they have yet to be told; the cursor of
//! one that is not configured any more stays, and holds back nothing: configured again, it goes on from what is left.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use wharf_core::Cursor;
use wharf_store::{Gap, PRUNE_VALUES_MAX, Prune, Pruned, ReadError, Store};

use crate::clock;
use crate::degraded::Degraded;
use crate::limits::{PRUNE_EVERY, PRUNE_PAUSE};

/// How long what is stored is kept, and how much of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    pub(crate) ended: Duration,
    pub(crate) dead: Duration,
    pub(crate) ids: Duration,
    pub(crate) message_bytes_max: Option<u64>,
    pub(crate) journal: Duration,
    pub(crate) journal_bytes_max: Option<u64>,
    pub(crate) journal_bytes_hard: u64,
}

/// Removes what the policy does not keep.
pub(crate) struct Pruner {
    pub(crate) store: Store,
    pub(crate) policy: Policy,
    /// What post-event hooks keep their cursors under.
    pub(crate) readers: Vec<String>,
    pub(crate) degraded: Degraded,
    pub(crate) counted: Arc<Counted>,
}

/// What is counted since the process began.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    /// Times that nothing was left to remove.
    pub(crate) rounds: AtomicU64,
    /// Rows that were removed although a hook had yet to be told of them.
    pub(crate) untold_rows: AtomicU64,
}

/// What health calls it.
const HEALTH_NAME: &str = "journal";

impl Pruner {
    /// Runs until `stop`, or until the store takes no more.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut round = Pruned::default();
        let mut gap_to = None;
        let mut has_told_unreadable = false;
        while let Ok(pruned) = self.store.prune(self.prune()).await {
            round.messages += pruned.messages;
            round.deliveries += pruned.deliveries;
            round.rows += pruned.rows;
            if let Some(gap) = pruned.gap {
                self.tell_gap(gap);
                gap_to = Some(gap.last);
            }
            if pruned.unreadable > 0 && !std::mem::replace(&mut has_told_unreadable, true) {
                tracing::error!(
                    values = pruned.unreadable,
                    "what is damaged is not removed, nor what depends on it; check the store"
                );
            }
            gap_to = gap_to.filter(|last| !self.have_passed(*last));
            let pause = if pruned.is_more {
                PRUNE_PAUSE
            } else {
                tell_round(&std::mem::take(&mut round));
                self.counted.rounds.fetch_add(1, Ordering::Relaxed);
                PRUNE_EVERY
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
        // The store has failed, which ends the process.
        stop.cancelled().await;
    }

    fn prune(&self) -> Prune {
        let Policy {
            ended,
            dead,
            ids,
            message_bytes_max,
            journal,
            journal_bytes_max,
            journal_bytes_hard,
        } = self.policy;
        Prune {
            now: clock::now(),
            ended,
            dead,
            ids,
            message_bytes_max,
            journal,
            journal_bytes_max,
            journal_bytes_hard: Some(journal_bytes_hard),
            readers: self.readers.clone(),
            values_max: PRUNE_VALUES_MAX,
        }
    }

    fn tell_gap(&self, gap: Gap) {
        let (first, last) = (gap.first.0, gap.last.0);
        let rows_count = last + 1 - first;
        self.counted
            .untold_rows
            .fetch_add(rows_count, Ordering::Relaxed);
        tracing::error!(
            first,
            last,
            "the journal passed store.journal-hard-cap, and rows were removed that a post-event hook had yet to be told"
        );
        let reason = format!(
            "it passed store.journal-hard-cap, and a post-event hook misses its rows {first} to {last}; mend the hook, \
             or make the cap larger"
        );
        self.degraded.set(HEALTH_NAME, reason);
    }

    /// Whether all hooks were told what comes after a gap: health has no more to say of it.
    fn have_passed(&self, last: Cursor) -> bool {
        let cursors = self.readers.iter().map(|name| self.store.cursor(name));
        let cursors = cursors.collect::<Result<Vec<_>, ReadError>>();
        let have_passed =
            cursors.is_ok_and(|cursors| cursors.into_iter().flatten().all(|cursor| cursor > last));
        if have_passed {
            self.degraded.clear(HEALTH_NAME);
        }
        have_passed
    }
}

fn tell_round(round: &Pruned) {
    if round.messages > 0 || round.rows > 0 {
        tracing::info!(
            messages = round.messages,
            deliveries = round.deliveries,
            journal_rows = round.rows,
            "what was kept for long enough was removed"
        );
    }
}
