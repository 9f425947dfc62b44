//! The journal's part of a check.

use std::ops::Range;

use redb::ReadableTable;
use rustc_hash::FxHashMap;
use wharf_core::invariant;
use wharf_core::journal::{Row, Subject};
use wharf_core::{Cursor, Status};

use super::Findings;
use crate::error::ReadError;
use crate::read::Snapshot;
use crate::table::blob::Blob;
use crate::table::journal;
use crate::table::state::State;

/// What the journal says.
#[derive(Default)]
pub(super) struct Journal {
    /// The last row of each subject, and where it ended.
    pub(super) ends: FxHashMap<u64, (Cursor, Option<Status>)>,
    /// Rows that cannot be read.
    lost: Vec<Range<u64>>,
}

/// The key of a subject in [`Journal::ends`]. A message without deliveries takes a place that no delivery can have.
pub(super) fn key(subject: Subject) -> u64 {
    match subject {
        Subject::Delivery { id, .. } => id.0,
        Subject::Message { seq, .. } => seq.0 << 16 | 0xffff,
    }
}

/// Walks all rows: cursors without a gap, each chain a path.
pub(super) fn check(
    snapshot: &Snapshot,
    state: &State,
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

    fn link(&mut self, row: &Row, findings: &mut Findings) {
        let before = self.ends.get(&key(row.subject)).copied();
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
