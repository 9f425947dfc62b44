//! What the channels' attempts came to.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::registry::Unit;
use wharf_core::Status;

use super::{Histogram, Numbers, Page};

/// The attempts of one channel.
#[derive(Debug, Default)]
pub(crate) struct ChannelNumbers {
    /// By the status that they led to.
    ended: [AtomicU64; Status::ALL.len()],
    took: Histogram,
}

impl ChannelNumbers {
    /// An attempt ended.
    pub(crate) fn attempt(&self, to: Status, took: Duration) {
        self.ended[to as usize - 1].fetch_add(1, Relaxed);
        self.took.observe(took);
    }
}

/// All channels by name, those too that are not configured any more.
#[derive(Clone, Default)]
pub(crate) struct Channels(Arc<Mutex<BTreeMap<String, Arc<ChannelNumbers>>>>);

impl Channels {
    /// The numbers of a channel; what is counted outlives whatever is configured of it.
    pub(crate) fn of(&self, name: &str) -> Arc<ChannelNumbers> {
        let mut channels = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(channels.entry(name.to_owned()).or_default())
    }

    fn all(&self) -> BTreeMap<String, Arc<ChannelNumbers>> {
        let channels = self.0.lock();
        channels.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Numbers for Channels {
    fn write(&self, page: &mut Page<'_>) -> fmt::Result {
        let all = self.all();
        page.counter(
            "attempts",
            "Attempts by the status that they led to.",
            all.iter().flat_map(|(name, numbers)| {
                let ended = Status::ALL.iter().zip(&numbers.ended);
                ended.filter_map(|(status, count)| {
                    let count = count.load(Relaxed);
                    let labels = vec![("channel", name.as_str()), ("status", status.as_str())];
                    (count > 0).then_some((labels, count))
                })
            }),
        )?;
        page.histogram(
            "attempt_duration",
            "How long attempts take, their hooks included.",
            Some(&Unit::Seconds),
            all.iter()
                .map(|(name, numbers)| (vec![("channel", name.as_str())], numbers.took.read())),
        )
    }
}
