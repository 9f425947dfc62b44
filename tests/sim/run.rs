//! A run: one store after the other, several at once, until the power was cut as often as planned.
//!
//! Each store has a seed of its own, and what is found first is what the lowest number finds: the same plan gives the
//! same run, on however many threads.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc;
use std::thread;

use wharf_testkit::random::Random;

use crate::bug::Bug;
use crate::life::{Lived, live};
use crate::plan::Plan;
use crate::summary::Summary;
use crate::world::empty_image;

/// What a run has found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    seed: u64,
    pub(crate) store: u64,
    bug: Option<Bug>,
    pub(crate) what: String,
    /// What was seen until then.
    pub(crate) summary: Box<Summary>,
}

impl Found {
    /// What is typed to see it again.
    pub(crate) fn again(&self) -> String {
        let bug = self.bug.map(|bug| format!(" --bug {}", bug.name()));
        let Self { seed, store, .. } = self;
        format!("--seed {seed} --store {store}{}", bug.unwrap_or_default())
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            seed,
            store,
            what,
            summary,
            ..
        } = self;
        let cuts = summary.cuts;
        write!(f, "seed {seed}, store {store}, after {cuts} cuts: {what}")
    }
}

/// Cuts the power as often as planned. Tells now and then how far it has come.
pub(crate) fn run(
    plan: &Plan,
    threads_count: usize,
    mut progress: impl FnMut(&Summary),
) -> Result<Summary, Found> {
    let mut run = Run {
        plan,
        summary: Summary::default(),
    };
    let empty = empty_image().map_err(|what| run.found(0, what))?;
    if let Some(store) = plan.store {
        run.take(store, live(empty, plan.bug, seed_of(plan.seed, store)))?;
        return Ok(run.summary);
    }
    let (next, is_over) = (AtomicU64::new(1), AtomicBool::new(false));
    thread::scope(|scope| {
        let (send, lived) = mpsc::channel();
        for _ in 0..threads_count {
            let (send, empty) = (send.clone(), &empty);
            let (next, is_over) = (&next, &is_over);
            scope.spawn(move || {
                while !is_over.load(Relaxed) {
                    let store = next.fetch_add(1, Relaxed);
                    let lived = live(empty.clone(), plan.bug, seed_of(plan.seed, store));
                    // Nobody listens any more once the run is over.
                    let _ = send.send((store, lived));
                }
            });
        }
        let outcome = run.take_all(&lived, &mut progress);
        is_over.store(true, Relaxed);
        outcome
    })?;
    Ok(run.summary)
}

fn seed_of(seed: u64, store: u64) -> u64 {
    seed ^ Random::new(store).number()
}

struct Run<'a> {
    plan: &'a Plan,
    summary: Summary,
}

impl Run<'_> {
    /// Takes what became of the stores, in their order.
    fn take_all(
        &mut self,
        lived: &mpsc::Receiver<(u64, Lived)>,
        progress: &mut impl FnMut(&Summary),
    ) -> Result<(), Found> {
        let mut early = BTreeMap::new();
        let mut store = 1;
        while self.summary.cuts < self.plan.cuts {
            let (number, one) = lived.recv().expect("the threads go on until it is over");
            early.insert(number, one);
            while let Some(one) = early.remove(&store)
                && self.summary.cuts < self.plan.cuts
            {
                self.take(store, one)?;
                store += 1;
            }
            progress(&self.summary);
        }
        Ok(())
    }

    fn take(&mut self, store: u64, lived: Lived) -> Result<(), Found> {
        self.summary.add(&lived.summary);
        lived.outcome.map_err(|what| self.found(store, what))
    }

    fn found(&self, store: u64, what: String) -> Found {
        let Plan { seed, bug, .. } = *self.plan;
        let summary = Box::new(self.summary.clone());
        Found {
            seed,
            store,
            bug,
            what,
            summary,
        }
    }
}
