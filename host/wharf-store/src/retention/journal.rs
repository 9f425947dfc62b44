//! Removing the oldest rows of the journal.

use redb::ReadableTable;
use wharf_core::journal::Subject;
use wharf_core::{Cause, Cursor};

use super::Work;
use super::horizon::Stamps;
use crate::error::ReadError;
use crate::group::Group;
use crate::operation::prune::{Gap, Prune, Pruned, before};
use crate::table::cursor;
use crate::table::journal::Draft;

/// The last row that all readers are done with: those that were removed, at least. One whose cursor was never set begins
/// with what comes, one whose cursor cannot be read has read nothing.
pub(crate) fn read_to(group: &Group<'_>, readers: &[String]) -> Result<Cursor, ReadError> {
    let mut read_to = group.state.head();
    for name in readers {
        if let Some(value) = group.cursor.get(name.as_str())? {
            read_to = read_to.min(cursor::decode(value.value()).unwrap_or(Cursor(0)));
        }
    }
    let removed_to = Cursor(group.state.space.journal_from.0 - 1);
    Ok(read_to.max(removed_to))
}

/// Removes rows from the front, a commit's at a time: those that are old enough, or too much, and were read; and past the
/// hard size those that were not, of which a row tells. False where there is more to do in the next call.
pub(crate) fn shorten(
    group: &mut Group<'_>,
    prune: &Prune,
    work: &mut Work,
    pruned: &mut Pruned,
) -> Result<bool, ReadError> {
    let limit = before(prune.now, prune.journal);
    let read_to = read_to(group, &prune.readers)?;
    let is_over = |bytes: u64, bytes_max: Option<u64>| bytes_max.is_some_and(|max| bytes > max);
    let mut is_through = true;
    while let Some(oldest) = Oldest::find(group)? {
        if work.is_spent() {
            is_through = false;
            break;
        }
        work.look();
        let bytes = group.state.space.journal_bytes;
        let is_hard = is_over(bytes, prune.journal_bytes_hard);
        // What cannot be read is as old as what comes before it.
        let is_old = oldest
            .stamps
            .as_ref()
            .is_none_or(|stamps| stamps.at <= limit);
        let is_read = oldest.last <= read_to;
        let is_wanted = !is_old && !is_over(bytes, prune.journal_bytes_max);
        if !is_hard && (is_wanted || !is_read) {
            break;
        }
        oldest.remove(group, pruned)?;
    }
    let removed_to = Cursor(group.state.space.journal_from.0 - 1);
    if removed_to > read_to {
        let (first, last) = (Cursor(read_to.0 + 1), removed_to);
        pruned.gap = Some(Gap { first, last });
        group.journal(&Draft {
            previous: None,
            subject: Subject::Gap { first, last },
            cause: Cause::Gap,
            at: prune.now,
            due: None,
            attempt: None,
        })?;
    }
    Ok(is_through)
}

/// The oldest rows.
struct Oldest {
    first: Cursor,
    last: Cursor,
    /// None where they cannot be read.
    stamps: Option<Stamps>,
    bytes: u64,
}

impl Oldest {
    fn find(group: &Group<'_>) -> Result<Option<Self>, ReadError> {
        let from = group.state.space.journal_from;
        let mut entries = group.journal.range(from.0..)?;
        let Some(entry) = entries.next() else {
            return Ok(None);
        };
        let (first, value) = entry?;
        let first = first.value();
        let stamps = Stamps::read(value.value()).ok();
        let end = match (&stamps, entries.next()) {
            (Some(stamps), _) => first + stamps.count,
            (None, Some(next)) => next?.0.value(),
            (None, None) => group.rows_from().0,
        };
        Ok(Some(Self {
            first: Cursor(first),
            last: Cursor(end - 1),
            stamps,
            bytes: value.value().len() as u64,
        }))
    }

    fn remove(self, group: &mut Group<'_>, pruned: &mut Pruned) -> Result<(), ReadError> {
        group.journal.remove(self.first.0)?;
        group.changed();
        let space = &mut group.state.space;
        pruned.rows += self.last.0 + 1 - space.journal_from.0;
        space.journal_bytes -= self.bytes;
        space.journal_from = Cursor(self.last.0 + 1);
        if let Some(seq) = self.stamps.and_then(|stamps| stamps.accepted_to) {
            space.journal_from_seq = seq;
        }
        Ok(())
    }
}
