//! The host killed again and again, as a command; `wharf_tests::chaos` says what it is. A scenario runs its short form.

use std::process::ExitCode;

use clap::Parser;
use wharf_tests::chaos::{Plan, Planted, run};

/// Kill the real host under load, start it again, and see whether everything that it answered for is still there.
#[derive(Debug, Parser)]
struct Arguments {
    /// Where chance starts. The same seed sends and kills the same, but no two runs are.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Lives of the host.
    #[arg(long, default_value_t = 200)]
    cycles: u64,
    /// How long a life under load is at most.
    #[arg(long, default_value_t = 2000)]
    life_ms_max: u64,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let plan = Plan {
        seed: arguments.seed,
        cycles: arguments.cycles,
        life_ms_max: arguments.life_ms_max,
        planted: Planted::None,
    };
    match run(&plan) {
        Ok(report) => {
            print!("seed {}: {report}", plan.seed);
            println!("{}", report.json());
            ExitCode::from(u8::from(!report.is_fine()))
        }
        Err(error) => {
            eprintln!("error: seed {}: {error:#}", plan.seed);
            ExitCode::FAILURE
        }
    }
}
