//! `id_filter`: which ids a stretch of a run has, almost.

use redb::TableDefinition;

use super::id_entry::IdHash;
use super::id_run::KEY_BYTES;
use crate::error::Malformed;
use crate::limits::ID_FILTER_BITS;

/// Key: [`super::id_run::key`] of a segment, a stretch of consecutive blocks, by the hash of its first entry.
/// Value: [`Segment`]. Written in the same commit as the blocks, and removed with them.
pub(crate) const TABLE: TableDefinition<'static, &'static [u8; KEY_BYTES], &'static [u8]> =
    TableDefinition::new("id_filter");

const VERSION: u8 = 1;
const HEAD_BYTES: usize = 17;
const LINE_WORDS: usize = 8;
const LINE_BYTES: usize = 4 * LINE_WORDS;

/// A segment of a run, with a filter of its ids.
///
/// `version u8 | hash of the last entry 16 bytes | word u32 LE × 8 × lines`. A *split block Bloom filter* (Putze,
/// Sanders, Singler: "Cache-, Hash- and Space-Efficient Bloom Filters"; the one of Apache Parquet): an id sets one
/// bit in each of the eight words of one line, so that a question reads one cache line. The hash is random
/// already: bits 0 to 39 are the eight places, bits 40 to 71 choose the line. The bits above are what runs are
/// sorted by, and nearly the same in a whole segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) last: IdHash,
    lines: Box<[[u32; LINE_WORDS]]>,
}

impl Segment {
    /// A segment of these ids, of which there is at least one.
    pub(crate) fn new(ids: impl ExactSizeIterator<Item = IdHash>) -> Self {
        let lines_count = (ids.len() * ID_FILTER_BITS).div_ceil(8 * LINE_BYTES);
        let mut segment = Self {
            last: IdHash::MIN,
            lines: vec![[0; LINE_WORDS]; lines_count].into(),
        };
        for id in ids {
            let line = line(id, lines_count);
            for (word, bit) in segment.lines[line].iter_mut().zip(bits(id)) {
                *word |= bit;
            }
            segment.last = id;
        }
        segment
    }

    /// False only where the segment does not have the id.
    pub(crate) fn may_contain(&self, id: IdHash) -> bool {
        let line = &self.lines[line(id, self.lines.len())];
        // All words, whichever is the first that says no: a branch on what is in a line would wait for that line, and the
        // lines of other runs are asked for meanwhile.
        let missing = line.iter().zip(bits(id)).map(|(word, bit)| bit & !word);
        missing.fold(0, |missing, of_word| missing | of_word) == 0
    }

    /// Memory that it takes.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<(IdHash, Self)>() + LINE_BYTES * self.lines.len()
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut value = Vec::with_capacity(HEAD_BYTES + LINE_BYTES * self.lines.len());
        value.push(VERSION);
        value.extend_from_slice(&self.last.to_bytes());
        value.extend(
            self.lines
                .as_flattened()
                .iter()
                .flat_map(|w| w.to_le_bytes()),
        );
        value
    }

    pub(crate) fn decode(value: &[u8]) -> Result<Self, Malformed> {
        let last = last(value)?;
        let (words, []) = value[HEAD_BYTES..].as_chunks::<4>() else {
            return Err(Malformed("an id filter ends early"));
        };
        let words: Vec<_> = words.iter().map(|word| u32::from_le_bytes(*word)).collect();
        match words.as_chunks::<LINE_WORDS>() {
            ([], _) => Err(Malformed("an id filter is empty")),
            (lines, []) => Ok(Self {
                last,
                lines: lines.into(),
            }),
            _ => Err(Malformed("an id filter ends early")),
        }
    }
}

/// Hash of a stored segment's last entry; the filter is not read.
pub(crate) fn last(value: &[u8]) -> Result<IdHash, Malformed> {
    let head = value
        .first_chunk::<HEAD_BYTES>()
        .ok_or(Malformed("an id filter ends early"))?;
    if head[0] != VERSION {
        return Err(Malformed("the version of an id filter is unknown"));
    }
    let mut last = [0; 16];
    last.copy_from_slice(&head[1..]);
    Ok(IdHash::from_bytes(last))
}

fn line(id: IdHash, lines_count: usize) -> usize {
    let random = (id.0 >> 40) as u32;
    ((u64::from(random) * lines_count as u64) >> 32) as usize
}

fn bits(id: IdHash) -> [u32; LINE_WORDS] {
    let places = id.0 as u64;
    std::array::from_fn(|word| 1 << ((places >> (5 * word)) & 31))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::limits::ID_SEGMENT_ENTRIES;

    proptest! {
        #[test]
        fn filters_round_trip_and_know_their_ids(ids in prop::collection::vec(any::<u128>(), 1..500)) {
            let mut ids: Vec<_> = ids.into_iter().map(IdHash).collect();
            ids.sort_unstable();
            let segment = Segment::decode(&Segment::new(ids.iter().copied()).encode()).unwrap();
            prop_assert_eq!(&segment, &Segment::new(ids.iter().copied()));
            prop_assert_eq!(segment.last, ids[ids.len() - 1]);
            prop_assert!(ids.iter().all(|id| segment.may_contain(*id)));
        }

        #[test]
        fn broken_filters_are_refused(mut value: Vec<u8>, id: u128) {
            if let Some(first) = value.first_mut() {
                *first = VERSION;
            }
            if let Ok(segment) = Segment::decode(&value) {
                segment.may_contain(IdHash(id));
            }
        }
    }

    /// A full segment of a large run, whose hashes all begin alike: its filter takes a page, and answers for few
    /// ids that it does not have.
    #[test]
    fn a_full_filter_fits_a_page_and_is_right_mostly() {
        let id = |n: usize| {
            let hash = blake3::hash(&n.to_le_bytes());
            let mut bytes = [0; 16];
            bytes[4..].copy_from_slice(&hash.as_bytes()[..12]);
            IdHash::from_bytes(bytes)
        };
        let mut ids: Vec<_> = (0..ID_SEGMENT_ENTRIES).map(id).collect();
        ids.sort_unstable();
        let segment = Segment::new(ids.into_iter());
        // The engine's header, the key, and the value's end stand beside it.
        assert!(4 + KEY_BYTES + 4 + segment.encode().len() <= 4096);
        let others = ID_SEGMENT_ENTRIES..ID_SEGMENT_ENTRIES + 100_000;
        let wrong_count = others.filter(|n| segment.may_contain(id(*n))).count();
        assert!((50..700).contains(&wrong_count), "{wrong_count}");
    }
}
