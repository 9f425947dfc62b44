//! The short form of the power-cut simulation, and the proof that it finds what it is for.

mod cut;
mod model;
mod step;
mod verify;
mod world;

use cut::{Bug, Plan, run};

#[test]
fn nothing_acknowledged_is_lost_whenever_the_power_is_cut() {
    let summary = run(&Plan {
        seed: 20_260_727,
        cuts: 1_000,
        bug: Bug::None,
    })
    .unwrap();
    println!("{summary}");
    // A run that cuts before anything happens, or after everything did, proves nothing.
    assert!(summary.in_flight > 100, "{summary}");
    assert!(summary.in_flight_durable > 5, "{summary}");
    assert!(summary.in_flight_new_run > 50, "{summary}");
    assert!(summary.cut_in_recovery > 50, "{summary}");
}

#[test]
fn an_answer_before_the_commit_is_found() {
    let found = run(&Plan {
        seed: 1,
        cuts: 500,
        bug: Bug::AnswerBeforeCommit,
    })
    .unwrap_err();
    println!("{found}");
}

#[test]
fn a_sync_that_does_nothing_is_found() {
    let found = run(&Plan {
        seed: 1,
        cuts: 500,
        bug: Bug::LyingSync,
    })
    .unwrap_err();
    println!("{found}");
}

#[test]
fn a_lost_run_of_ids_is_found() {
    let found = run(&Plan {
        seed: 1,
        cuts: 500,
        bug: Bug::LoseIdRun,
    })
    .unwrap_err();
    println!("{found}");
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let plan = Plan {
        seed: 7,
        cuts: 100,
        bug: Bug::None,
    };
    assert_eq!(run(&plan).unwrap(), run(&plan).unwrap());
}
