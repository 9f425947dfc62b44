//! What a run has seen: one that cuts before anything happens, or after everything did, proves nothing.

use std::collections::BTreeMap;
use std::fmt;

use wharf_testkit::backend::Fault;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) stores: u64,
    pub(crate) cuts: u64,
    pub(crate) cut_in_recovery: u64,
    /// What went wrong with the power on.
    pub(crate) faults: BTreeMap<Fault, u64>,
    /// Of that, what kept a store from opening.
    pub(crate) faults_in_recovery: u64,
    /// Cuts and faults that hit a commit.
    pub(crate) in_flight: u64,
    /// Of them, those whose commit was there afterwards.
    pub(crate) in_flight_durable: u64,
    /// Of those that hit a commit: the ones in which a run of ids was written.
    pub(crate) in_flight_new_run: u64,
    /// Cuts and faults that hit a commit in which retention removed something.
    pub(crate) in_flight_pruning: u64,
    pub(crate) closed_cleanly: u64,
    pub(crate) killed: u64,
    /// Deliveries that were given up because they were out at two unclean stops.
    pub(crate) crashed: u64,
    pub(crate) messages: u64,
    pub(crate) rows: u64,
    /// Messages that retention removed.
    pub(crate) pruned: u64,
    /// Gaps in the journal that it left for readers.
    pub(crate) gaps: u64,
    /// Status updates that were steps.
    pub(crate) updates: u64,
    /// Those that were conflicts.
    pub(crate) conflicts: u64,
}

impl Summary {
    pub(crate) fn fault(&mut self, fault: Option<Fault>) {
        if let Some(fault) = fault {
            *self.faults.entry(fault).or_default() += 1;
        }
    }

    pub(crate) fn count(&self, fault: Fault) -> u64 {
        self.faults.get(&fault).copied().unwrap_or_default()
    }

    pub(crate) fn add(&mut self, other: &Self) {
        let Self {
            stores,
            cuts,
            cut_in_recovery,
            faults,
            faults_in_recovery,
            in_flight,
            in_flight_durable,
            in_flight_new_run,
            in_flight_pruning,
            closed_cleanly,
            killed,
            crashed,
            messages,
            rows,
            pruned,
            gaps,
            updates,
            conflicts,
        } = other;
        for (fault, count) in faults {
            *self.faults.entry(*fault).or_default() += count;
        }
        for (sum, one) in [
            (&mut self.stores, stores),
            (&mut self.cuts, cuts),
            (&mut self.cut_in_recovery, cut_in_recovery),
            (&mut self.faults_in_recovery, faults_in_recovery),
            (&mut self.in_flight, in_flight),
            (&mut self.in_flight_durable, in_flight_durable),
            (&mut self.in_flight_new_run, in_flight_new_run),
            (&mut self.closed_cleanly, closed_cleanly),
            (&mut self.killed, killed),
            (&mut self.crashed, crashed),
            (&mut self.messages, messages),
            (&mut self.rows, rows),
            (&mut self.in_flight_pruning, in_flight_pruning),
            (&mut self.pruned, pruned),
            (&mut self.gaps, gaps),
            (&mut self.updates, updates),
            (&mut self.conflicts, conflicts),
        ] {
            *sum += one;
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [full, write, sync, read] =
            [Fault::Full, Fault::Write, Fault::Sync, Fault::Read].map(|fault| self.count(fault));
        write!(
            f,
            "{} stores: {} cuts ({} in recovery); {full} full disks, {sync} failed syncs, {write} failed writes, \
             {read} failed reads ({} in recovery); {} hit a commit, of which {} were durable and {} wrote a run of \
             ids; {} kills, {} clean restarts; {} messages, {} deliveries given up after crashes, {} journal rows; \
             {} messages removed ({} failures meanwhile, {} gaps); {} status updates applied, {} conflicts",
            self.stores,
            self.cuts,
            self.cut_in_recovery,
            self.faults_in_recovery,
            self.in_flight,
            self.in_flight_durable,
            self.in_flight_new_run,
            self.killed,
            self.closed_cleanly,
            self.messages,
            self.crashed,
            self.rows,
            self.pruned,
            self.in_flight_pruning,
            self.gaps,
            self.updates,
            self.conflicts,
        )
    }
}
