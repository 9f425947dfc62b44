//! What was changed and is not synced.

use crate::random::Random;

/// What a disk writes at once or not at all.
const SECTOR_BYTES: usize = 512;

/// The files of a store: its own, and its log.
pub(super) type Files = [Vec<u8>; 2];

/// Which of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    Tables,
    Log,
}

#[derive(Debug)]
pub(super) enum Change {
    Write { offset: usize, data: Vec<u8> },
    SetLen(usize),
}

/// What becomes durable of changes whose sync never came, or failed.
#[derive(Clone, Copy)]
enum Survivors {
    None,
    All,
    Beginning,
    Writes,
    Sectors,
}

impl Change {
    pub(super) fn apply(&self, image: &mut Vec<u8>) {
        match self {
            Self::SetLen(len) => image.resize(*len, 0),
            Self::Write { offset, data } => put(image, *offset, data),
        }
    }

    /// Applies some of its sectors; a change of length, perhaps.
    fn tear(&self, image: &mut Vec<u8>, random: &mut Random) {
        match self {
            Self::SetLen(_) => {
                if random.once_in(2) {
                    self.apply(image);
                }
            }
            Self::Write { offset, data } => {
                let mut at = 0;
                while at < data.len() {
                    let end = (SECTOR_BYTES - (offset + at) % SECTOR_BYTES + at).min(data.len());
                    if random.once_in(2) {
                        put(image, offset + at, &data[at..end]);
                    }
                    at = end;
                }
            }
        }
    }
}

/// Makes durable what chance lets survive.
pub(super) fn survive(changes: Vec<(Of, Change)>, durable: &mut Files, random: &mut Random) {
    let survivors = *random.pick(&[
        Survivors::None,
        Survivors::All,
        Survivors::Beginning,
        Survivors::Writes,
        Survivors::Sectors,
    ]);
    let beginning = random.below(changes.len() as u64 + 1) as usize;
    for (index, (of, change)) in changes.into_iter().enumerate() {
        let durable = &mut durable[of as usize];
        let survives = match survivors {
            Survivors::None => false,
            Survivors::All | Survivors::Sectors => true,
            Survivors::Beginning => index < beginning,
            Survivors::Writes => random.once_in(2),
        };
        match (survives, survivors) {
            (false, _) => {}
            (true, Survivors::Sectors) => change.tear(durable, random),
            (true, _) => change.apply(durable),
        }
    }
}

/// A write past the end makes the file longer, as in a file system.
fn put(image: &mut Vec<u8>, offset: usize, data: &[u8]) {
    if image.len() < offset + data.len() {
        image.resize(offset + data.len(), 0);
    }
    image[offset..offset + data.len()].copy_from_slice(data);
}
