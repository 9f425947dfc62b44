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
mod disk;
mod engine;
mod lifecycle;
mod report;
mod sample;
mod usage;
mod work;

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Parser as _;

use crate::arguments::Arguments;

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
    std::fs::create_dir_all(&arguments.out)
        .with_context(|| format!("cannot make {}", arguments.out.display()))?;
    let data = arguments.data.as_ref().unwrap_or(&arguments.out);
    // Gone when the run ends, however it ends.
    let data = tempfile::Builder::new()
        .prefix("data-")
        .tempdir_in(data)
        .with_context(|| format!("cannot make a folder in {}", data.display()))?;
    let lifecycle = lifecycle::run(arguments, data.path()).context("the lifecycle bench failed")?;
    let table = report::table(&lifecycle);
    println!("{table}");
    println!("{}", report::figures(&lifecycle));
    Ok(())
}
