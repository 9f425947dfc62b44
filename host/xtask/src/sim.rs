//! `cargo xtask sim`: power cuts against the store, from a seed.

use anyhow::Result;

use crate::cargo::cargo;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Where chance starts. The same seed makes the same run.
    #[arg(long)]
    seed: Option<u64>,
    /// How many cuts.
    #[arg(long, default_value_t = 10_000)]
    cuts: u64,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let mut words: Vec<String> = ["run", "--package", "wharf-tests", "--bin", "sim", "--"]
        .map(str::to_owned)
        .to_vec();
    words.extend(["--cuts".to_owned(), arguments.cuts.to_string()]);
    if let Some(seed) = arguments.seed {
        words.extend(["--seed".to_owned(), seed.to_string()]);
    }
    cargo(words)
}
