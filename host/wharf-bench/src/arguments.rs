//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use crate::child::Task;

/// Measures the store beside others. The last line is JSON.
#[derive(Debug, Parser)]
#[command(name = "wharf-bench", args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    /// What a child of the bench does.
    #[command(subcommand)]
    pub(crate) task: Option<Task>,
    /// Rounds, in each of which everything that is compared gets a slice.
    #[arg(long, default_value_t = 7, value_parser = at_least_one)]
    pub(crate) rounds: usize,
    /// Length of a slice, in milliseconds.
    #[arg(long, default_value_t = 400)]
    slice_ms: u64,
    /// Messages that wait in the largest backlog. They take up to 2.5 KiB of disk each.
    #[arg(long, default_value_t = 5_000_000, value_parser = at_least_one)]
    pub(crate) backlog: usize,
    /// Only these parts.
    #[arg(long, value_delimiter = ',')]
    only: Vec<Part>,
    /// Where the report goes.
    #[arg(long, default_value = "target/bench/store")]
    pub(crate) out: PathBuf,
    /// Where the engines keep their files: on the disk that is to be measured. In the report's folder by default.
    #[arg(long)]
    pub(crate) data: Option<PathBuf>,
}

/// A part of the bench.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Part {
    /// Rounds of enqueuing, reading and acknowledging, in turn with other engines.
    Lifecycle,
    /// Producers that each wait for their answer.
    ClosedLoop,
    /// What a backlog costs.
    Backlog,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("it takes at least 1".to_owned()),
        Ok(number) => Ok(number),
        Err(cause) => Err(format!("{cause}")),
    }
}

impl Arguments {
    pub(crate) fn has(&self, part: Part) -> bool {
        self.only.is_empty() || self.only.contains(&part)
    }

    pub(crate) fn slice(&self) -> Duration {
        Duration::from_millis(self.slice_ms)
    }
}
