//! Deliveries that wait for a time.

use wharf_core::{DeliveryId, Status, TimeMs};

use super::ready::Ready;
use super::{Index, QueueAt};
use crate::group::Filed;
use crate::table::due::Due;

impl Index {
    /// Files a stored delivery under what it waits for. What waits for something else than a time, or has ended, is only
    /// counted.
    pub(crate) fn file(&mut self, at: QueueAt, filed: &Filed) {
        let Filed { id, stand, .. } = *filed;
        match stand.status {
            Status::Queued | Status::Retrying => {
                debug_assert!(stand.has_row, "what is new is not filed");
                if let Some(due) = stand.due(id) {
                    self.file_due(at, due);
                }
            }
            Status::Held
            | Status::Pending
            | Status::Provisional
            | Status::Delivered
            | Status::Rejected
            | Status::Dead
            | Status::Expired
            | Status::Cancelled
            | Status::Shed
            | Status::Superseded => {}
        }
    }

    fn file_due(&mut self, at: QueueAt, due: Due) {
        let queue = &mut self.queues[at.0];
        if queue.behind.due.is_some_and(|from| due >= from) {
            self.missed(at, due);
            return;
        }
        queue.enters(true);
        let (_, rows_count) = queue.ready_lens();
        if due.0 == TimeMs(0) && rows_count < self.sizes.ready {
            let ready = self.promoted(due);
            self.queues[at.0].push(ready);
            return;
        }
        queue.due.insert(due);
        if queue.due.len() > self.sizes.due
            && let Some(last) = queue.due.pop_last()
        {
            queue.leaves(true);
            queue.behind.due = Some(last);
        }
    }

    fn promoted(&self, (due, id): Due) -> Ready {
        Ready {
            id,
            resident: None,
            has_row: true,
            is_untried: self.careful.was_due(due),
        }
    }

    /// Makes ready what of a queue fell due by `now` and is in memory, the earliest first, as far as there is room. Returns
    /// how many.
    pub(crate) fn promote(&mut self, at: QueueAt, now: TimeMs) -> usize {
        let mut count = 0;
        while self.queues[at.0].ready_lens().1 < self.sizes.ready
            && let Some(due) = self.queues[at.0].due.first().copied()
            && due.0 <= now
        {
            let ready = self.promoted(due);
            let queue = &mut self.queues[at.0];
            queue.due.pop_first();
            queue.push(ready);
            count += 1;
        }
        self.tick(now);
        count
    }

    /// Makes those of a queue ready that wait for these times and are in memory, as far as there is room. Returns how many.
    pub(crate) fn hasten(&mut self, at: QueueAt, dues: &[Due]) -> usize {
        let mut count = 0;
        for due in dues {
            if self.queues[at.0].ready_lens().1 >= self.sizes.ready {
                break;
            }
            if self.queues[at.0].due.remove(due) {
                let ready = self.promoted(*due);
                self.queues[at.0].push(ready);
                count += 1;
            }
        }
        count
    }

    /// All queues.
    pub(crate) fn all(&self) -> impl Iterator<Item = QueueAt> + use<> {
        (0..self.queues.len()).map(QueueAt)
    }

    /// When the next attempt falls due; of what is on disk, when it may. Polls are not attempts. A queue that has no room
    /// is passed over: what is due of it is made ready when something of it is claimed.
    pub(crate) fn next_due(&self) -> Option<TimeMs> {
        let queues = self.queues.iter();
        let with_room = queues.filter(|queue| queue.ready_lens().1 < self.sizes.ready);
        let nexts = with_room.filter_map(|queue| {
            let in_memory = queue.due.first().copied();
            in_memory.or(queue.behind.due).map(|(due, _)| due)
        });
        nexts.min()
    }

    /// Whether a delivery is known already, so that it is not to be read from the file.
    pub(super) fn is_apart(&self, id: DeliveryId) -> bool {
        self.leases.contains_key(&id)
            || self.claimed().contains(&id)
            || self.stuck.contains_key(&id)
            || self.order.is_aside(id)
    }
}
