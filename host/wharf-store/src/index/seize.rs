//! Taking deliveries for the writer, wherever they wait.

use rustc_hash::{FxHashMap, FxHashSet};
use wharf_core::{DeliveryId, Status};

use super::{Index, QueueAt};
use crate::table::delivery::Row;

impl Index {
    /// Keeps everyone from claiming these deliveries until the writer's next commit, which settles them: each is put
    /// under a lease of the writer's own. What is being attempted is left to its lease, and marked; it is returned.
    /// Each queue is passed through once.
    pub(crate) fn seize(&mut self, wanted: &[(DeliveryId, Row)]) -> FxHashSet<DeliveryId> {
        let mut marked = FxHashSet::default();
        let mut ready: FxHashMap<usize, FxHashSet<DeliveryId>> = FxHashMap::default();
        for (id, row) in wanted {
            let (id, at) = (*id, self.queue(&row.channel));
            if let Some(leased) = self.leases.get_mut(&id) {
                if leased.begin_mark() {
                    marked.insert(id);
                }
            } else if self.stuck.remove(&id) || self.take_waiting(id, row) {
                self.hold(at, id, false);
            } else {
                ready.entry(at.0).or_default().insert(id);
            }
        }
        for (at, ids) in ready {
            let at = QueueAt(at);
            let pulled_count = self.pull(at, &ids);
            debug_assert_eq!(pulled_count, ids.len(), "what waits for nothing is ready");
        }
        marked
    }

    /// Takes a delivery from what waits for a time or a release, if it does.
    fn take_waiting(&mut self, id: DeliveryId, row: &Row) -> bool {
        if row.status == Status::Held {
            self.held_count -= 1;
            return true;
        }
        row.due
            .is_some_and(|due| self.due.remove(&(due, id)).is_some())
    }
}

#[cfg(test)]
mod tests {
    use wharf_core::invariant::Spread;
    use wharf_core::{ChannelName, MessageSeq, TimeMs};

    use super::*;
    use crate::group::Filed;
    use crate::index::SharedIndex;

    const T0: TimeMs = TimeMs(0);
    const DUE: Option<TimeMs> = Some(TimeMs(7));

    /// One delivery of each kind that can be seized, and one that can be claimed and is not wanted.
    #[test]
    fn a_delivery_is_seized_wherever_it_waits() {
        let index = SharedIndex::new(0);
        let mut index = index.lock();
        let channel = ChannelName::new("a");
        let at = index.queue(&channel);
        let id = |number| DeliveryId::new(MessageSeq(number), 0);
        let filed = |number, status, due: Option<TimeMs>| Filed {
            id: id(number),
            from: None,
            status,
            due,
            has_row: status != Status::Queued,
        };
        let row = |status, due| Row {
            due,
            ..Row::new(status, channel.clone())
        };
        index.file(at, &filed(1, Status::Queued, None));
        let leased = index.take(at, 1, T0);
        index.file(at, &filed(2, Status::Queued, None));
        let stuck = index.take(at, 1, T0);
        index.stick(id(2), stuck[0].fence);
        index.file(at, &filed(3, Status::Queued, None));
        index.file(at, &filed(4, Status::Queued, None));
        index.file(at, &filed(5, Status::Retrying, DUE));
        index.file(at, &filed(6, Status::Held, None));
        let wanted = [
            (id(1), row(Status::Queued, None)),
            (id(2), row(Status::Queued, None)),
            (id(4), row(Status::Queued, None)),
            (id(5), row(Status::Retrying, DUE)),
            (id(6), row(Status::Held, None)),
        ];
        let marked = index.seize(&wanted);
        assert_eq!(marked, FxHashSet::from_iter([id(1)]));
        let spread = |ready, leased| Spread {
            ready,
            leased,
            ..Spread::default()
        };
        assert_eq!(index.spread(), spread(1, 5));
        let claimed: Vec<_> = index.take(at, 9, T0).iter().map(|taken| taken.id).collect();
        assert_eq!(claimed, [id(3)]);
        // The writer's leases are not given back, and what is marked is not settled.
        assert!(!index.release(id(4), None));
        assert!(!index.begin_settle(id(1), leased[0].fence));
        // A marked lease that is given back is ready after the commit, and has a row then.
        assert!(index.release(id(1), Some(leased[0].fence)));
        assert!(index.take(at, 9, T0).is_empty());
        for number in [2, 4, 5, 6] {
            index.end_settle(id(number));
        }
        index.end_mark(id(1));
        let again = index.take(at, 9, T0);
        assert_eq!(
            again
                .iter()
                .map(|taken| (taken.id, taken.has_row))
                .collect::<Vec<_>>(),
            [(id(1), true)]
        );
        assert_eq!(index.spread(), spread(0, 2));
    }
}
