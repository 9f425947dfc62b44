//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

/// Measures the store beside others. The last line is JSON.
#[derive(Debug, Parser)]
#[command(name = "wharf-bench")]
pub(crate) struct Arguments {
    /// Rounds, in each of which everything that is compared gets a slice.
    #[arg(long, default_value_t = 7)]
    pub(crate) rounds: usize,
    /// Length of a slice, in milliseconds.
    #[arg(long, default_value_t = 400)]
    slice_ms: u64,
    /// Where the report goes.
    #[arg(long, default_value = "target/bench/store")]
    pub(crate) out: PathBuf,
    /// Where the engines keep their files: on the disk that is to be measured. In the report's folder by default.
    #[arg(long)]
    pub(crate) data: Option<PathBuf>,
}

impl Arguments {
    pub(crate) fn slice(&self) -> Duration {
        Duration::from_millis(self.slice_ms)
    }
}
