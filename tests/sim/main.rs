//! The store's simulation of power cuts and failing disks, as a command. The tests run its short form.

mod ask;
mod bug;
mod claim;
mod failure;
mod life;
mod look;
mod model;
mod operate;
mod plan;
mod prune;
mod run;
mod step;
mod summary;
mod update;
mod verify;
mod world;

use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use bug::Bug;
use plan::{Asked, Plan};
use summary::Summary;

const USAGE: &str = "usage: sim [--seed N] [--cuts N] [--store N] [--bug NAME | --bugs]";

/// How often a long run says that it is one.
const PROGRESS_EVERY: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    let is_as_expected = match plan::parse(std::env::args().skip(1)) {
        Ok(Asked::Run(plan)) => run(&plan),
        Ok(Asked::EachBug(plan)) => Bug::ALL.iter().fold(true, |is_so_far, bug| {
            let plan = Plan {
                bug: Some(*bug),
                ..plan.clone()
            };
            run(&plan) && is_so_far
        }),
        Err(problem) => {
            eprintln!("error: {problem}; {USAGE}");
            return ExitCode::from(2);
        }
    };
    if is_as_expected {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Whether nothing is found; with a bug, whether it is.
fn run(plan: &Plan) -> bool {
    let threads_count = thread::available_parallelism().map_or(1, usize::from);
    let started_at = Instant::now();
    let outcome = run::run(plan, threads_count, progress(plan.cuts));
    let took = started_at.elapsed().as_secs_f64();
    let name = plan.bug.map(Bug::name);
    match (outcome, name) {
        (Ok(summary), None) => {
            println!(
                "seed {}: {summary}: nothing acknowledged was lost",
                plan.seed
            );
            println!("{took:.1} s, {:.0} cuts/s", summary.cuts as f64 / took);
            true
        }
        (Ok(summary), Some(name)) => {
            eprintln!(
                "error: {name} was not found, with seed {}: {summary}",
                plan.seed
            );
            false
        }
        (Err(found), None) => {
            eprintln!("error: {found}");
            eprintln!("again: cargo xtask sim {}", found.again());
            false
        }
        (Err(found), Some(name)) => {
            println!("{name} is found: {found}");
            println!("again: cargo xtask sim {}", found.again());
            true
        }
    }
}

fn progress(cuts: u64) -> impl FnMut(&Summary) {
    let mut told_at = Instant::now();
    move |summary| {
        if told_at.elapsed() >= PROGRESS_EVERY {
            told_at = Instant::now();
            eprintln!("{} of {cuts} cuts", summary.cuts);
        }
    }
}
