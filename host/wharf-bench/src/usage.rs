//! What this process has used so far.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Processor time of all its threads.
pub(crate) fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    // It starts at 0 and rises.
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
