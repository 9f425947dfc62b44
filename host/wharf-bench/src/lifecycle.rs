//! Rounds of enqueuing, reading and acknowledging, in batches of several sizes.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::arguments::Arguments;
use crate::caller::Retention;
use crate::engine::Engine;
use crate::engine::control::Control;
use crate::engine::fjall::Fjall;
use crate::engine::plain;
use crate::engine::row::RowLayout;
use crate::engine::sqlite::Sqlite;
use crate::engine::wharf::{Does, Wharf};
use crate::median::median;
use crate::sample::Sample;
use crate::work::{Clock, Work};

/// Messages of a round.
pub(crate) const BATCHES: [usize; 4] = [1, 64, 256, 1024];

/// Who takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// Writes and syncs, and nothing else.
    Control,
    /// Our store, which only accepts. Its file is new in each slice, since it would only ever grow.
    Enqueue,
    /// Our store, which removes what has ended.
    Wharf,
    /// Our store, which keeps what has ended.
    WharfKeeps,
    /// A row a message, on the engine that ours is built on.
    Row,
    /// SQLite.
    Sqlite,
    /// fjall.
    Fjall,
}

impl Who {
    pub(crate) const ALL: [Self; 7] = [
        Self::Control,
        Self::Enqueue,
        Self::Wharf,
        Self::WharfKeeps,
        Self::Row,
        Self::Sqlite,
        Self::Fjall,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::Enqueue => "wharf enqueue",
            Self::Wharf => "wharf, retention 0",
            Self::WharfKeeps => "wharf, kept for a week",
            Self::Row => "redb, a row a message",
            Self::Sqlite => "SQLite",
            Self::Fjall => "fjall",
        }
    }
}

/// What came of it: a sample for each round, batch and engine.
pub(crate) struct Lifecycle {
    samples: Vec<(usize, Who, Sample)>,
}

impl Lifecycle {
    /// The samples of an engine at a batch size, in the order of rounds.
    pub(crate) fn samples(&self, batch: usize, who: Who) -> impl Iterator<Item = &Sample> {
        let of = move |(of_batch, of_who, _): &&(usize, Who, Sample)| {
            *of_batch == batch && *of_who == who
        };
        self.samples.iter().filter(of).map(|(_, _, sample)| sample)
    }

    /// How many times as fast one is as another: the median of what it was in each round.
    pub(crate) fn ratio(&self, batch: usize, who: Who, to: Who) -> f64 {
        let both = self.samples(batch, who).zip(self.samples(batch, to));
        median(both.map(|(one, other)| one.messages_per_s() / other.messages_per_s()))
    }
}

pub(crate) fn run(arguments: &Arguments, folder: &Path) -> Result<Lifecycle> {
    let clock = Clock::start();
    let mut work = Work::new(1, clock);
    let life = |name, retention| Wharf::open(&folder.join(name), Does::Life, retention, clock);
    let mut bench = Bench {
        control: Control::open(folder, plain::message(&work.message()).len())?,
        wharf: life("life", Retention::Zero)?,
        wharf_keeps: life("life-kept", Retention::Week)?,
        row: RowLayout::open(folder, clock)?,
        sqlite: Sqlite::open(folder, clock)?,
        fjall: Fjall::open(folder, clock)?,
        folder,
        clock,
    };
    let mut samples = Vec::new();
    for round in 0..arguments.rounds {
        for batch in BATCHES {
            // Everyone comes after everyone else in some round.
            for turn in 0..Who::ALL.len() {
                let who = Who::ALL[(turn + round) % Who::ALL.len()];
                let sample = bench
                    .sample(who, &mut work, batch, arguments.slice())
                    .with_context(|| format!("{} failed at batch {batch}", who.name()))?;
                samples.push((batch, who, sample));
            }
        }
        eprintln!("lifecycle: {} of {} rounds", round + 1, arguments.rounds);
    }
    bench.wharf.close()?;
    bench.wharf_keeps.close()?;
    Ok(Lifecycle { samples })
}

struct Bench<'a> {
    control: Control,
    wharf: Wharf,
    wharf_keeps: Wharf,
    row: RowLayout,
    sqlite: Sqlite,
    fjall: Fjall,
    folder: &'a Path,
    clock: Clock,
}

impl Bench<'_> {
    fn sample(
        &mut self,
        who: Who,
        work: &mut Work,
        batch: usize,
        slice: Duration,
    ) -> Result<Sample> {
        let engine: &mut dyn Engine = match who {
            Who::Control => &mut self.control,
            Who::Enqueue => return self.enqueue(work, batch, slice),
            Who::Wharf => &mut self.wharf,
            Who::WharfKeeps => &mut self.wharf_keeps,
            Who::Row => &mut self.row,
            Who::Sqlite => &mut self.sqlite,
            Who::Fjall => &mut self.fjall,
        };
        Sample::take(engine, work, batch, slice)
    }

    fn enqueue(&self, work: &mut Work, batch: usize, slice: Duration) -> Result<Sample> {
        let path = self.folder.join("enqueue");
        let mut store = Wharf::open(&path, Does::Enqueue, Retention::Week, self.clock)?;
        let sample = Sample::take(&mut store, work, batch, slice)?;
        store.close()?;
        std::fs::remove_file(path)?;
        Ok(sample)
    }
}
