//! What a run has come to.

use std::fmt;

use serde_json::{Value, json};

use super::ledger::Page;
use super::receivers::duplicates_per_kill_max;

/// What a run has come to.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Lives of the host, each with its end.
    pub cycles: u64,
    /// Of the ends, those that were asked for with SIGTERM. The others were kills.
    pub clean_stops: u64,
    /// Starts that were killed on their way, beside those.
    pub starts_killed: u64,
    /// Messages that were answered 202.
    pub accepted_count: u64,
    /// Of them, those that are not there, or that were not known any more when they were sent again.
    pub lost: Vec<String>,
    /// What is there and should not be as it is.
    pub unexplained: Vec<String>,
    /// Messages that got no answer.
    pub unknown_count: u64,
    /// Of them, those that were there.
    pub unknown_found_count: u64,
    /// Ids sent again whose message was known.
    pub resent_count: u64,
    /// Ids sent with other content, and refused.
    pub conflicts_count: u64,
    /// Deliveries of which was answered that they are cancelled.
    pub cancelled_count: u64,
    /// Messages of which was answered that they are sent again.
    pub redriven_count: u64,
    /// Deliveries that arrived again after they had arrived.
    pub duplicates_count: u64,
    /// Deliveries that were dead since they were being attempted at two kills. Sent again at the end, they arrived.
    pub crashed_host_count: u64,
    /// From each start of the process until it was ready. The first one compiles the plugins.
    pub ready_ms: Vec<u64>,
    /// Size of the file in the end.
    pub file_bytes: u64,
    /// What the store's own check found.
    pub check_violations: Vec<String>,
}

/// What is shown of a list of findings: whoever reads it needs the first ones.
const FINDINGS_SHOWN: usize = 20;

impl Report {
    /// Whether every promise was kept.
    #[must_use]
    pub fn is_fine(&self) -> bool {
        self.findings().next().is_none()
    }

    /// Kills, those of starts included.
    #[must_use]
    pub fn kills_count(&self) -> u64 {
        self.cycles - self.clean_stops + self.starts_killed
    }

    /// The run in one line of JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        let ready_ms = self.ready_ms_sorted();
        json!({
            "chaos": "kill",
            "cycles": self.cycles,
            "kills": self.kills_count(),
            "accepted_202": self.accepted_count,
            "lost": self.lost.len(),
            "unexplained": self.unexplained.len(),
            "unknown": self.unknown_count,
            "unknown_found": self.unknown_found_count,
            "duplicates": self.duplicates_count,
            "crashed_host": self.crashed_host_count,
            "ready_ms_p50": ready_ms.get(ready_ms.len() / 2),
            "ready_ms_max": ready_ms.last(),
            "file_mib": self.file_bytes >> 20,
            "check_violations": self.check_violations.len(),
        })
    }

    /// What a life adds to the counts.
    pub(super) fn note(&mut self, page: &mut Page) {
        let forgotten = page.forgotten.drain(..);
        self.lost
            .extend(forgotten.map(|id| format!("{id} was not known when it was sent again")));
        let unanswered = page.entries.iter().filter(|entry| !entry.is_accepted);
        self.unknown_count += unanswered.count() as u64;
        let found = page.confirmed.iter().filter(|(_, was_there)| *was_there);
        self.unknown_found_count += found.count() as u64;
        self.resent_count += page.resent_count;
        self.conflicts_count += page.conflicts_count;
        self.redriven_count += page.redriven_count;
    }

    /// Of all starts but the first one.
    fn ready_ms_sorted(&self) -> Vec<u64> {
        let mut ready_ms = self.ready_ms.get(1..).unwrap_or_default().to_vec();
        ready_ms.sort_unstable();
        ready_ms
    }

    fn findings(&self) -> impl Iterator<Item = String> {
        let kinds = [
            ("lost", &self.lost),
            ("unexplained", &self.unexplained),
            ("the store's check", &self.check_violations),
        ];
        let most = self.kills_count() * duplicates_per_kill_max();
        let too_many = (self.duplicates_count > most).then(|| {
            let count = self.duplicates_count;
            format!("duplicates: {count}, where no more than {most} can have been in flight")
        });
        let findings = kinds
            .into_iter()
            .flat_map(|(kind, all)| all.iter().map(move |one| format!("{kind}: {one}")));
        findings.chain(too_many)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kills = self.kills_count();
        writeln!(
            f,
            "{} lives: {kills} kills, {} of them of a start, and {} clean stops",
            self.cycles, self.starts_killed, self.clean_stops
        )?;
        writeln!(
            f,
            "{} messages answered 202, {} lost; {} without an answer, of which {} were there",
            self.accepted_count,
            self.lost.len(),
            self.unknown_count,
            self.unknown_found_count
        )?;
        writeln!(
            f,
            "{} known ids sent again and {} with other content; {} deliveries cancelled, {} messages redriven",
            self.resent_count, self.conflicts_count, self.cancelled_count, self.redriven_count
        )?;
        writeln!(
            f,
            "{} deliveries arrived again ({:.1} a kill), {} were dead as crashed-host",
            self.duplicates_count,
            self.duplicates_count as f64 / kills.max(1) as f64,
            self.crashed_host_count
        )?;
        let ready_ms = self.ready_ms_sorted();
        if let (Some(p50), Some(max)) = (ready_ms.get(ready_ms.len() / 2), ready_ms.last()) {
            writeln!(
                f,
                "ready after p50 {p50} ms, at most {max} ms; the file has {} MiB",
                self.file_bytes >> 20
            )?;
        }
        let mut findings = self.findings();
        for finding in findings.by_ref().take(FINDINGS_SHOWN) {
            writeln!(f, "FOUND {finding}")?;
        }
        match findings.count() {
            0 => Ok(()),
            more => writeln!(f, "and {more} more"),
        }
    }
}
