//! `cargo xtask bench store`: what the store's layout costs, beside a control and other engines. `host/wharf-bench` does
//! the measuring: it has the other engines' dependencies, which nothing else is to have.

use anyhow::Result;

use crate::cargo::cargo;
use crate::setup;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Passed on; `-- --help` says what there is.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    setup::make()?;
    let words = ["run", "--release", "--package", "wharf-bench", "--"];
    let passed_on = arguments.arguments.iter().map(String::as_str);
    cargo(words.into_iter().chain(passed_on))
}
