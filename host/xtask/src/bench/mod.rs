//! `cargo xtask bench`: measurements, in release builds. Every bench ends with one line of JSON.
//!
//! A bench compares in one run, in turn, since machines are noisy: what is measured and its control alternate, and
//! the medians are reported.

mod e2e;
mod hostile;
mod instructions;
mod load;
mod rig;
mod store;

use std::process::Command;

use anyhow::Result;

use crate::cargo::{cargo, run as run_command};
use crate::{root, setup};

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Bench {
    /// Accept → four hooks → HTTP delivery → settled, beside the raw loopback exchange rate.
    E2e(e2e::Arguments),
    /// What misbehaving plugins cost the channels beside them.
    Hostile(hostile::Arguments),
    /// The store, beside what only writes and syncs, and beside other engines.
    Store(store::Arguments),
    /// How many instructions the store's commands take.
    Instructions,
}

/// Set for the release build of this very command, which does the measuring.
const INNER: &str = "WHARF_XTASK_INNER";

pub(crate) fn run(bench: &Bench) -> Result<()> {
    match bench {
        Bench::E2e(arguments) => in_release(|| e2e::run(arguments)),
        Bench::Hostile(arguments) => in_release(|| hostile::run(arguments)),
        Bench::Store(arguments) => store::run(arguments),
        Bench::Instructions => instructions::run(),
    }
}

/// Measures in the release build of this very command, with the host's beside it.
fn in_release(measure: impl FnOnce() -> Result<()>) -> Result<()> {
    if std::env::var_os(INNER).is_some() {
        return measure();
    }
    setup::build()?;
    cargo(["build", "--release", "--workspace", "--bins"])?;
    let inner = root().join("target/release/xtask");
    run_command(
        Command::new(inner)
            .args(std::env::args_os().skip(1))
            .env(INNER, "1"),
    )
}

/// The middle one of a value over all rounds; of an even count the lower middle.
fn median_of<R>(rounds: &[R], value: fn(&R) -> f64) -> f64 {
    let mut values: Vec<f64> = rounds.iter().map(value).collect();
    values.sort_by(f64::total_cmp);
    values
        .get(values.len().saturating_sub(1) / 2)
        .copied()
        .unwrap_or(f64::NAN)
}

fn round3(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
