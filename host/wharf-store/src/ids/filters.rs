//! The filters in memory, within a budget.
//!
//! A filter belongs to a part of a run that never changes, so it is right in every snapshot that has that part.
//! Past the budget the run that holds the most memory gives up segments: so many small runs keep all of theirs,
//! each of which saves a read of a whole run.

use std::collections::{BTreeMap, VecDeque};

use crate::table::id_entry::IdHash;
use crate::table::id_filter::Segment;
use crate::table::id_run::RunNumber;

#[derive(Debug)]
pub(crate) struct Filters {
    runs: BTreeMap<RunNumber, Held>,
    bytes: usize,
    bytes_max: usize,
}

/// Segments of one run by the hash of their first entry, in order, perhaps with gaps.
#[derive(Debug, Default)]
struct Held {
    segments: VecDeque<(IdHash, Segment)>,
    bytes: usize,
}

impl Filters {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            runs: BTreeMap::new(),
            bytes: 0,
            bytes_max,
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether one more of its size still fits.
    pub(crate) fn has_room(&self, segment: &Segment) -> bool {
        self.bytes + segment.bytes() <= self.bytes_max
    }

    /// False only where the run does not have the id; true where nothing is known.
    pub(crate) fn may_contain(&self, run: RunNumber, id: IdHash) -> bool {
        let Some(held) = self.runs.get(&run) else {
            return true;
        };
        let after = held.segments.partition_point(|(first, _)| *first <= id);
        match after.checked_sub(1).map(|at| &held.segments[at].1) {
            Some(segment) if id <= segment.last => segment.may_contain(id),
            // Between two segments, or where one is not in memory.
            _ => true,
        }
    }

    /// Adds a segment that comes after the others of its run.
    pub(crate) fn add(&mut self, run: RunNumber, first: IdHash, segment: Segment) {
        let held = self.runs.entry(run).or_default();
        self.bytes += segment.bytes();
        held.bytes += segment.bytes();
        held.segments.push_back((first, segment));
        while self.bytes > self.bytes_max && self.give_up_one() {}
    }

    fn give_up_one(&mut self) -> bool {
        let largest = self.runs.values_mut().max_by_key(|held| held.bytes);
        let Some(held) = largest else {
            return false;
        };
        let given = held.segments.pop_back();
        let bytes = given.map_or(0, |(_, segment)| segment.bytes());
        held.bytes -= bytes;
        self.bytes -= bytes;
        bytes > 0
    }

    /// Drops the segments of a run that end below a hash.
    pub(crate) fn remove_below(&mut self, run: RunNumber, next: IdHash) {
        let Some(held) = self.runs.get_mut(&run) else {
            return;
        };
        while let Some((_, segment)) = held.segments.pop_front_if(|(_, s)| s.last < next) {
            held.bytes -= segment.bytes();
            self.bytes -= segment.bytes();
        }
    }

    /// Drops all segments of a run.
    pub(crate) fn remove(&mut self, run: RunNumber) {
        if let Some(held) = self.runs.remove(&run) {
            self.bytes -= held.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hashes in the order of the numbers, otherwise random.
    fn id(n: u128) -> IdHash {
        let hash = blake3::hash(&n.to_le_bytes());
        let random = u128::from_le_bytes(*hash.as_bytes().first_chunk().unwrap());
        IdHash(n << 100 | random >> 28)
    }

    /// Even numbers below 100, with two gaps, as three segments.
    fn add_run(filters: &mut Filters, run: u64) {
        for start in [0, 40, 80] {
            let ids: Vec<_> = (start..start + 20).step_by(2).map(id).collect();
            filters.add(RunNumber(run), ids[0], Segment::new(ids.into_iter()));
        }
    }

    fn is_known_absent(filters: &Filters, run: u64, n: u128) -> bool {
        !filters.may_contain(RunNumber(run), id(n))
    }

    #[test]
    fn what_is_not_in_memory_may_be_there() {
        let mut filters = Filters::new(1 << 20);
        assert!(!is_known_absent(&filters, 1, 5));
        add_run(&mut filters, 1);
        let mut known_count = 0;
        for n in 0..120 {
            let is_inside = [0..=18, 40..=58, 80..=98].iter().any(|s| s.contains(&n));
            let is_there = n % 2 == 0;
            let is_known = is_known_absent(&filters, 1, n);
            assert!(!is_known || is_inside && !is_there, "{n}");
            known_count += usize::from(is_known);
        }
        assert!((20..=27).contains(&known_count), "{known_count}");
    }

    #[test]
    fn the_largest_run_gives_up_memory_for_the_others() {
        let one = Segment::new((0..10).map(id).collect::<Vec<_>>().into_iter()).bytes();
        let mut filters = Filters::new(5 * one);
        add_run(&mut filters, 1);
        add_run(&mut filters, 2);
        assert_eq!(filters.bytes(), 5 * one);
        let held: Vec<_> = filters.runs.values().map(|h| h.segments.len()).collect();
        assert_eq!(held.iter().sum::<usize>(), 5);
        assert!(held.iter().all(|count| *count >= 2), "{held:?}");
        filters.remove(RunNumber(1));
        filters.remove_below(RunNumber(2), IdHash(u128::MAX));
        assert_eq!(filters.bytes(), 0);
        assert!(!is_known_absent(&filters, 1, 5));
    }

    #[test]
    fn consumed_segments_go_from_the_front() {
        let mut filters = Filters::new(1 << 20);
        add_run(&mut filters, 1);
        filters.remove_below(RunNumber(1), id(58));
        let known = |range: std::ops::Range<u128>| {
            range.into_iter().any(|n| is_known_absent(&filters, 1, n))
        };
        assert!(!known(0..20) && known(40..58) && known(80..98));
    }
}
