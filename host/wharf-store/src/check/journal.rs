//! The journal's part of a check.

use std::ops::Range;

use redb::ReadableTable;
use rustc_hash::{FxHashMap, FxHashSet};
use wharf_core::invariant;
use wharf_core::journal::{Row, Subject};
use wharf_core::{Cause, Cursor, DeliveryId, MessageSeq, Status};

use super::Findings;
use crate::error::ReadError;
use crate::maintain::Steps;
use crate::read::Snapshot;
use crate::table::blob::Blob;
use crate::table::journal;
use crate::table::state::State;

/// What the journal says.
pub(super) struct Journal {
    /// The first row that is kept.
    from: Cursor,
    /// The last row of each subject, and where it ended.
    pub(super) ends: FxHashMap<u64, (Cursor, Option<Status>)>,
    /// Messages that had no deliveries when they were accepted, and have some now: their own row is no end.
    rerouted: FxHashSet<u64>,
    /// Rows that cannot be read.
    lost: Vec<Range<u64>>,
}

/// A place that no delivery can have.
const NO_PLACE: u64 = 0xffff;

/// The key of a message without deliveries in [`Journal::ends`]: a delivery's is its number.
pub(super) fn key(seq: MessageSeq) -> u64 {
    seq.0 << 16 | NO_PLACE
}

/// Walks all rows: cursors without a gap, each chain a path.
pub(super) fn check(
    snapshot: &Snapshot,
    state: &State,
    steps: &mut Steps<'_>,
    findings: &mut Findings,
) -> Result<Journal, ReadError> {
    let mut found = Journal {
        from: state.space.journal_from,
        ends: FxHashMap::default(),
        rerouted: FxHashSet::default(),
        lost: Vec::new(),
    };
    let mut next = Some(found.from.0);
    let mut bytes = 0;
    let mut lost_from = None;
    for entry in snapshot.tx().open_table(journal::TABLE)?.iter()? {
        let (first, value) = entry?;
        let first = Cursor(first.value());
        findings.follows("journal blob", first.0, next);
        bytes += value.value().len() as u64;
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
    findings.note(invariant::counter_equals_rows(
        "journal bytes",
        state.space.journal_bytes,
        bytes,
    ));
    Ok(found)
}

impl Journal {
    /// Whether a row cannot be read, or was removed.
    pub(super) fn is_lost(&self, cursor: Cursor) -> bool {
        cursor < self.from || self.lost.iter().any(|lost| lost.contains(&cursor.0))
    }

    pub(super) fn is_whole(&self) -> bool {
        self.from == Cursor(1) && self.lost.is_empty()
    }

    /// Deliveries and messages without any that the journal is about.
    pub(super) fn subjects_count(&self) -> usize {
        self.ends.len() - self.rerouted.len()
    }

    /// What comes before a subject's next row. Before the first one of a delivery that is the row of its message, where
    /// that had none.
    fn before(&mut self, own: u64, seq: MessageSeq) -> Option<(Cursor, Option<Status>)> {
        let own = self.ends.get(&own).copied();
        own.or_else(|| {
            let row = self.ends.get(&key(seq)).copied()?;
            self.rerouted.insert(seq.0);
            Some(row)
        })
    }

    /// What comes before the first row of a delivery that stood in reserve: the row that called it in.
    fn superseded(&self, id: DeliveryId) -> Option<(Cursor, Option<Status>)> {
        let (cursor, status) = self.ends.get(&id.0.checked_sub(1)?).copied()?;
        (status == Some(Status::Superseded)).then_some((cursor, None))
    }

    fn link(&mut self, row: &Row, findings: &mut Findings) {
        let (own, seq) = match row.subject {
            Subject::Delivery { id, .. } => (id.0, id.message()),
            Subject::Message { seq, .. } => (key(seq), seq),
            Subject::Gap { first, last } => {
                let is_right = first <= last && last < row.cursor;
                findings.expect(is_right, || {
                    format!("row {} says that {first} to {last} are gone", row.cursor)
                });
                return;
            }
        };
        let before = match row.subject {
            Subject::Delivery { id, from: None, .. } if row.cause == Cause::FailedOver => {
                self.superseded(id)
            }
            _ => self.before(own, seq),
        };
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
                let step = invariant::journal_step(before, row, from, to);
                findings.note(step.map(drop));
                Some(to)
            }
            Subject::Message { .. } | Subject::Gap { .. } => None,
        };
        self.ends.insert(own, (row.cursor, end));
    }
}
