//! Making ready what has fallen due.

use wharf_core::TimeMs;

use crate::store::Store;

impl Store {
    /// Makes ready what fell due by `now`: retries, and deliveries that were delayed. Returns how many. Nothing
    /// is written: that they are due is in their rows.
    pub fn promote_due(&self, now: TimeMs) -> usize {
        let (count, wake, next_due) = {
            let mut index = self.index().lock();
            (index.promote(now), index.wake(), index.next_due())
        };
        self.shared.tell_next_due(next_due);
        wake.all();
        count
    }

    /// When the next retry or delayed delivery falls due.
    #[must_use]
    pub fn next_due(&self) -> Option<TimeMs> {
        self.index().lock().next_due()
    }
}
