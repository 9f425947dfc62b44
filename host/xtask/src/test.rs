//! `cargo xtask test`: structure, then every test. `cargo xtask ci`: formats and lints first.

use anyhow::Result;

use crate::cargo::{cargo, has_subcommand};
use crate::{setup, tidy};

#[derive(Debug, Default, clap::Args)]
pub(crate) struct Arguments {
    /// Only tests whose name has this in it.
    filter: Option<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    setup::tests()?;
    tidy::run()?;
    // The plugins' pure logic, on this machine's own target.
    cargo(["test", "--quiet", "--manifest-path", "plugins/Cargo.toml"])?;
    // End-to-end tests run the real binary, which no test target builds by itself.
    cargo(["build", "--workspace", "--bins"])?;
    let filter = arguments.filter.as_deref();
    if has_subcommand("nextest") {
        cargo(["nextest", "run", "--workspace"].into_iter().chain(filter))
    } else {
        cargo(
            ["test", "--workspace", "--no-fail-fast"]
                .into_iter()
                .chain(filter),
        )
    }
}

pub(crate) fn ci() -> Result<()> {
    setup::build()?;
    cargo(["fmt", "--all", "--check"])?;
    let instructions = "host/wharf-bench/instructions/Cargo.toml";
    for others in [
        "plugins/Cargo.toml",
        "tests/guests/Cargo.toml",
        instructions,
    ] {
        cargo(["fmt", "--all", "--check", "--manifest-path", others])?;
    }
    cargo([
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "--deny",
        "warnings",
    ])?;
    run(&Arguments::default())
}
