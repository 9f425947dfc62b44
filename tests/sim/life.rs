//! One store, from empty, through several lives: it lives until the power goes or the disk fails, is opened again, is
//! verified, and goes on.

use std::panic::{AssertUnwindSafe, catch_unwind};

use wharf_core::Cause;
use wharf_testkit::backend::Fault;

use crate::bug::Bug;
use crate::model::Model;
use crate::summary::Summary;
use crate::world::{Answer, Opened, World, answers, options};

/// Lives of one store, before a new one is begun: stores stay small and the run quick.
const LIVES_COUNT: u64 = 8;

/// Steps of a life at most: one that writes little is ended, so that the run goes on.
const STEPS_MAX: u64 = 80;

/// Syncs of which one is skipped, where that is the bug: what strikes always would be found by anything.
const SKIPPED_ONE_IN: u64 = 32;

/// What became of a store.
pub(crate) struct Lived {
    pub(crate) summary: Summary,
    pub(crate) outcome: Result<(), String>,
}

/// Lives through one store. A panic is a failure like any other: it has a seed.
pub(crate) fn live(empty: Vec<u8>, bug: Option<Bug>, seed: u64) -> Lived {
    let mut summary = Summary {
        stores: 1,
        ..Summary::default()
    };
    let lived = catch_unwind(AssertUnwindSafe(|| lives(empty, bug, seed, &mut summary)));
    let outcome = lived.unwrap_or_else(|panic| Err(panicked(panic.as_ref())));
    Lived { summary, outcome }
}

fn panicked(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or(panic.downcast_ref::<&str>().copied());
    format!("panicked: {}", text.unwrap_or("without a text"))
}

fn lives(empty: Vec<u8>, bug: Option<Bug>, seed: u64, summary: &mut Summary) -> Result<(), String> {
    let mut options = options();
    if let Some(bug) = bug {
        options.planted = bug.planted();
    }
    let mut world = World::new(empty, seed, options)?;
    if bug == Some(Bug::SkipSync) {
        world.disk.lie(SKIPPED_ONE_IN);
    }
    for _ in 0..LIVES_COUNT {
        world.arm();
        let mut steps_count = 0;
        while world.is_up() && steps_count < STEPS_MAX {
            world.step()?;
            steps_count += 1;
        }
        if world.is_up() && world.random.once_in(2) {
            world.close()?;
            summary.closed_cleanly += u64::from(world.is_up());
        } else if world.is_up() {
            summary.killed += 1;
        } else {
            world.refuses()?;
        }
        summary.cuts += u64::from(world.disk.is_cut());
        summary.fault(world.disk.failed());
        let Opened {
            cuts,
            faults,
            was_in_flight,
            was_durable,
            was_new_run,
            was_pruning,
        } = world.reopen()?;
        summary.cuts += cuts;
        summary.cut_in_recovery += cuts;
        summary.faults_in_recovery += faults.len() as u64;
        faults.into_iter().for_each(|one| summary.fault(Some(one)));
        summary.in_flight += u64::from(was_in_flight);
        summary.in_flight_durable += u64::from(was_durable);
        summary.in_flight_new_run += u64::from(was_new_run);
        summary.in_flight_pruning += u64::from(was_pruning);
    }
    summary.messages += world.model.messages.len() as u64;
    summary.rows += world.model.head().0;
    let count = |cause| {
        let rows = world.model.journal.iter();
        rows.filter(|row| row.cause == cause).count() as u64
    };
    summary.crashed += count(Cause::CrashedHost);
    summary.gaps += count(Cause::Gap);
    summary.updates += count(Cause::Reported) + count(Cause::Reverted);
    summary.conflicts += count(Cause::Conflict);
    summary.pruned += world.model.removed.len() as u64;
    Ok(())
}

impl World {
    /// Says how this life is to end: by a cut mostly, by a fault, by a cut before or after one, or by itself.
    fn arm(&mut self) {
        if self.disk.is_full() && self.random.once_in(2) {
            self.disk.make_room();
        }
        let (has_cut, has_fault) =
            *self
                .random
                .pick(&[(true, false), (true, false), (false, true), (true, true)]);
        if self.random.once_in(10) {
            return;
        }
        if has_cut {
            let calls_max = *self.random.pick(&[5, 20, 60, 200]);
            self.disk.arm(1 + self.random.below(calls_max));
        }
        if has_fault {
            self.arm_fault(&[3, 10, 40]);
        }
    }

    /// Has something go wrong, at one of so many calls of its kind.
    pub(crate) fn arm_fault(&mut self, calls_max: &[u64]) {
        let fault = *self.random.pick(Fault::ALL);
        let calls_max = *self.random.pick(calls_max);
        self.disk.arm_fault(fault, 1 + self.random.below(calls_max));
    }

    fn close(&mut self) -> Result<(), String> {
        let store = self.store.clone();
        let asked = async move { Answer::Close(store.close().await) };
        match answers(&mut self.engine, vec![Box::pin(asked)]).pop() {
            Some(Answer::Close(Ok(()))) => {
                self.model.is_clean = true;
                Ok(())
            }
            Some(Answer::Close(Err(_))) if !self.is_up() => {
                let is_clean = true;
                self.model_in_flight = Some(Model {
                    is_clean,
                    ..self.model.clone()
                });
                Ok(())
            }
            _ => Err("the store does not close".to_owned()),
        }
    }
}
