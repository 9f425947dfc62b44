//! What the channels' attempts came to.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
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

/// All channels by name.
#[derive(Default)]
pub(crate) struct Channels(pub(crate) Vec<(String, Arc<ChannelNumbers>)>);

impl Numbers for Channels {
    fn write(&self, page: &mut Page<'_>) -> fmt::Result {
        page.counter(
            "attempts",
            "Attempts by the status that they led to.",
            self.0.iter().flat_map(|(name, numbers)| {
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
            self.0
                .iter()
                .map(|(name, numbers)| (vec![("channel", name.as_str())], numbers.took.read())),
        )
    }
}
