//! Child processes: this program again, with one store in it. They say on a line of their standard output how far they
//! are.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::backlog::BATCH;
use crate::caller::Retention;
use crate::engine::wharf::{Does, Wharf};
use crate::sample::Sample;
use crate::usage;
use crate::work::{Clock, Work};

/// Rounds after which a child is under load.
const LOADED_ROUNDS_COUNT: usize = 32;

/// What a child does with the store in a file.
#[derive(Clone, Debug, clap::Subcommand)]
pub(crate) enum Task {
    /// Works on it for a while, and prints what memory that took.
    #[command(hide = true)]
    Memory { path: PathBuf, slice_ms: u64 },
    /// Works on it until it is killed, and prints a line once it does.
    #[command(hide = true)]
    Load { path: PathBuf },
    /// Prints a line once it has claimed a delivery.
    #[command(hide = true)]
    Claim { path: PathBuf },
}

/// What memory a process takes, in MiB.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// When it had worked for a while.
    pub(crate) resident_mib: f64,
    /// At most, its start included.
    pub(crate) peak_mib: f64,
}

/// The child's part.
pub(crate) fn run(task: &Task) -> Result<()> {
    let clock = Clock::start();
    // Other ids than any process before it had.
    let mut work = Work::new(fastrand::u64(..), clock);
    match task {
        Task::Memory { path, slice_ms } => {
            let mut store = Wharf::open(path, Does::Life, Retention::Zero, clock)?;
            let slice = Duration::from_millis(*slice_ms);
            Sample::take(&mut store, &mut work, BATCH, slice)?;
            let (resident, peak) = usage::memory_kib()?;
            println!("{resident} {peak}");
            store.close()
        }
        Task::Load { path } => {
            let mut store = Wharf::open(path, Does::Life, Retention::Zero, clock)?;
            for _ in 0..LOADED_ROUNDS_COUNT {
                store.turn(&mut work.batch(BATCH))?;
            }
            tell("loaded")?;
            loop {
                store.turn(&mut work.batch(BATCH))?;
            }
        }
        Task::Claim { path } => {
            let store = Wharf::open(path, Does::Life, Retention::Zero, clock)?;
            store.claim_one()?;
            tell("claimed")?;
            store.close()
        }
    }
}

fn tell(line: &str) -> Result<()> {
    let mut out = std::io::stdout();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

/// Has a child open the store and work on it for a while.
pub(crate) fn memory(path: &Path, slice: Duration) -> Result<Memory> {
    let slice_ms = slice.as_millis().to_string();
    let (mut child, line) = start("memory", path, &[&slice_ms])?;
    let ended = child.wait()?;
    ensure!(
        ended.success(),
        "the child that measures memory failed: {ended}"
    );
    let mut numbers = line.split(' ').map(|number| number.parse::<u64>());
    let mut mib = || -> Result<f64> {
        let kib = numbers.next().context("the child said too little")??;
        Ok(kib as f64 / 1024.0)
    };
    Ok(Memory {
        resident_mib: mib()?,
        peak_mib: mib()?,
    })
}

/// Kills a child that works on the store, starts another one, and returns how long that took to its first claim. Whatever
/// the kernel has of the file in memory is still there.
pub(crate) fn ready_s(path: &Path) -> Result<f64> {
    let (mut loaded, _) = start("load", path, &[])?;
    // SIGKILL.
    loaded.kill()?;
    loaded.wait()?;
    let started_at = Instant::now();
    let (mut claimed, _) = start("claim", path, &[])?;
    let ready_s = started_at.elapsed().as_secs_f64();
    let ended = claimed.wait()?;
    ensure!(ended.success(), "the child that claims failed: {ended}");
    Ok(ready_s)
}

/// Starts a child and waits for its line.
fn start(task: &str, path: &Path, more: &[&str]) -> Result<(Child, String)> {
    let mut child = Command::new(std::env::current_exe()?)
        .arg(task)
        .arg(path)
        .args(more)
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start a child")?;
    let out = child.stdout.take().context("a child has no output")?;
    let mut line = String::new();
    BufReader::new(out).read_line(&mut line)?;
    if line.is_empty() {
        let ended = child.wait()?;
        anyhow::bail!("the child `{task}` said nothing: {ended}");
    }
    Ok((child, line.trim_end().to_owned()))
}
