//! Numbers about the store, for health and metrics.

use std::time::Duration;

use wharf_core::ChannelName;
use wharf_core::invariant::Spread;

use crate::meter::Distribution;
use crate::store::Store;
use crate::table::state::Counts;

/// Numbers about the store. Counters and indexes are of the same moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Deliveries by status, messages by standing.
    pub counts: Counts,
    /// Where the deliveries are: ready, leased, due and so on.
    pub spread: Spread,
    /// Of the due ones: pending and provisional, which wait for a poll.
    pub waiting: u64,
    /// By channel.
    pub channels: Vec<ChannelStats>,
    /// Memory that messages take that wait for their first claim.
    pub resident_bytes: usize,
    /// The id index.
    pub ids: IdStats,
    /// How long commits took, in microseconds; their number is the number of commits.
    pub commit_us: Distribution,
    /// Messages and settles that were committed together.
    pub group_items: Distribution,
}

/// Numbers about the id index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdStats {
    /// Ids that are in memory, and in no run yet.
    pub recent: u64,
    /// Sorted runs, those that are being merged included.
    pub runs: u64,
    /// Memory that filters take.
    pub filter_bytes: usize,
}

/// Numbers about one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelStats {
    /// The channel.
    pub channel: ChannelName,
    /// Deliveries that can be claimed.
    pub ready: u64,
    /// Deliveries that are being attempted.
    pub leased: u64,
}

impl Store {
    /// How long the commit that is being made has taken so far; none where none is being made.
    ///
    /// For liveness: a disk that never ends a sync reports no error, so nobody else would notice. Neither waits for the
    /// writer nor takes a lock.
    #[must_use]
    pub fn commit_running_for(&self) -> Option<Duration> {
        self.shared.meter.running_for()
    }

    /// Numbers about the store. Quick: nothing is read from the file.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let index = self.index().lock();
        let channels = index
            .channels()
            .map(|(channel, ready, leased)| ChannelStats {
                channel: channel.clone(),
                ready,
                leased,
            });
        Stats {
            counts: index.counts(),
            spread: index.spread(),
            waiting: index.waiting_count(),
            channels: channels.collect(),
            resident_bytes: index.resident_bytes(),
            ids: self.ids().stats(),
            commit_us: self.shared.meter.commit_us(),
            group_items: self.shared.meter.group_items(),
        }
    }
}
