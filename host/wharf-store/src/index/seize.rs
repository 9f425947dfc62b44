//! Taking deliveries for the writer, wherever they wait.

use rustc_hash::{FxHashMap, FxHashSet};
use wharf_core::{ChannelName, DeliveryId};

use super::{Index, QueueAt};
use crate::stand::Stand;
use crate::step::Current;

/// A delivery that the writer wants for itself.
pub(crate) struct Sought {
    id: DeliveryId,
    channel: ChannelName,
    stand: Stand,
}

impl Sought {
    pub(crate) fn of(current: &Current) -> Self {
        Self {
            id: current.id,
            channel: current.row.channel.clone(),
            stand: current.stand(),
        }
    }
}

impl Index {
    /// Keeps everyone from claiming these deliveries until the writer's next commit, which settles them: each is put
    /// under a lease of the writer's own. What is being attempted is left to its lease, and marked; it is returned. What is
    /// held nobody can claim. Each queue is passed through once.
    pub(crate) fn seize(&mut self, wanted: &[Sought]) -> FxHashSet<DeliveryId> {
        let mut marked = FxHashSet::default();
        let mut waiting: FxHashMap<QueueAt, FxHashMap<DeliveryId, bool>> = FxHashMap::default();
        for Sought { id, channel, stand } in wanted {
            let (id, at) = (*id, self.queue(channel));
            if let Some(leased) = self.leases.get_mut(&id) {
                if leased.begin_mark() {
                    marked.insert(id);
                }
            } else if let Some((has_row, is_untried)) = self.take_aside(id) {
                self.hold(at, id, has_row, is_untried);
            } else if let Some(has_row) = self.stuck.remove(&id) {
                self.hold(at, id, has_row, false);
            } else if stand
                .due(id)
                .is_some_and(|due| self.queues[at.0].due.remove(&due))
            {
                self.hold(at, id, true, false);
            } else if stand.status.is_sendable() {
                waiting.entry(at).or_default().insert(id, stand.has_row);
            }
        }
        for (at, mut sought) in waiting {
            self.pull(at, &mut sought);
            // The rest is on disk, from where nobody reads it past the lease.
            for (id, has_row) in sought {
                self.queues[at.0].enters(has_row);
                self.hold(at, id, has_row, false);
            }
        }
        marked
    }
}

#[cfg(test)]
mod tests {
    use wharf_core::invariant::Spread;
    use wharf_core::{MessageSeq, Status, TimeMs};

    use super::*;
    use crate::group::Filed;
    use crate::index::SharedIndex;
    use crate::options::QueueSizes;
    use crate::table::channel::Channel;

    const T0: TimeMs = TimeMs(0);

    /// One delivery of each kind that can be seized, and one that can be claimed and is not wanted.
    #[test]
    fn a_delivery_is_seized_wherever_it_waits() {
        let index = SharedIndex::new(0, QueueSizes::default());
        let mut index = index.lock();
        let channel = ChannelName::new("a");
        let at = index.queue(&channel);
        let id = |number| DeliveryId::new(MessageSeq(number), 0);
        let stand = |status, due| Stand {
            status,
            has_row: true,
            due,
        };
        let queued = stand(Status::Queued, None);
        let due = stand(Status::Retrying, Some(TimeMs(7)));
        let mut counted = Channel::new(0);
        for number in 1..=5 {
            let stand = if number == 5 { due } else { queued };
            counted.step(None, stand);
            let filed = Filed {
                id: id(number),
                stand,
                holds_key: false,
            };
            index.file(at, &filed);
        }
        // One that is on disk, and one that is held, are only counted.
        counted.step(None, Stand::OPEN);
        counted.step(None, stand(Status::Held, None));
        index.set_channel(&channel, counted);
        let taken = index.take(at, 2, T0);
        index.stick(id(2), taken[1].fence);
        let sought = |number, stand| Sought {
            id: id(number),
            channel: channel.clone(),
            stand,
        };
        let wanted = [
            sought(1, queued),
            sought(2, queued),
            sought(4, queued),
            sought(5, due),
            sought(6, Stand::OPEN),
            sought(7, stand(Status::Held, None)),
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
        assert!(!index.begin_settle(id(1), taken[0].fence));
        // A marked lease that is given back is ready after the commit, and has a row then.
        assert!(index.release(id(1), Some(taken[0].fence)));
        assert!(index.take(at, 9, T0).is_empty());
        for number in [2, 4, 5, 6] {
            index.end_settle(id(number), false);
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
        assert_eq!(index.spread().leased, 2);
    }
}
