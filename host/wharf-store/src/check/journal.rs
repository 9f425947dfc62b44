//! The journal's part of a check.

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

/// The last row of each subject, and where it ended.
pub(super) type Ends = FxHashMap<u64, (Cursor, Option<Status>)>;

/// The key of a subject in [`Ends`]. A message without deliveries takes a place that no delivery can have.
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
) -> Result<Ends, ReadError> {
    let mut ends = Ends::default();
    let mut next = Cursor(1);
    for entry in snapshot.tx().open_table(journal::TABLE)?.iter()? {
        let (first, value) = entry?;
        let (first, blob) = (Cursor(first.value()), Blob::read(value.value())?);
        findings.expect(first == next, || {
            format!("journal blob {first} should be {next}")
        });
        next = first;
        for place in 0..blob.count() {
            let part = blob.part(place)?.unwrap_or_default();
            link(&journal::decode(part, next)?, &mut ends, findings);
            next.0 += 1;
        }
    }
    let stored = state.next_cursor;
    findings.expect(next == stored, || {
        format!("the next cursor is {next}, stored is {stored}")
    });
    Ok(ends)
}

fn link(row: &Row, ends: &mut Ends, findings: &mut Findings) {
    let before = ends.get(&key(row.subject)).copied();
    let previous = before.map(|(cursor, _)| cursor);
    findings.expect(row.previous == previous, || {
        format!(
            "row {} points back to {:?}, not to {previous:?}",
            row.cursor, row.previous
        )
    });
    let end = match row.subject {
        Subject::Delivery { from, to, .. } => {
            let before = before.and_then(|(_, status)| status);
            let step = invariant::journal_step(before, row.cursor, from, to);
            findings.note(step.map(drop));
            Some(to)
        }
        Subject::Message { .. } => None,
    };
    ends.insert(key(row.subject), (row.cursor, end));
}
