//! The store's power-cut simulation, as a command: `sim [--seed N] [--cuts N]`. The tests run its short form.

mod cut;
mod model;
mod prune;
mod step;
mod verify;
mod world;

use std::process::ExitCode;
use std::time::Instant;

use cut::{Bug, Plan};

/// What is run where nothing else is asked for: the depth that a release is held to.
const CUTS_DEFAULT: u64 = 10_000;

fn main() -> ExitCode {
    let plan = match parse(std::env::args().skip(1)) {
        Ok(plan) => plan,
        Err(usage) => {
            eprintln!("error: {usage}; usage: sim [--seed N] [--cuts N]");
            return ExitCode::from(2);
        }
    };
    let started_at = Instant::now();
    match cut::run(&plan) {
        Ok(summary) => {
            let took = started_at.elapsed().as_secs_f64();
            println!("seed {}: {summary}", plan.seed);
            println!("{took:.1} s, {:.0} cuts/s", summary.cuts as f64 / took);
            ExitCode::SUCCESS
        }
        Err(found) => {
            eprintln!("error: {found}");
            eprintln!(
                "again: cargo run -p wharf-tests --bin sim -- --seed {} --cuts {}",
                plan.seed, plan.cuts
            );
            ExitCode::FAILURE
        }
    }
}

fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Plan, String> {
    let mut plan = Plan {
        seed: 1,
        cuts: CUTS_DEFAULT,
        bug: Bug::None,
    };
    while let Some(name) = arguments.next() {
        let value = arguments.next().ok_or(format!("{name} takes a number"))?;
        let value = value
            .parse()
            .map_err(|_| format!("{value:?} is no number"))?;
        match name.as_str() {
            "--seed" => plan.seed = value,
            "--cuts" => plan.cuts = value,
            _ => return Err(format!("unknown argument {name:?}")),
        }
    }
    Ok(plan)
}
