//! What the store counts of itself, for the metrics.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::limits::BUCKETS_COUNT;

/// How often each size occurred. Bucket `n` counts what was below 2^n and not below 2^(n-1); the last one takes the
/// rest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Distribution {
    /// Counts by bucket.
    pub buckets: Vec<u64>,
    /// Sum of all observations.
    pub sum: u64,
}

impl Distribution {
    /// How many observations there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}

#[derive(Debug, Default)]
struct Buckets {
    counts: [AtomicU64; BUCKETS_COUNT],
    sum: AtomicU64,
}

impl Buckets {
    fn observe(&self, value: u64) {
        let bucket = (64 - value.leading_zeros() as usize).min(BUCKETS_COUNT - 1);
        self.counts[bucket].fetch_add(1, Relaxed);
        self.sum.fetch_add(value, Relaxed);
    }

    fn read(&self) -> Distribution {
        Distribution {
            buckets: self
                .counts
                .iter()
                .map(|count| count.load(Relaxed))
                .collect(),
            sum: self.sum.load(Relaxed),
        }
    }
}

/// Counters of the writer. Written by it alone.
#[derive(Debug)]
pub(crate) struct Meter {
    commit_us: Buckets,
    group_items: Buckets,
    made_at: Instant,
    /// When the commit that is being made began, in nanoseconds after `made_at`; 0 where there is none.
    began_ns: AtomicU64,
}

/// A commit that is being made.
#[must_use]
pub(crate) struct Running<'a>(&'a AtomicU64);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.store(0, Relaxed);
    }
}

impl Meter {
    pub(crate) fn new() -> Self {
        Self {
            commit_us: Buckets::default(),
            group_items: Buckets::default(),
            made_at: Instant::now(),
            began_ns: AtomicU64::new(0),
        }
    }

    fn now_ns(&self) -> u64 {
        u64::try_from(self.made_at.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// A commit is being made until the guard is dropped.
    pub(crate) fn begin(&self) -> Running<'_> {
        self.began_ns.store(self.now_ns().max(1), Relaxed);
        Running(&self.began_ns)
    }

    pub(crate) fn running_for(&self) -> Option<Duration> {
        let began_ns = self.began_ns.load(Relaxed);
        (began_ns > 0).then(|| Duration::from_nanos(self.now_ns().saturating_sub(began_ns)))
    }

    pub(crate) fn committed(&self, took: Duration, items_count: usize) {
        self.commit_us
            .observe(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
        self.group_items.observe(items_count as u64);
    }

    pub(crate) fn commit_us(&self) -> Distribution {
        self.commit_us.read()
    }

    pub(crate) fn group_items(&self) -> Distribution {
        self.group_items.read()
    }
}
