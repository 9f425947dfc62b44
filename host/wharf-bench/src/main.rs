//! What the store's layout costs, measured: `cargo xtask bench store`.
//!
//! It drives the public commands of [`wharf_store::Store`], with its real writer thread on a real file, in turn with a
//! control that only writes and syncs. No host runs and no network is used.
//!
//! Machines are noisy, so nothing is compared with what was measured at another time: whatever is compared gets a slice
//! of each round, in the same process, and medians over rounds are reported. Only the engines' own work is timed; making
//! messages is not.
//!
//! What it cannot show: a cold page cache, or a disk whose own cache a power cut would reach. [`control`] is the measure
//! of that disk, and shares its luck.

mod arguments;
mod backlog;
mod caller;
mod child;
mod closed_loop;
mod disk;
mod engine;
mod lifecycle;
mod median;
mod report;
mod sample;
mod usage;
mod work;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};
use clap::Parser as _;

use crate::arguments::{Arguments, Part};
use crate::report::Report;

#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    if let Some(task) = &arguments.task {
        return child::run(task);
    }
    std::fs::create_dir_all(&arguments.out)
        .with_context(|| format!("cannot make {}", arguments.out.display()))?;
    let mut failures_count = 0;
    let report = Report {
        lifecycle: part(
            arguments,
            Part::Lifecycle,
            lifecycle::run,
            &mut failures_count,
        ),
        closed_loop: part(
            arguments,
            Part::ClosedLoop,
            closed_loop::run,
            &mut failures_count,
        ),
        backlog: part(arguments, Part::Backlog, backlog::run, &mut failures_count),
    };
    report.save(&arguments.out)?;
    println!("{}", report.tables());
    println!("saved in {}", arguments.out.display());
    println!("{}", report.figures());
    ensure!(failures_count == 0, "{failures_count} parts failed");
    Ok(())
}

/// Runs a part, if it is wanted. A part that fails does not take the others' figures along.
fn part<T>(
    arguments: &Arguments,
    part: Part,
    run: impl FnOnce(&Arguments, &Path) -> Result<T>,
    failures_count: &mut u32,
) -> Option<T> {
    if !arguments.has(part) {
        return None;
    }
    match in_folder(arguments, run) {
        Ok(done) => Some(done),
        Err(cause) => {
            eprintln!("{part:?} failed: {cause:#}");
            *failures_count += 1;
            None
        }
    }
}

/// Lends a part a folder on the disk that is measured, which goes when it is done.
fn in_folder<T>(
    arguments: &Arguments,
    run: impl FnOnce(&Arguments, &Path) -> Result<T>,
) -> Result<T> {
    let data = arguments.data.as_ref().unwrap_or(&arguments.out);
    let folder = tempfile::Builder::new()
        .prefix("data-")
        .tempdir_in(data)
        .with_context(|| format!("cannot make a folder in {}", data.display()))?;
    run(arguments, folder.path())
}
