//! What numbers and spans of time in the file may be, each with its reason. What lies outside is a slip, and
//! would end in an overflow, in a wait that never ends, or in a semaphore that nothing passes.

use std::fmt;
use std::time::Duration;

use wharf_plugin::limits;

use crate::limits::FAILOVER_AFTER_MAX;

/// The least, the most, and both in words, as the problem says them.
pub(super) struct Bounds<T> {
    least: T,
    most: T,
    words: &'static str,
}

impl<T: PartialOrd> Bounds<T> {
    pub(super) fn hold(&self, value: &T) -> bool {
        (&self.least..=&self.most).contains(&value)
    }
}

impl<T> fmt::Display for Bounds<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words)
    }
}

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
const MONTH: Duration = Duration::from_secs(30 * 24 * 3600);
/// The least span that is more than none.
const INSTANT: Duration = Duration::from_nanos(1);

/// `api.drain-timeout`. None is a choice: what is in flight is then tried again at the next start.
pub(super) const DRAIN_TIMEOUT: Bounds<Duration> = Bounds {
    least: Duration::ZERO,
    most: DAY,
    words: "0s to 24h",
};

/// The ages of `[store]`. None is a choice: what ended is removed at once.
pub(super) const RETENTION: Bounds<Duration> = Bounds {
    least: Duration::ZERO,
    most: Duration::from_secs(100 * 365 * 24 * 3600),
    words: "0s to 36500d",
};

/// `api.threads`: more than there are in most machines have nothing to do but wait for the store.
pub(super) const API_THREADS: Bounds<usize> = Bounds {
    least: 1,
    most: 64,
    words: "1 to 64",
};

/// `channel.timeout`: an exchange that takes a day has broken off long before.
pub(super) const CHANNEL_TIMEOUT: Bounds<Duration> = Bounds {
    least: INSTANT,
    most: DAY,
    words: "more than 0s and at most 24h",
};

/// `channel.receipt-grace`: what is not known after a week never will be.
pub(super) const RECEIPT_GRACE: Bounds<Duration> = Bounds {
    least: Duration::ZERO,
    most: Duration::from_secs(7 * 24 * 3600),
    words: "at most 7d",
};

/// `plugins.NAME.timeout`: what the plugin crate gives at most.
pub(super) const PLUGIN_TIMEOUT: Bounds<Duration> = Bounds {
    least: INSTANT,
    most: limits::CALL_TIMEOUT_CEILING,
    words: "more than 0s and at most 1h",
};

/// `retry.base`, `retry.max` and `retry.max-age`: no receiver is waited for longer than a month.
pub(super) const RETRY_WAIT: Bounds<Duration> = Bounds {
    least: INSTANT,
    most: MONTH,
    words: "more than 0s and at most 720h (30 days)",
};

/// One wait of `retry.schedule`, where the first attempts may follow at once.
pub(super) const SCHEDULE_WAIT: Bounds<Duration> = Bounds {
    least: Duration::ZERO,
    most: MONTH,
    words: "0s to 720h (30 days)",
};

/// `plugins.NAME.memory-max`: from one page of linear memory to what the plugin crate gives at most.
pub(super) const MEMORY_BYTES: Bounds<u64> = Bounds {
    least: 64 << 10,
    most: limits::MEMORY_BYTES_CEILING,
    words: "64KiB to 1GiB",
};

/// `plugins.NAME.output-max`: from the smallest message with room to spare to more than the largest one.
pub(super) const OUTPUT_BYTES: Bounds<u64> = Bounds {
    least: 64 << 10,
    most: 1 << 30,
    words: "64KiB to 1GiB",
};

/// `plugins.NAME.http-calls-max`: each may hold a connection and two bodies.
pub(super) const HTTP_CALLS_MAX: Bounds<usize> = Bounds {
    least: 1,
    most: 10_000,
    words: "1 to 10000",
};

/// `plugins.NAME.log-lines-per-second`: more than any disk takes.
pub(super) const LOG_LINES_PER_SECOND: Bounds<u32> = Bounds {
    least: 1,
    most: 1_000_000,
    words: "1 to 1000000",
};

/// `plugins.instances-max` and `plugins.NAME.instances-max`. The most is what no machine's memory holds: an
/// instance takes megabytes.
pub(super) const INSTANCES_MAX: Bounds<usize> = Bounds {
    least: 1,
    most: 100_000,
    words: "1 to 100000",
};

/// `plugins.compile-timeout`: less would refuse what is slow only because the machine is busy.
pub(super) const COMPILE_TIMEOUT: Bounds<Duration> = Bounds {
    least: Duration::from_secs(1),
    most: HOUR,
    words: "1s to 1h",
};

/// `plugins.compile-memory-max`: from what the program itself and a small component take, to what no component needs.
pub(super) const COMPILE_MEMORY_BYTES: Bounds<u64> = Bounds {
    least: 256 << 20,
    most: 64 << 30,
    words: "256MiB to 64GiB",
};

/// `route.failover-after`
pub(super) const FAILOVER_AFTER: Bounds<u32> = Bounds {
    least: 1,
    most: FAILOVER_AFTER_MAX,
    words: "1 to 1000",
};

/// `channel.parallelism`. The most is more connections to one receiver than there are ports to open them from.
pub(super) const PARALLELISM: Bounds<usize> = Bounds {
    least: 1,
    most: 100_000,
    words: "1 to 100000",
};

/// `channel.rate` and `channel.lane-rate`: the most is more than any receiver takes.
pub(super) const RATE_COUNT: Bounds<u32> = Bounds {
    least: 1,
    most: 1_000_000,
    words: "1 to 1000000 in its time",
};

/// `channel.breaker.failures`. None is a choice: it never opens.
pub(super) const BREAKER_FAILURES: Bounds<u32> = Bounds {
    least: 0,
    most: 1_000_000,
    words: "0 to 1000000",
};

/// `channel.breaker.wait` and `wait-max`: who is gone for a day is better paused.
pub(super) const BREAKER_WAIT: Bounds<Duration> = Bounds {
    least: Duration::from_millis(1),
    most: DAY,
    words: "1ms to 24h",
};

/// `channel.breaker.probes`: many more are no probes any more.
pub(super) const BREAKER_PROBES: Bounds<u32> = Bounds {
    least: 1,
    most: 1000,
    words: "1 to 1000",
};

// The words above say these in figures.
const _: () = assert!(
    limits::CALL_TIMEOUT_CEILING.as_secs() == HOUR.as_secs()
        && limits::MEMORY_BYTES_CEILING == 1 << 30
        && FAILOVER_AFTER_MAX == 1000
);
