use wharf_tests::chaos::{Plan, Planted, Report, run};

fn report(seed: u64, cycles: u64, planted: Planted) -> Report {
    let plan = Plan {
        seed,
        cycles,
        life_ms_max: 500,
        planted,
    };
    let report = run(&plan).unwrap_or_else(|error| panic!("seed {seed}: {error:#}"));
    println!("seed {seed}: {report}");
    report
}

/// Goal (A1, A6, D3, D8): the host is killed under load, also while it starts, over one file. What it had answered for is
/// there, whole, and stands as its receiver has it; what it had not answered is there whole or not at all. `cargo xtask
/// chaos` is the long form.
#[test]
fn whatever_it_had_answered_for() {
    let report = report(20_261_124, 8, Planted::None);
    assert!(report.is_fine(), "{report}");
    // A run without load or kills would prove nothing.
    assert!(report.accepted_count > 100, "{report}");
    assert!(report.unknown_count > 0, "{report}");
    assert!(report.starts_killed > 0, "{report}");
}

/// Goal: the run above can fail. A file that has forgotten its last life is found, by ids and by what stands otherwise
/// than was answered.
#[test]
fn and_a_loss_is_found() {
    let report = report(1, 3, Planted::OldFile);
    assert!(!report.lost.is_empty(), "{report}");
    assert!(!report.is_fine());
}

/// Goal: so is a delivery that is said to be delivered and that no receiver has seen.
#[test]
fn and_what_never_arrived_is_found() {
    let report = report(1, 3, Planted::LostReceipts);
    let unseen = |what: &String| what.contains("has not seen it");
    assert!(report.unexplained.iter().any(unseen), "{report}");
    assert_eq!(report.lost, [""; 0]);
}
