//! The `wharf` binary: arguments, output, exit codes. `serve` runs the host; every other command that talks to
//! a host does so through its HTTP API.

mod arguments;
mod command;
mod components;
mod failure;
mod log;
mod output;

use std::process::ExitCode;

use clap::Parser;

#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let arguments = arguments::Arguments::parse();
    match command::run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
