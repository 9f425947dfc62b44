//! What a backlog costs: the same rounds on a store in which messages wait, in turn with one in which none do; what
//! memory takes that has so many waiting; how soon it is ready again after it was killed.
//!
//! Messages are claimed in the order of acceptance, so that with a backlog each of them is read back from the file. Memory
//! and the start are those of child processes, which have only this store in them.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};

use crate::arguments::Arguments;
use crate::caller::Retention;
use crate::child::{self, Memory};
use crate::engine::wharf::{Does, Wharf};
use crate::median::median;
use crate::sample::Sample;
use crate::work::{Clock, Work};

/// Messages of a round.
pub(crate) const BATCH: usize = 256;

/// Backlogs that are measured on the way to the largest.
const STEPS: [usize; 2] = [1_000, 1_000_000];

/// What a message that waits takes of the file, at most: it grows by doubling, and 1.2 KiB of them are the message's.
const FILE_BYTES_A_MESSAGE: u64 = 2560;

/// Kills, of which the median counts.
const KILLS_COUNT: usize = 3;

/// Rounds with and without so many waiting, by turns.
pub(crate) struct Step {
    pub(crate) waiting_count: usize,
    /// First without, then with.
    pub(crate) rounds: Vec<(Sample, Sample)>,
}

impl Step {
    /// How many times as fast it is with the backlog.
    pub(crate) fn ratio(&self) -> f64 {
        let ratio =
            |(empty, full): &(Sample, Sample)| full.messages_per_s() / empty.messages_per_s();
        median(self.rounds.iter().map(ratio))
    }
}

/// What came of it.
pub(crate) struct Backlog {
    pub(crate) steps: Vec<Step>,
    /// Of a process that opened the store with the largest backlog and worked on it.
    pub(crate) memory: Memory,
    /// From the start of a process to its first claim, after a kill with the largest backlog, in seconds.
    pub(crate) ready_s: Vec<f64>,
    pub(crate) file_mib: f64,
}

pub(crate) fn run(arguments: &Arguments, folder: &Path) -> Result<Backlog> {
    check_room(folder, arguments.backlog as u64 * FILE_BYTES_A_MESSAGE)?;
    let clock = Clock::start();
    let mut work = Work::new(3, clock);
    let path = folder.join("backlog");
    let mut empty = Wharf::open(
        &folder.join("no-backlog"),
        Does::Life,
        Retention::Zero,
        clock,
    )?;
    let mut full = Wharf::open(&path, Does::Life, Retention::Zero, clock)?;
    let mut steps: Vec<Step> = Vec::new();
    let smaller = STEPS.into_iter().filter(|step| *step < arguments.backlog);
    for waiting_count in smaller.chain([arguments.backlog]) {
        let before_count = steps.last().map_or(0, |step| step.waiting_count);
        let started_at = Instant::now();
        full.fill(&mut work, waiting_count - before_count)
            .with_context(|| format!("cannot make {waiting_count} messages wait"))?;
        eprintln!(
            "backlog: {waiting_count} waiting, made in {:.1} s",
            started_at.elapsed().as_secs_f64()
        );
        let mut rounds = Vec::new();
        for _ in 0..arguments.rounds {
            let mut sample =
                |engine: &mut Wharf| Sample::take(engine, &mut work, BATCH, arguments.slice());
            rounds.push((sample(&mut empty)?, sample(&mut full)?));
        }
        steps.push(Step {
            waiting_count,
            rounds,
        });
    }
    empty.close()?;
    full.close()?;
    let memory = child::memory(&path, arguments.slice())?;
    eprintln!("backlog: memory measured");
    let ready_s = (0..KILLS_COUNT)
        .map(|_| child::ready_s(&path))
        .collect::<Result<_>>()?;
    let file_mib = std::fs::metadata(&path)?.len() as f64 / f64::from(1 << 20);
    Ok(Backlog {
        steps,
        memory,
        ready_s,
        file_mib,
    })
}

/// Others may use the disk too: better not to begin than to fill it.
fn check_room(folder: &Path, needed_bytes: u64) -> Result<()> {
    let disk = rustix::fs::statvfs(folder).context("cannot ask how much room the disk has")?;
    let free_bytes = disk.f_bavail * disk.f_frsize;
    ensure!(
        free_bytes > needed_bytes,
        "the backlog needs {} MiB of disk and {} are free: ask for less with --backlog, or name another disk with --data",
        needed_bytes >> 20,
        free_bytes >> 20
    );
    Ok(())
}
