//! What this process has used so far.

use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::time::{ClockId, clock_gettime};

/// Processor time of all its threads.
pub(crate) fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    // It starts at 0 and rises.
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Bytes that it gave to write calls of any kind.
pub(crate) fn written_bytes() -> Result<u64> {
    field("/proc/self/io", "wchar:")
}

/// What memory it takes, and what it took at most, in KiB.
pub(crate) fn memory_kib() -> Result<(u64, u64)> {
    let status = "/proc/self/status";
    Ok((field(status, "VmRSS:")?, field(status, "VmHWM:")?))
}

/// A number after a name, of a file that the kernel makes up.
fn field(path: &str, name: &str) -> Result<u64> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
    let value = text.lines().find_map(|line| line.strip_prefix(name));
    value
        .and_then(|value| value.split_whitespace().next()?.parse().ok())
        .with_context(|| format!("{path} has no {name}"))
}
