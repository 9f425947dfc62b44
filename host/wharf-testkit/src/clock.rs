//! A clock that stands still until it is told otherwise.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use wharf_core::TimeMs;

/// A clock that stands still until it is told otherwise. Clones are the same clock.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<AtomicU64>);

impl ManualClock {
    /// A clock that shows this time.
    #[must_use]
    pub fn new(now: TimeMs) -> Self {
        Self(Arc::new(AtomicU64::new(now.0)))
    }

    /// What it shows.
    #[must_use]
    pub fn now(&self) -> TimeMs {
        TimeMs(self.0.load(SeqCst))
    }

    /// Moves it forward.
    pub fn advance(&self, by: Duration) {
        self.0
            .fetch_add(u64::try_from(by.as_millis()).unwrap_or(u64::MAX), SeqCst);
    }
}
