//! Making ready what has fallen due.

use wharf_core::TimeMs;

use crate::error::ReadError;
use crate::limits::PAGES_A_CLAIM_MAX;
use crate::store::Store;

impl Store {
    /// Makes ready what fell due by `now`: retries, and deliveries that were delayed. Returns how many. Nothing
    /// is written: that they are due is in their rows. The file is read where more wait for a time than are in memory.
    ///
    /// The work of a call is bounded: what is left over is due still ([`Store::next_due`]), unless so much of its channel
    /// can be claimed already that it has no room; then a claim makes it ready.
    pub fn promote_due(&self, now: TimeMs) -> Result<usize, ReadError> {
        let queues = self.index().lock().all();
        let mut count = 0;
        let mut outcome = Ok(());
        for at in queues {
            for _ in 0..PAGES_A_CLAIM_MAX {
                count += self.index().lock().promote(at, now);
                match self.load(at, now) {
                    Ok(true) => {}
                    Ok(false) => break,
                    // The queues behind it are not to wait for it.
                    Err(cause) => {
                        outcome = Err(cause);
                        break;
                    }
                }
            }
        }
        let (wake, next_due) = {
            let mut index = self.index().lock();
            (index.wake(), index.next_due())
        };
        self.shared.tell_next_due(next_due);
        wake.all();
        outcome.map(|()| count)
    }

    /// When the next retry or delayed delivery falls due, or may.
    #[must_use]
    pub fn next_due(&self) -> Option<TimeMs> {
        self.index().lock().next_due()
    }
}
