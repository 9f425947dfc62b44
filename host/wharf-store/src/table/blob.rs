//! Many parts in one value: the messages, or the journal rows, of one commit.
//!
//! ```text
//! version u8 | count u32 | end u32 × count | the parts, one after the other
//! ```
//! Little-endian; ends count from the start of the first part. A part is found without reading the others.

use crate::error::Malformed;
use crate::limits::{BLOB_BYTES_MAX, OVERHEAD_BYTES, PAGE_BYTES};

const VERSION: u8 = 1;
const HEAD_BYTES: usize = 5;

/// Bytes of a blob with this many parts of this size in all.
pub(crate) fn len(count: usize, parts_bytes: usize) -> usize {
    HEAD_BYTES + 4 * count + parts_bytes
}

/// Whether a part of `bytes` still fits beside `count` parts of `parts_bytes`. The first one always does.
pub(crate) fn fits(count: usize, parts_bytes: usize, bytes: usize) -> bool {
    count == 0 || len(count + 1, parts_bytes + bytes) <= BLOB_BYTES_MAX
}

/// How many of the first parts go into one value, where each ends at one of `ends`, so that little room is left empty: the
/// engine rounds a value up to the next 2^k pages. All of them, unless two values take a quarter less than one.
pub(crate) fn cut(ends: &[usize]) -> usize {
    let count = ends.len();
    let end = ends.last().copied().unwrap_or_default();
    let one = room(len(count, end));
    let sizes = (1..).zip(ends).map(|(count, end)| len(count, *end));
    let first_count = sizes.take_while(|len| room(*len) <= one / 2).count();
    let Some(first) = first_count.checked_sub(1).map(|last| ends[last]) else {
        return count;
    };
    let two = room(len(first_count, first)) + room(len(count - first_count, end - first));
    if two <= one / 4 * 3 {
        first_count
    } else {
        count
    }
}

/// Bytes that the engine takes for a value.
fn room(len: usize) -> usize {
    (len + OVERHEAD_BYTES).next_power_of_two().max(PAGE_BYTES)
}

/// Writes the parts into `out`, which has exactly the [`len`] that they take.
pub(crate) fn write<'a>(out: &mut [u8], parts: impl ExactSizeIterator<Item = &'a [u8]>) {
    let count = parts.len();
    out[0] = VERSION;
    out[1..HEAD_BYTES].copy_from_slice(&(count as u32).to_le_bytes());
    let (ends, bytes) = out[HEAD_BYTES..].split_at_mut(4 * count);
    let mut end = 0;
    for (slot, part) in ends.chunks_exact_mut(4).zip(parts) {
        bytes[end..end + part.len()].copy_from_slice(part);
        end += part.len();
        slot.copy_from_slice(&(end as u32).to_le_bytes());
    }
    debug_assert_eq!(end, bytes.len(), "a blob is as long as its parts take");
}

/// A blob that is read.
#[derive(Clone, Copy)]
pub(crate) struct Blob<'a> {
    ends: &'a [u8],
    bytes: &'a [u8],
}

impl<'a> Blob<'a> {
    pub(crate) fn read(value: &'a [u8]) -> Result<Self, Malformed> {
        let (head, rest) = value
            .split_at_checked(HEAD_BYTES)
            .ok_or(Malformed("a blob ends early"))?;
        if head[0] != VERSION {
            return Err(Malformed("a blob's version is unknown"));
        }
        let count = u32::from_le_bytes([head[1], head[2], head[3], head[4]]) as usize;
        let (ends, bytes) = rest
            .split_at_checked(4 * count)
            .ok_or(Malformed("a blob ends early"))?;
        Ok(Self { ends, bytes })
    }

    pub(crate) fn count(self) -> usize {
        self.ends.len() / 4
    }

    /// The part at a place; none past the end.
    pub(crate) fn part(self, place: usize) -> Result<Option<&'a [u8]>, Malformed> {
        if place >= self.count() {
            return Ok(None);
        }
        let start = if place == 0 { 0 } else { self.end(place - 1) };
        let part = self.bytes.get(start..self.end(place));
        part.map(Some)
            .ok_or(Malformed("a blob's part lies outside of it"))
    }

    /// All parts, to be written anew.
    pub(crate) fn parts(self) -> Result<Vec<Vec<u8>>, Malformed> {
        let parts = (0..self.count()).map(|place| self.part(place));
        parts
            .map(|part| part.map(|part| part.unwrap_or_default().to_vec()))
            .collect()
    }

    fn end(self, place: usize) -> usize {
        let at = 4 * place;
        let ends = self.ends;
        u32::from_le_bytes([ends[at], ends[at + 1], ends[at + 2], ends[at + 3]]) as usize
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn parts_round_trip(parts: Vec<Vec<u8>>) {
            let mut value = vec![0; len(parts.len(), parts.iter().map(Vec::len).sum())];
            write(&mut value, parts.iter().map(Vec::as_slice));
            let blob = Blob::read(&value).unwrap();
            prop_assert_eq!(blob.count(), parts.len());
            for (place, part) in parts.iter().enumerate() {
                prop_assert_eq!(blob.part(place).unwrap(), Some(part.as_slice()));
            }
            prop_assert_eq!(blob.part(parts.len()).unwrap(), None);
        }

        /// What is cut off takes as much room as it saves, at least, and nothing is cut in vain.
        #[test]
        fn a_cut_saves_room(sizes in prop::collection::vec(1_usize..4_000, 1..300)) {
            let ends: Vec<usize> = sizes
                .iter()
                .scan(0, |end, size| {
                    *end += size;
                    Some(*end)
                })
                .collect();
            let count = cut(&ends);
            prop_assert!((1..=ends.len()).contains(&count));
            if count < ends.len() {
                let whole = room(len(ends.len(), ends[ends.len() - 1]));
                let first = room(len(count, ends[count - 1]));
                let rest = len(ends.len() - count, ends[ends.len() - 1] - ends[count - 1]);
                prop_assert!(first <= whole / 2 && first + room(rest) < whole);
            }
        }

        #[test]
        fn broken_blobs_are_refused(value: Vec<u8>) {
            if let Ok(blob) = Blob::read(&value) {
                for place in 0..blob.count() {
                    let _ = blob.part(place);
                }
            }
        }
    }
}
