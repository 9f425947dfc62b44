//! How long a guest has computed in one call.
//!
//! A `channel` does its own I/O: its call may wait for long, and yet must not spin for long. Guest code runs only while
//! the call's future is being polled, and a wait in a host function is a poll that ended, so the time spent in polls
//! is the time computed. The epoch asks for it while the guest runs; see `instance.rs`.
//!
//! What a system thread did while the guest was scheduled out in the middle of a poll is charged too.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// The clock of one instance. Only the thread that polls the call touches it: the atomics are there to share it
/// between the store and the future that borrows the store.
pub(crate) struct Computing {
    limit: Duration,
    zero: Instant,
    /// In finished polls, in nanoseconds.
    spent: AtomicU64,
    /// When the running poll began, in nanoseconds since `zero`; [`IDLE`] between polls.
    began: AtomicU64,
}

const IDLE: u64 = u64::MAX;

impl Computing {
    pub(crate) fn new(limit: Duration) -> Arc<Computing> {
        Arc::new(Computing {
            limit,
            zero: Instant::now(),
            spent: AtomicU64::new(0),
            began: AtomicU64::new(IDLE),
        })
    }

    /// Begins a new call.
    pub(crate) fn reset(&self) {
        self.spent.store(0, Relaxed);
        self.began.store(IDLE, Relaxed);
    }

    /// Whether the guest has computed for longer than it may.
    pub(crate) fn is_spent(&self) -> bool {
        let running = match self.began.load(Relaxed) {
            IDLE => 0,
            began => self.now().saturating_sub(began),
        };
        u128::from(self.spent.load(Relaxed) + running) >= self.limit.as_nanos()
    }

    /// A poll of the call's future begins.
    pub(crate) fn start(&self) {
        self.began.store(self.now(), Relaxed);
    }

    /// It has ended.
    pub(crate) fn stop(&self) {
        let began = self.began.swap(IDLE, Relaxed);
        self.spent
            .fetch_add(self.now().saturating_sub(began), Relaxed);
    }

    fn now(&self) -> u64 {
        u64::try_from(self.zero.elapsed().as_nanos()).unwrap_or(IDLE - 1)
    }
}

#[cfg(test)]
mod tests {
    use std::hint::spin_loop;

    use super::*;

    const LIMIT: Duration = Duration::from_millis(200);

    fn spin() {
        let end = Instant::now() + LIMIT;
        while Instant::now() < end {
            spin_loop();
        }
    }

    /// Time between polls is not charged; time within one is, also while it goes on.
    #[test]
    fn waiting_is_free_and_computing_is_not() {
        let clock = Computing::new(LIMIT);
        clock.start();
        clock.stop();
        spin();
        clock.start();
        clock.stop();
        assert!(!clock.is_spent());

        clock.start();
        spin();
        assert!(clock.is_spent());
        clock.stop();
        assert!(clock.is_spent());
        clock.reset();
        assert!(!clock.is_spent());
    }
}
