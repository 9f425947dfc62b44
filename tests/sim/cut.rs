//! The run: live until the power goes, reopen, verify, again.

use std::fmt;

use wharf_core::Cause;
use wharf_store::Planted;
use wharf_testkit::random::Random;

use crate::model::Model;
use crate::world::{Answer, World, answers, empty_image, options};

/// Cuts that one store lives through, before a new one is begun: stores stay small and the run quick.
const CUTS_PER_STORE: u64 = 8;

/// Steps between two cuts at most: a life that writes little is ended, so that the run goes on.
const STEPS_MAX: u64 = 80;

/// A bug put in on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    None,
    #[allow(dead_code, reason = "only the tests plant bugs")]
    AnswerBeforeCommit,
    #[allow(dead_code, reason = "only the tests plant bugs")]
    LyingSync,
    #[allow(dead_code, reason = "only the tests plant bugs")]
    LoseIdRun,
    #[allow(dead_code, reason = "only the tests plant bugs")]
    PruneTooEarly,
}

#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) cuts: u64,
    pub(crate) bug: Bug,
}

/// What a run has seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) cuts: u64,
    pub(crate) cut_in_recovery: u64,
    /// Cuts that hit a commit.
    pub(crate) in_flight: u64,
    /// Of them, those whose commit was there afterwards.
    pub(crate) in_flight_durable: u64,
    /// Of those that hit a commit: the ones in which a run of ids was written.
    pub(crate) in_flight_new_run: u64,
    pub(crate) closed_cleanly: u64,
    pub(crate) killed: u64,
    /// Deliveries that were given up because they were out at two unclean stops.
    pub(crate) crashed: u64,
    pub(crate) messages: u64,
    pub(crate) rows: u64,
    /// Messages that retention removed.
    pub(crate) pruned: u64,
    /// Cuts that hit a commit in which it did so.
    pub(crate) in_flight_pruning: u64,
    /// Gaps that it left for readers.
    pub(crate) gaps: u64,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            cuts,
            cut_in_recovery,
            in_flight,
            in_flight_durable,
            in_flight_new_run,
            ..
        } = self;
        let Self {
            closed_cleanly,
            killed,
            crashed,
            messages,
            rows,
            pruned,
            in_flight_pruning,
            gaps,
            ..
        } = self;
        write!(
            f,
            "{cuts} cuts ({cut_in_recovery} in recovery, {in_flight} in a commit, of which \
             {in_flight_durable} were durable and {in_flight_new_run} wrote a run of ids), {killed} kills, \
             {closed_cleanly} clean restarts, {messages} messages, {crashed} given up after crashes, \
             {rows} journal rows, {pruned} messages removed ({in_flight_pruning} cuts meanwhile, {gaps} gaps): nothing acknowledged was lost"
        )
    }
}

/// What a run has found.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    seed: u64,
    store: u64,
    cut: u64,
    what: String,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            seed,
            store,
            cut,
            what,
        } = self;
        write!(f, "seed {seed}, store {store}, about cut {cut}: {what}")
    }
}

/// Cuts the power as often as planned. The same plan gives the same run.
pub(crate) fn run(plan: &Plan) -> Result<Summary, Found> {
    let mut summary = Summary::default();
    let mut seeds = Random::new(plan.seed);
    let mut stores_count = 0;
    let found = |store, cut, what| Found {
        seed: plan.seed,
        store,
        cut,
        what,
    };
    let empty = empty_image().map_err(|what| found(0, 0, what))?;
    while summary.cuts < plan.cuts {
        stores_count += 1;
        live(empty.clone(), plan.bug, seeds.number(), &mut summary)
            .map_err(|what| found(stores_count, summary.cuts, what))?;
    }
    Ok(summary)
}

/// One store, from empty, through several cuts.
fn live(empty: Vec<u8>, bug: Bug, seed: u64, summary: &mut Summary) -> Result<(), String> {
    let mut options = options();
    options.planted = match bug {
        Bug::AnswerBeforeCommit => Planted::AnswerBeforeCommit,
        Bug::LoseIdRun => Planted::LoseIdRun,
        Bug::PruneTooEarly => Planted::PruneTooEarly,
        Bug::None | Bug::LyingSync => Planted::None,
    };
    let mut world = World::new(empty, seed, options)?;
    if bug == Bug::LyingSync {
        world.disk.lie();
    }
    for _ in 0..CUTS_PER_STORE {
        if !world.random.once_in(10) {
            let calls_max = *world.random.pick(&[5, 20, 60, 200]);
            world.disk.arm(1 + world.random.below(calls_max));
        }
        let mut steps_count = 0;
        while !world.disk.is_cut() && steps_count < STEPS_MAX {
            world.step()?;
            steps_count += 1;
        }
        if !world.disk.is_cut() && world.random.once_in(2) {
            close(&mut world)?;
            summary.closed_cleanly += u64::from(!world.disk.is_cut());
        } else if !world.disk.is_cut() {
            // The process is killed, and the disk has everything.
            summary.killed += 1;
        }
        summary.cuts += u64::from(world.disk.is_cut());
        let reopened = world.reopen()?;
        summary.cuts += reopened.cuts;
        summary.cut_in_recovery += reopened.cuts;
        summary.in_flight += u64::from(reopened.was_in_flight);
        summary.in_flight_durable += u64::from(reopened.was_durable);
        summary.in_flight_new_run += u64::from(reopened.was_new_run);
        summary.in_flight_pruning += u64::from(reopened.was_pruning);
    }
    summary.messages += world.model.messages.len() as u64;
    summary.rows += world.model.head().0;
    summary.pruned += world.model.removed.len() as u64;
    let rows = world.model.journal.iter();
    summary.crashed += rows
        .clone()
        .filter(|row| row.cause == Cause::CrashedHost)
        .count() as u64;
    summary.gaps += rows.filter(|row| row.cause == Cause::Gap).count() as u64;
    Ok(())
}

fn close(world: &mut World) -> Result<(), String> {
    let store = world.store.clone();
    let asked = async move { Answer::Close(store.close().await) };
    match answers(&mut world.engine, vec![Box::pin(asked)]).pop() {
        Some(Answer::Close(Ok(()))) => {
            world.model.is_clean = true;
            Ok(())
        }
        Some(Answer::Close(Err(_))) if world.disk.is_cut() => {
            let is_clean = true;
            world.model_in_flight = Some(Model {
                is_clean,
                ..world.model.clone()
            });
            Ok(())
        }
        _ => Err("the store does not close".to_owned()),
    }
}
