//! The journal's part of a check.

use std::ops::Range;

use redb::ReadableTable;
use rustc_hash::{FxHashMap, FxHashSet};
use wharf_core::invariant;
use wharf_core::journal::{Row, Subject};
use wharf_core::{Cursor, Status};

use super::Findings;
use crate::error::ReadError;
use crate::maintain::Steps;
use crate::read::Snapshot;
use crate::table::blob::Blob;
use crate::table::journal;
use crate::table::state::State;

/// What the journal says.
#[derive(Default)]
pub(super) struct Journal {
    /// The last row of each subject, and where it ended.
    pub(super) ends: FxHashMap<u64, (Cursor, Option<Status>)>,
    /// Messages that had no deliveries when they were accepted, and have some now: their own row is no end.
    rerouted: FxHashSet<u64>,
    /// Rows that cannot be read.
    lost: Vec<Range<u64>>,
}

/// A place that no delivery can have.
const NO_PLACE: u64 = 0xffff;

/// The key of a subject in [`Journal::ends`]. A message without deliveries takes [`NO_PLACE`].
pub(super) fn key(subject: Subject) -> u64 {
    match subject {
        Subject::Delivery { id, .. } => id.0,
        Subject::Message { seq, .. } => seq.0 << 16 | NO_PLACE,
    }
}

/// Walks all rows: cursors without a gap, each chain a path.
pub(super) fn check(
    snapshot: &Snapshot,
    state: &State,
    steps: &mut Steps<'_>,
    findings: &mut Findings,
) -> Result<Journal, ReadError> {
    let mut found = Journal::default();
    let mut next = Some(1);
    let mut lost_from = None;
    for entry in snapshot.tx().open_table(journal::TABLE)?.iter()? {
        let (first, value) = entry?;
        let first = Cursor(first.value());
        findings.follows("journal blob", first.0, next);
        found
            .lost
            .extend(lost_from.take().map(|from| from..first.0));
        let blob = findings.read(Blob::read(value.value()), || {
            format!("journal blob {first}")
        });
        let Some(blob) = blob else {
            (next, lost_from) = (None, Some(first.0));
            continue;
        };
        for (place, cursor) in (0..blob.count()).zip(first.0..) {
            let part = blob.part(place).map(Option::unwrap_or_default);
            let row = part.and_then(|part| journal::decode(part, Cursor(cursor)));
            match findings.read(row, || format!("journal row {cursor}")) {
                Some(row) => found.link(&row, findings),
                None => found.lost.push(cursor..cursor + 1),
            }
        }
        next = Some(first.0 + blob.count() as u64);
        steps.advance(blob.count() as u64);
    }
    let stored = state.next_cursor.0;
    found.lost.extend(lost_from.map(|from| from..stored));
    findings.follows("the next cursor", stored, next);
    Ok(found)
}

impl Journal {
    /// Whether a row cannot be read.
    pub(super) fn is_lost(&self, cursor: Cursor) -> bool {
        self.lost.iter().any(|lost| lost.contains(&cursor.0))
    }

    pub(super) fn is_whole(&self) -> bool {
        self.lost.is_empty()
    }

    /// Deliveries and messages without any that the journal is about.
    pub(super) fn subjects_count(&self) -> usize {
        self.ends.len() - self.rerouted.len()
    }

    /// What comes before a subject's next row. Before the first one of a delivery that is the row of its message, where
    /// that had none.
    fn before(&mut self, subject: Subject) -> Option<(Cursor, Option<Status>)> {
        let own = self.ends.get(&key(subject)).copied();
        let seq = subject.message();
        own.or_else(|| {
            let of_message = seq.0 << 16 | NO_PLACE;
            let row = self.ends.get(&of_message).copied()?;
            self.rerouted.insert(seq.0);
            Some(row)
        })
    }

    fn link(&mut self, row: &Row, findings: &mut Findings) {
        let before = self.before(row.subject);
        let previous = before.map(|(cursor, _)| cursor);
        // Behind a row that cannot be read the chain begins anew.
        let is_known = !row.previous.is_some_and(|previous| self.is_lost(previous));
        findings.expect(!is_known || row.previous == previous, || {
            format!(
                "row {} points back to {:?}, not to {previous:?}",
                row.cursor, row.previous
            )
        });
        let end = match row.subject {
            Subject::Delivery { from, to, .. } => {
                let before = if is_known {
                    before.and_then(|(_, status)| status)
                } else {
                    from
                };
                let step = invariant::journal_step(before, row.cursor, from, to);
                findings.note(step.map(drop));
                Some(to)
            }
            Subject::Message { .. } => None,
        };
        self.ends.insert(key(row.subject), (row.cursor, end));
    }
}
