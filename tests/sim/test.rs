//! The short form of the simulation, and the proof that it finds what it is for.

mod ask;
mod bug;
mod claim;
mod failure;
mod killer;
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

use bug::Bug;
use plan::{Asked, Plan};
use run::Found;
use summary::Summary;
use wharf_testkit::backend::Fault;

/// So many stores at once.
const THREADS_COUNT: usize = 2;

fn run(plan: &Plan) -> Result<Summary, Found> {
    run::run(plan, THREADS_COUNT, |_| {})
}

fn plan(words: &str) -> Plan {
    match plan::parse(words.split(' ').map(str::to_owned)) {
        Ok(Asked::Run(plan)) => plan,
        other => panic!("no plan: {other:?}"),
    }
}

#[test]
fn nothing_acknowledged_is_lost_whenever_the_power_is_cut_or_the_disk_fails() {
    let summary = run(&plan("--seed 20260727 --cuts 1000")).unwrap_or_else(|found| {
        panic!("{found}\nagain: cargo xtask sim {}", found.again());
    });
    println!("{summary}");
    // A run that cuts before anything happens, or after everything did, proves nothing.
    assert!(summary.in_flight > 300, "{summary}");
    assert!(summary.in_flight_durable > 5, "{summary}");
    assert!(summary.in_flight_new_run > 50, "{summary}");
    assert!(summary.cut_in_recovery > 100, "{summary}");
    assert!(summary.faults_in_recovery > 100, "{summary}");
    assert!(summary.crashed > 5, "{summary}");
    for fault in Fault::ALL {
        assert!(summary.count(*fault) > 30, "{fault:?}: {summary}");
    }
    assert!(summary.pruned > 250, "{summary}");
    assert!(summary.in_flight_pruning > 20, "{summary}");
    assert!(summary.gaps > 20, "{summary}");
    assert!(summary.updates > 80, "{summary}");
    assert!(summary.conflicts > 25, "{summary}");
}

/// Goal: what kills the process each time is found by two starts and given up, and nothing else is, however many
/// others are out, fail, or are given back meanwhile.
#[test]
fn what_kills_the_process_is_given_up_and_all_else_is_delivered() {
    let mut several_count = 0;
    for seed in 0..300 {
        let ended = killer::live(seed).unwrap_or_else(|what| panic!("seed {seed}: {what}"));
        let found_twice = ended.killers.iter().map(|id| (*id, 2)).collect();
        assert_eq!(ended.dead, found_twice, "seed {seed}: {ended:?}");
        let others_count = ended.all_count - ended.killers.len();
        assert_eq!(
            ended.delivered_count, others_count,
            "seed {seed}: {ended:?}"
        );
        // The first kill is of a process that took no care. From then on a killer is seen twice.
        let kills_max = 1 + 2 * ended.killers.len();
        assert!(ended.kills_count <= kills_max, "seed {seed}: {ended:?}");
        several_count += u64::from(ended.killers.len() > 1);
    }
    assert!(several_count > 50, "{several_count}");
}

/// Goal: a bug is found within the cuts of a usual run, and what is printed then shows the same failure again.
fn check(bug: Bug) {
    let words = format!("--seed 1 --cuts 10000 --bug {}", bug.name());
    let found = run(&plan(&words)).expect_err("it is found");
    println!("{}: {found}", bug.name());
    let again = run(&plan(&found.again())).expect_err("it is found again");
    assert_eq!((again.what, again.store), (found.what, found.store));
    assert_eq!(again.summary.stores, 1);
}

#[test]
fn a_sync_that_does_nothing_is_found() {
    check(Bug::SkipSync);
}

#[test]
fn an_answer_before_the_commit_is_found() {
    check(Bug::AnswerBeforeCommit);
}

#[test]
fn a_dropped_acknowledgement_is_found() {
    check(Bug::DropAcknowledgement);
}

#[test]
fn a_forgotten_fencing_check_is_found() {
    check(Bug::IgnoreFence);
}

#[test]
fn a_lost_run_of_ids_is_found() {
    check(Bug::LoseIdRun);
}

#[test]
fn a_forgotten_due_time_is_found() {
    check(Bug::ForgetDue);
}

#[test]
fn a_dropped_journal_row_is_found() {
    check(Bug::DropJournalRow);
}

#[test]
fn a_forgotten_reserve_is_found() {
    check(Bug::ForgetReserve);
}

#[test]
fn a_forgotten_order_is_found() {
    check(Bug::ForgetOrder);
}

#[test]
fn what_is_removed_too_early_is_found() {
    check(Bug::PruneTooEarly);
}

#[test]
fn an_update_that_stays_is_found() {
    check(Bug::KeepUpdate);
}

#[test]
fn a_change_that_is_not_in_the_log_is_found() {
    check(Bug::LoseLogChange);
}

#[test]
fn the_same_seed_gives_the_same_run_on_any_number_of_threads() {
    let plan = plan("--seed 7 --cuts 200");
    let alone = run::run(&plan, 1, |_| {}).unwrap();
    assert_eq!(run::run(&plan, 3, |_| {}).unwrap(), alone);
}
