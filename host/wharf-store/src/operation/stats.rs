//! Numbers about the store, for health and metrics.

use std::time::Duration;

use wharf_core::invariant::Spread;
use wharf_core::{ChannelName, MessageSeq, Status, TimeMs};

use crate::error::ReadError;
use crate::meter::Distribution;
use crate::store::Store;
use crate::table::chunk;
use crate::table::state::{Counts, Space};

/// Numbers about the store. Counters and indexes are of the same moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stats {
    /// Deliveries by status, messages by standing.
    pub counts: Counts,
    /// Where the deliveries are: ready, leased, due and so on.
    pub spread: Spread,
    /// Of the due ones: pending and provisional, which wait for a poll.
    pub waiting: u64,
    /// After an unclean stop: deliveries that were being attempted when the process ended, and are tried alone.
    pub suspects: u64,
    /// Claims that are on disk.
    pub claimed: u64,
    /// By channel.
    pub channels: Vec<ChannelStats>,
    /// Memory that messages take that wait for their first claim.
    pub resident_bytes: usize,
    /// The id index.
    pub ids: IdStats,
    /// What the file holds, and what retention has removed.
    pub space: Space,
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
    /// Ids of messages before it are forgotten.
    pub from: MessageSeq,
}

/// Numbers about one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelStats {
    /// The channel.
    pub channel: ChannelName,
    /// Deliveries that can be claimed, in memory or on disk. Of those that were attempted or redriven before, no more
    /// than are in memory: on disk they count among those that wait for a time, also where it has come.
    pub ready: u64,
    /// Deliveries that are being attempted.
    pub leased: u64,
    /// After an unclean stop: deliveries that were ready at the start and were not tried since, as far as they are
    /// known; on disk, all that come behind them. While there are any, the channel's claims are put on disk first.
    pub untried: u64,
    /// Deliveries by status.
    pub depths: Depths,
}

/// Deliveries of a channel by their status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depths([u64; Status::ALL.len()]);

impl Depths {
    /// Deliveries with this status. Delivered ones are not counted by channel: their number is no depth, and a start
    /// would have to read them all.
    #[must_use]
    pub fn status(&self, status: Status) -> u64 {
        self.0[status as usize - 1]
    }

    pub(crate) fn set(&mut self, status: Status, count: u64) {
        self.0[status as usize - 1] = count;
    }

    /// A delivery went from one status to another; from none where it is new.
    pub(crate) fn step(&mut self, from: Option<Status>, to: Status) {
        if let Some(from) = from.filter(|from| *from != Status::Delivered) {
            self.0[from as usize - 1] -= 1;
        }
        if to != Status::Delivered {
            self.0[to as usize - 1] += 1;
        }
    }
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
        Stats {
            counts: index.state().counts,
            spread: index.spread(),
            waiting: index.waiting_count(),
            suspects: index.suspects_count(),
            claimed: index.claimed().len() as u64,
            channels: index.channels().collect(),
            resident_bytes: index.resident_bytes(),
            ids: self.ids().stats(),
            space: index.state().space,
            commit_us: self.shared.meter.commit_us(),
            group_items: self.shared.meter.group_items(),
        }
    }

    /// When the message was accepted that comes first in its channel's queue, of each channel that has something to
    /// claim: how far it is behind. Reads one message a channel from the file where that is not in memory; one that
    /// cannot be read is left out.
    pub fn behind(&self) -> Result<Vec<(ChannelName, TimeMs)>, ReadError> {
        let queues = self.index().lock().all();
        for at in queues {
            // Only new ones, and of a queue of which nothing is in memory: as after a start, where nobody claims.
            self.load(at, TimeMs(0))?;
        }
        let firsts: Vec<_> = {
            let index = self.index().lock();
            let firsts = index.firsts();
            firsts
                .map(|(name, id, at)| (name.clone(), id, at))
                .collect()
        };
        let mut behind = Vec::with_capacity(firsts.len());
        self.read(|snapshot| {
            let mut chunks = snapshot.chunks()?;
            for (channel, id, resident) in firsts {
                let accepted_at = match resident {
                    Some(at) => Ok(at),
                    None => chunks.with(id.message(), |part| Ok(chunk::first_answer(part)?.0)),
                };
                match accepted_at {
                    Ok(at) => behind.push((channel, at)),
                    Err(ReadError::Malformed(_)) => {}
                    Err(cause) => return Err(cause),
                }
            }
            Ok(())
        })?;
        Ok(behind)
    }
}
