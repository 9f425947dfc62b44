//! Reading on: what of a queue is on disk alone comes into memory a page at a time.
//!
//! Of each queue two things are on disk alone from some place on ([`Behind`]): new deliveries, in the order of their
//! numbers, and deliveries with a row, in the order in which they fall due. A page is read from a snapshot without the
//! lock, and merged under it. The snapshot is of the very commit that the index mirrors when the reading begins; what
//! happens from then on is noted ([`Load`]), and the page is merged as if it had been read at the end. One page is read
//! at a time.
//!
//! New deliveries of all channels lie side by side, so a page is about all of them: a queue that has room, and whose
//! place lies in what was read, takes its own. So a start reads them once for all queues, and once more for each that
//! falls behind.

use rustc_hash::{FxHashMap, FxHashSet};
use wharf_core::{ChannelName, Cursor, DeliveryId, TimeMs};

use super::ready::{Behind, Ready};
use super::{Index, QueueAt};
use crate::table::due::Due;

/// What happens while a page is read.
#[derive(Debug, Default)]
pub(super) struct Load {
    /// Deliveries that stand elsewhere by now.
    gone: FxHashSet<DeliveryId>,
    /// The earliest of each queue that was left on disk.
    missed: FxHashMap<QueueAt, Due>,
}

/// What to read.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) at: QueueAt,
    pub(crate) channel: ChannelName,
    /// Number of the channel.
    pub(crate) number: u32,
    /// From where on; none of what is not wanted.
    pub(crate) from: Behind,
    /// Deliveries, of each kind, that are enough.
    pub(crate) count: usize,
}

/// What was read.
#[derive(Debug)]
pub(crate) struct Page {
    /// New deliveries, in order, by channel.
    pub(crate) open: FxHashMap<ChannelName, Vec<DeliveryId>>,
    /// What comes behind them.
    pub(crate) open_end: DeliveryId,
    /// Deliveries of the queue that have a row, in order.
    pub(crate) due: Vec<Due>,
    /// What comes behind them; none where nothing does.
    pub(crate) due_end: Option<Due>,
}

impl Index {
    /// What is to be read before anything of a queue can be claimed, or made ready by `now`. None where that is in
    /// memory, or while another page is read. Whoever takes it reads it, and ends the load.
    pub(crate) fn plan(&mut self, at: QueueAt, now: TimeMs) -> Option<Plan> {
        if self.load.is_some() {
            return None;
        }
        let queue = &self.queues[at.0];
        let (open_count, rows_count) = queue.ready_lens();
        let has_room = queue.due.is_empty() && rows_count < self.sizes.ready;
        let from = Behind {
            open: queue.behind.open.filter(|_| open_count == 0),
            due: queue.behind.due.filter(|from| has_room && from.0 <= now),
        };
        if from == Behind::default() {
            return None;
        }
        self.load = Some(Load::default());
        Some(Plan {
            at,
            channel: queue.channel().clone(),
            number: queue.counted.number,
            from,
            count: self.sizes.page,
        })
    }

    pub(crate) fn is_loading(&self) -> bool {
        self.load.is_some()
    }

    /// Begins the reading, with a snapshot whose journal ends here. False where the index mirrors another commit.
    pub(crate) fn begin_load(&mut self, head: Cursor) -> bool {
        let is_same = self.state.head() == head;
        if is_same {
            self.load = Some(Load::default());
        }
        is_same
    }

    /// Ends a load, with what was read, or with nothing where that failed.
    pub(crate) fn end_load(&mut self, plan: &Plan, page: Option<Page>) {
        let load = self.load.take().unwrap_or_default();
        if let Some(page) = page {
            if let Some(from) = plan.from.due {
                self.merge_due(plan.at, from, &page, &load);
            }
            if let Some(from) = plan.from.open {
                self.merge_open(plan.at, from, &page, &load);
            }
        }
        // Whoever has asked meanwhile was told that there is nothing.
        self.wake_all();
    }

    /// A delivery stands elsewhere than a page that is being read may say.
    pub(crate) fn gone(&mut self, id: DeliveryId) {
        if let Some(load) = &mut self.load {
            load.gone.insert(id);
        }
    }

    /// A delivery is left on disk, where a page that is being read may miss it.
    pub(super) fn missed(&mut self, at: QueueAt, due: Due) {
        if let Some(load) = &mut self.load {
            let earliest = load.missed.entry(at).or_insert(due);
            *earliest = due.min(*earliest);
        }
    }

    fn merge_due(&mut self, at: QueueAt, from: Due, page: &Page, load: &Load) {
        if self.queues[at.0].behind.due != Some(from) {
            // What came earlier has filled the memory meanwhile.
            return;
        }
        let missed = load.missed.get(&at).copied();
        let ends = [page.due_end, missed];
        let end = ends.into_iter().flatten().min();
        for due in &page.due {
            let is_before = end.is_none_or(|end| *due < end);
            let is_known = self.is_apart(due.1) || self.queues[at.0].has_ready_row(due.1);
            if is_before && !load.gone.contains(&due.1) && !is_known {
                let queue = &mut self.queues[at.0];
                queue.enters(true);
                queue.due.insert(*due);
            }
        }
        self.queues[at.0].behind.due = end;
    }

    fn merge_open(&mut self, at: QueueAt, from: DeliveryId, page: &Page, load: &Load) {
        for other in self.all() {
            let queue = &self.queues[other.0];
            let Some(begin) = queue.behind.open else {
                continue;
            };
            let is_in_page = from <= begin && begin < page.open_end;
            if !is_in_page || queue.ready_lens().0 >= self.sizes.ready {
                continue;
            }
            let ids = page.open.get(queue.channel());
            let ids = ids.map_or(&[][..], Vec::as_slice);
            // The one that it was read for takes all of it, so that it gets on.
            let room = match other == at {
                true => usize::MAX,
                false => self.sizes.ready - queue.ready_lens().0,
            };
            self.take_open(other, ids, begin, room, page.open_end, load);
        }
    }

    /// Takes new deliveries of a queue into memory, from its place on, as many as there is room for.
    fn take_open(
        &mut self,
        at: QueueAt,
        ids: &[DeliveryId],
        begin: DeliveryId,
        room: usize,
        end: DeliveryId,
        load: &Load,
    ) {
        let ids = &ids[ids.partition_point(|id| *id < begin)..];
        let (taken, left) = ids.split_at(room.min(ids.len()));
        for id in taken {
            if load.gone.contains(id) || self.is_apart(*id) {
                continue;
            }
            let is_untried = self.careful.was_open(*id);
            let queue = &mut self.queues[at.0];
            queue.enters(false);
            queue.push(Ready {
                id: *id,
                resident: None,
                has_row: false,
                is_untried,
            });
        }
        let next = left.first().copied().unwrap_or(end);
        let queue = &mut self.queues[at.0];
        let is_through = next.message() >= self.state.next_seq || queue.open_on_disk() == 0;
        queue.behind.open = (!is_through).then_some(next);
    }
}

#[cfg(test)]
mod tests {
    use wharf_core::{MessageSeq, Status};

    use super::*;
    use crate::group::Filed;
    use crate::index::SharedIndex;
    use crate::options::QueueSizes;
    use crate::stand::Stand;
    use crate::table::channel::Channel;

    const T0: TimeMs = TimeMs(0);

    fn id(number: u64) -> DeliveryId {
        DeliveryId::new(MessageSeq(number), 0)
    }

    fn row(due: u64) -> Stand {
        Stand {
            status: Status::Retrying,
            has_row: true,
            due: Some(TimeMs(due)),
        }
    }

    fn page(open: &[u64], due: &[Due]) -> Page {
        let open = open.iter().map(|number| id(*number)).collect();
        Page {
            open: FxHashMap::from_iter([(ChannelName::new("a"), open)]),
            open_end: id(100),
            due: due.to_vec(),
            due_end: None,
        }
    }

    /// A start's index, and a plan whose snapshot is made.
    fn reading(stands: &[Stand]) -> (SharedIndex, Plan) {
        let shared = SharedIndex::new(0, QueueSizes::default());
        let mut index = shared.lock();
        let mut counted = Channel::new(0);
        stands.iter().for_each(|stand| counted.step(None, *stand));
        index.begin_channel(&ChannelName::new("a"), counted);
        index.state.next_seq = MessageSeq(100);
        let at = index.queue(&ChannelName::new("a"));
        let plan = index.plan(at, TimeMs(50)).unwrap();
        assert!(index.begin_load(Cursor(0)));
        drop(index);
        (shared, plan)
    }

    #[test]
    fn what_was_settled_while_a_page_was_read_is_not_taken_from_it() {
        let (index, plan) = reading(&[Stand::OPEN, Stand::OPEN]);
        let mut index = index.lock();
        // An operator's command ends the first one.
        index.queues[plan.at.0].enters(false);
        index.hold(plan.at, id(1), false, false);
        index.end_settle(id(1), false);
        index.end_load(&plan, Some(page(&[1, 2], &[])));
        let taken: Vec<_> = index
            .take(plan.at, 9, T0)
            .iter()
            .map(|taken| taken.id)
            .collect();
        assert_eq!(taken, [id(2)]);
    }

    #[test]
    fn what_was_left_on_disk_while_a_page_was_read_is_read_by_the_next() {
        let (index, plan) = reading(&[row(3), row(5)]);
        let mut index = index.lock();
        // Not in the snapshot.
        index.file(
            plan.at,
            &Filed {
                id: id(9),
                stand: row(5),
                holds_key: false,
            },
        );
        index.end_load(&plan, Some(page(&[], &[(TimeMs(3), id(1))])));
        assert_eq!(index.queues[plan.at.0].behind.due, Some((TimeMs(5), id(9))));
    }

    #[test]
    fn what_is_ready_already_is_not_read_a_second_time() {
        let (index, plan) = reading(&[row(3), row(5)]);
        let mut index = index.lock();
        // It fell due before, and stands behind where reading goes on.
        index.queues[plan.at.0].enters(true);
        let ready = Ready {
            id: id(2),
            resident: None,
            has_row: true,
            is_untried: false,
        };
        index.queues[plan.at.0].push(ready);
        index.end_load(
            &plan,
            Some(page(&[], &[(TimeMs(3), id(1)), (TimeMs(5), id(2))])),
        );
        assert_eq!(index.promote(plan.at, TimeMs(50)), 1);
        let taken: Vec<_> = index
            .take(plan.at, 9, T0)
            .iter()
            .map(|taken| taken.id)
            .collect();
        assert_eq!(taken, [id(2), id(1)]);
    }

    #[test]
    fn a_page_is_not_taken_where_the_queue_goes_on_elsewhere_by_now() {
        let (index, plan) = reading(&[row(3), row(5)]);
        let mut index = index.lock();
        // Earlier ones have filled the memory, and pushed the place back.
        let place = Some((TimeMs(1), id(7)));
        index.queues[plan.at.0].behind.due = place;
        index.end_load(&plan, Some(page(&[], &[(TimeMs(3), id(1))])));
        assert_eq!(index.queues[plan.at.0].behind.due, place);
        assert_eq!(index.promote(plan.at, TimeMs(50)), 0);
    }
}
