//! `cargo xtask bench`: measurements, in release builds. Every bench ends with one line of JSON.
//!
//! A bench compares in one run, in turn, since machines are noisy: what is measured and its control alternate, and
//! the medians are reported.

mod e2e;
mod hostile;
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
}

/// Set for the release build of this very command, which does the measuring.
const INNER: &str = "WHARF_XTASK_INNER";

pub(crate) fn run(bench: &Bench) -> Result<()> {
    // Needs neither plugins nor a host.
    if let Bench::Store(arguments) = bench {
        return store::run(arguments);
    }
    if std::env::var_os(INNER).is_none() {
        setup::build()?;
        cargo(["build", "--release", "--workspace", "--bins"])?;
        let inner = root().join("target/release/xtask");
        return run_command(
            Command::new(inner)
                .args(std::env::args_os().skip(1))
                .env(INNER, "1"),
        );
    }
    match bench {
        Bench::E2e(arguments) => e2e::run(arguments),
        Bench::Hostile(arguments) => hostile::run(arguments),
        Bench::Store(arguments) => store::run(arguments),
    }
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
