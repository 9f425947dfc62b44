//! How long something takes, counted without a lock.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::Spread;

/// Upper bounds in seconds: those that OpenTelemetry's conventions give for messaging operations.
const BOUNDS_S: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];

/// Durations by size.
#[derive(Debug, Default)]
pub(crate) struct Histogram {
    /// One more than there are bounds: the last one takes the rest.
    counts: [AtomicU64; BOUNDS_S.len() + 1],
    sum_us: AtomicU64,
}

impl Histogram {
    pub(crate) fn observe(&self, took: Duration) {
        let took_s = took.as_secs_f64();
        let bucket = BOUNDS_S.partition_point(|bound| *bound < took_s);
        self.counts[bucket].fetch_add(1, Relaxed);
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.sum_us.fetch_add(took_us, Relaxed);
    }

    pub(crate) fn read(&self) -> Spread {
        let bounds = BOUNDS_S.iter().copied().chain([f64::MAX]);
        Spread {
            sum: self.sum_us.load(Relaxed) as f64 / 1e6,
            buckets: bounds
                .zip(self.counts.iter().map(|count| count.load(Relaxed)))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bound belongs to its bucket, as Prometheus has it; what is above all of them is counted too.
    #[test]
    fn a_duration_is_counted_in_its_bucket() {
        let histogram = Histogram::default();
        for ms in [1, 5, 6, 10_000, 10_001] {
            histogram.observe(Duration::from_millis(ms));
        }
        let Spread { sum, buckets } = histogram.read();
        assert_eq!(sum, 20.013);
        assert_eq!(buckets[0], (0.005, 2));
        assert_eq!(buckets[1], (0.01, 1));
        assert_eq!(buckets[13], (10.0, 1));
        assert_eq!(buckets[14], (f64::MAX, 1));
    }
}
