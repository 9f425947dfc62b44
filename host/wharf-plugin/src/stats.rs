//! What is counted of a plugin, over all of its bindings and of its files: the counts go on when a new file of the
//! same name is loaded. All of it is atomics, a few nanoseconds a call.

use std::array;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use crate::fault::{FaultKind, PluginFault};
use crate::hook::Hook;

/// Upper bounds of the latency buckets; one more counts what took longer. Decades: a Rust guest answers within
/// microseconds, a channel that does its own I/O within seconds.
pub const LATENCY_BUCKETS: [Duration; 7] = [
    Duration::from_micros(10),
    Duration::from_micros(100),
    Duration::from_millis(1),
    Duration::from_millis(10),
    Duration::from_millis(100),
    Duration::from_secs(1),
    Duration::from_secs(10),
];

/// What was counted of a plugin, at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginStats {
    /// Calls by hook, those that ended in a fault included; a call that its caller gave up is not counted.
    pub calls: Vec<(Hook, CallStats)>,
    /// Faults by kind, those that a guest survived included.
    pub faults: Vec<(FaultKind, u64)>,
    /// Instances alive, idle ones included.
    pub instances_live: usize,
    /// Instances that were let go of after a clean call: grown old, or grown large.
    pub instances_retired: u64,
    /// Lines of its log that were dropped because it logs faster than its limit.
    pub log_lines_dropped: u64,
}

/// How long the calls of one hook took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CallStats {
    /// How many there were.
    pub count: u64,
    /// How long they took together, waiting for an instance excluded.
    pub sum: Duration,
    /// How many fell into each of [`LATENCY_BUCKETS`], and how many took longer than the last.
    pub buckets: [u64; LATENCY_BUCKETS.len() + 1],
}

#[derive(Default)]
pub(crate) struct Stats {
    calls: [Calls; Hook::ALL.len()],
    faults: [AtomicU64; FaultKind::ALL.len()],
    instances_live: AtomicUsize,
    instances_retired: AtomicU64,
    log_lines_dropped: AtomicU64,
}

#[derive(Default)]
struct Calls {
    sum_ns: AtomicU64,
    buckets: [AtomicU64; LATENCY_BUCKETS.len() + 1],
}

impl Stats {
    pub(crate) fn call(&self, hook: Hook, took: Duration) {
        let calls = &self.calls[hook as usize];
        let bucket = LATENCY_BUCKETS.iter().position(|bound| took <= *bound);
        calls.buckets[bucket.unwrap_or(LATENCY_BUCKETS.len())].fetch_add(1, Relaxed);
        let took = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        calls.sum_ns.fetch_add(took, Relaxed);
    }

    pub(crate) fn fault(&self, fault: &PluginFault) {
        self.faults[fault.kind() as usize].fetch_add(1, Relaxed);
    }

    pub(crate) fn retired(&self) {
        self.instances_retired.fetch_add(1, Relaxed);
    }

    pub(crate) fn log_line_dropped(&self) {
        self.log_lines_dropped.fetch_add(1, Relaxed);
    }

    /// Counts one instance for as long as the guard lives.
    pub(crate) fn live(self: &Arc<Self>) -> Live {
        self.instances_live.fetch_add(1, Relaxed);
        Live(Arc::clone(self))
    }

    pub(crate) fn snapshot(&self) -> PluginStats {
        let calls = Hook::ALL.map(|hook| (hook, self.calls[hook as usize].snapshot()));
        let faults = FaultKind::ALL.map(|kind| (kind, self.faults[kind as usize].load(Relaxed)));
        PluginStats {
            calls: calls.into_iter().filter(|(_, c)| c.count > 0).collect(),
            faults: faults.into_iter().filter(|(_, count)| *count > 0).collect(),
            instances_live: self.instances_live.load(Relaxed),
            instances_retired: self.instances_retired.load(Relaxed),
            log_lines_dropped: self.log_lines_dropped.load(Relaxed),
        }
    }
}

impl Calls {
    fn snapshot(&self) -> CallStats {
        let buckets = array::from_fn(|bucket| self.buckets[bucket].load(Relaxed));
        CallStats {
            count: buckets.iter().sum(),
            sum: Duration::from_nanos(self.sum_ns.load(Relaxed)),
            buckets,
        }
    }
}

/// See [`Stats::live`].
pub(crate) struct Live(Arc<Stats>);

impl Drop for Live {
    fn drop(&mut self) {
        self.0.instances_live.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bound belongs to its bucket; what is above the last has one of its own.
    #[test]
    fn calls_fall_into_buckets() {
        let stats = Stats::default();
        for took in [
            Duration::ZERO,
            Duration::from_micros(10),
            Duration::from_micros(11),
            Duration::from_secs(10),
            Duration::from_secs(11),
        ] {
            stats.call(Hook::Converter, took);
        }
        let calls = stats.snapshot().calls;
        let [(Hook::Converter, converter)] = calls[..] else {
            panic!("{calls:?}")
        };
        assert_eq!(converter.count, 5);
        assert_eq!(converter.buckets, [2, 1, 0, 0, 0, 0, 1, 1]);
        assert_eq!(
            converter.sum,
            Duration::from_secs(21) + Duration::from_micros(21)
        );
    }
}
