//! One slice: an engine works for a while, and what it did is counted.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::engine::{Engine, Io};
use crate::usage;
use crate::work::Work;

/// Share of a slice that an engine works before it is measured: its caches belong to it again, and its file is warm.
const WARM_UP: u32 = 8;

/// What an engine did in a slice.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    messages_count: u64,
    elapsed: Duration,
    cpu: Duration,
    io: Io,
}

impl Sample {
    /// Lets an engine make rounds of `batch_count` messages until they took `slice`. Only the rounds are timed, not the
    /// making of their messages.
    pub(crate) fn take(
        engine: &mut dyn Engine,
        work: &mut Work,
        batch_count: usize,
        slice: Duration,
    ) -> Result<Self> {
        Self::rounds(engine, work, batch_count, slice / WARM_UP)?;
        Self::rounds(engine, work, batch_count, slice)
    }

    /// All of them as one. What is put off by a commit is paid for by a later one, in bursts that a median would not see.
    pub(crate) fn total<'a>(samples: impl IntoIterator<Item = &'a Self>) -> Option<Self> {
        let add = |one: Self, other: Self| Self {
            messages_count: one.messages_count + other.messages_count,
            elapsed: one.elapsed + other.elapsed,
            cpu: one.cpu + other.cpu,
            io: one.io.and(other.io),
        };
        samples.into_iter().copied().reduce(add)
    }

    fn rounds(
        engine: &mut dyn Engine,
        work: &mut Work,
        batch_count: usize,
        slice: Duration,
    ) -> Result<Self> {
        let (mut messages_count, mut elapsed, mut cpu) = (0, Duration::ZERO, Duration::ZERO);
        let before = engine.io()?;
        while elapsed < slice {
            let mut batch = work.batch(batch_count);
            let (cpu_before, started_at) = (usage::cpu(), Instant::now());
            engine.round(&mut batch)?;
            elapsed += started_at.elapsed();
            cpu += usage::cpu() - cpu_before;
            messages_count += batch_count as u64;
        }
        // What was put off is paid for in processor time and bytes, though not in time.
        let cpu_before = usage::cpu();
        engine.rest();
        cpu += usage::cpu() - cpu_before;
        let io = engine.io()?.since(before);
        Ok(Self {
            messages_count,
            elapsed,
            cpu,
            io,
        })
    }

    pub(crate) fn messages_per_s(&self) -> f64 {
        self.messages_count as f64 / self.elapsed.as_secs_f64()
    }

    pub(crate) fn cpu_us_per_message(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.messages_count as f64
    }

    /// Bytes written for each byte of payload.
    pub(crate) fn amplification(&self) -> f64 {
        let payload_bytes = self.messages_count * crate::work::PAYLOAD_BYTES as u64;
        self.io.written_bytes as f64 / payload_bytes as f64
    }

    /// Not a number where nobody counts them.
    pub(crate) fn syncs_per_commit(&self) -> f64 {
        let syncs_count = self.io.syncs_count.map_or(f64::NAN, |count| count as f64);
        syncs_count / self.io.commits_count as f64
    }

    pub(crate) fn messages_per_commit(&self) -> f64 {
        self.messages_count as f64 / self.io.commits_count as f64
    }
}
