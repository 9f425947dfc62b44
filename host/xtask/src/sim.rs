//! `cargo xtask sim`: power cuts and failing disks against the store, from a seed.

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
    /// Only this store of the run, as a failure prints it.
    #[arg(long)]
    store: Option<u64>,
    /// With this bug put in, which is to be found.
    #[arg(long, conflicts_with = "bugs")]
    bug: Option<String>,
    /// With each bug put in, one after the other.
    #[arg(long)]
    bugs: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let mut words: Vec<String> = ["run", "--package", "wharf-tests", "--bin", "sim", "--"]
        .map(str::to_owned)
        .to_vec();
    words.extend(["--cuts".to_owned(), arguments.cuts.to_string()]);
    for (name, value) in [
        ("--seed", arguments.seed.map(|seed| seed.to_string())),
        ("--store", arguments.store.map(|store| store.to_string())),
        ("--bug", arguments.bug.clone()),
    ] {
        words.extend(value.into_iter().flat_map(|value| [name.to_owned(), value]));
    }
    words.extend(arguments.bugs.then(|| "--bugs".to_owned()));
    cargo(words)
}
