//! Deliveries that wait for a time.

use wharf_core::{Status, TimeMs};

use super::{Index, QueueAt};
use crate::group::Filed;

impl Index {
    /// Files a stored delivery under what it waits for. A final one is only counted.
    pub(crate) fn file(&mut self, at: QueueAt, filed: &Filed) {
        let Filed {
            id,
            from,
            status,
            due,
            has_row,
        } = *filed;
        self.count(at, from, status);
        match status {
            Status::Queued | Status::Retrying => match due {
                Some(due) => {
                    self.due.insert((due, id), at);
                }
                None => self.push_stored(at, id, has_row),
            },
            Status::Pending | Status::Provisional => {
                self.waiting.insert((due.unwrap_or(TimeMs(u64::MAX)), id));
            }
            Status::Held => self.held_count += 1,
            Status::Delivered
            | Status::Rejected
            | Status::Dead
            | Status::Expired
            | Status::Cancelled
            | Status::Shed
            | Status::Superseded => debug_assert!(status.is_final()),
        }
    }

    /// Makes ready what fell due by `now`, the earliest first. Returns how many.
    pub(crate) fn promote(&mut self, now: TimeMs) -> usize {
        let mut count = 0;
        while let Some(entry) = self.due.first_entry()
            && entry.key().0 <= now
        {
            let ((_, id), at) = entry.remove_entry();
            self.push_stored(at, id, true);
            count += 1;
        }
        self.tick(now);
        count
    }

    /// When the next attempt falls due. Polls are not attempts.
    pub(crate) fn next_due(&self) -> Option<TimeMs> {
        self.due.first_key_value().map(|((due, _), _)| *due)
    }
}
