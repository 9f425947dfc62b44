//! `cargo xtask chaos`: the real host, release build, killed again and again under load.

use std::process::Command;

use anyhow::Result;

use crate::cargo::{cargo, run as run_command};
use crate::{root, setup};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Where chance starts. The same seed sends and kills the same, but no two runs are.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Lives of the host, each of which ends with a kill or, now and then, a stop.
    #[arg(long, default_value_t = 200)]
    cycles: u64,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    setup::build()?;
    cargo(["build", "--release", "--workspace", "--bins"])?;
    // From beside the host that it kills.
    let mut command = Command::new(root().join("target/release/chaos"));
    command.args(["--seed", &arguments.seed.to_string()]);
    command.args(["--cycles", &arguments.cycles.to_string()]);
    run_command(&mut command)
}
