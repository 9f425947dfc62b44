//! The project's own commands: `cargo xtask <command>`.

mod bench;
mod cargo;
mod chaos;
mod demo;
mod setup;
mod sim;
mod test;
mod tidy;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The project's own commands.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Build everything and watch a host deliver a few hundred real messages.
    Demo,
    /// Run every check: formats, structure, all tests. Sets up what it needs.
    Test(test::Arguments),
    /// Formats and lints, then `test`.
    Ci,
    /// Build the shipped plugins into target/plugins.
    Plugins,
    /// Check the structure: who may name what, sizes, paths.
    Tidy,
    /// Simulate power cuts against the store.
    Sim(sim::Arguments),
    /// Kill the real host under load, again and again, and see whether anything is lost.
    Chaos(chaos::Arguments),
    /// Measure. Every bench ends with one line of JSON.
    #[command(subcommand)]
    Bench(bench::Bench),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Demo => demo::run(),
        Command::Test(arguments) => test::run(&arguments),
        Command::Ci => test::ci(),
        Command::Plugins => setup::plugins(),
        Command::Tidy => tidy::run(),
        Command::Sim(arguments) => sim::run(&arguments),
        Command::Chaos(arguments) => chaos::run(&arguments),
        Command::Bench(bench) => bench::run(&bench),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The repository's top folder.
fn root() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.ancestors()
        .nth(2)
        .expect("xtask is at host/xtask")
        .to_path_buf()
}
