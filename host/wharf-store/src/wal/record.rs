//! Records, and how the last one is found.

use wharf_core::HashKey;

use super::position::Position;
use super::{BLOCK_BYTES, damaged};
use crate::error::OpenError;

const HEAD_MAGIC: &[u8; 8] = b"wharfwal";
const MAGIC: u32 = 0x6c61_7772;
const VERSION: u8 = 1;

/// What is in front of a record's changes.
pub(super) const HEAD_BYTES: usize = HASH_AT + HASH_BYTES;
const HASH_AT: usize = 32;
const HASH_BYTES: usize = 16;

/// What the log's file begins with: the version of its records, and whose it is.
pub(super) fn head(key: &HashKey) -> Vec<u8> {
    let mut head = HEAD_MAGIC.to_vec();
    head.extend(u64::from(VERSION).to_le_bytes());
    let owner = key.hash(&head);
    head.extend(owner);
    head.resize(BLOCK_BYTES as usize, 0);
    head
}

/// Writes the fields of the record that follows on a position in front of its changes.
pub(super) fn seal(record: &mut [u8], key: &HashKey, at: Position) {
    let len = (record.len() - HEAD_BYTES) as u64;
    record[..4].copy_from_slice(&MAGIC.to_le_bytes());
    record[4..8].copy_from_slice(&[VERSION, 0, 0, 0]);
    record[8..16].copy_from_slice(&at.epoch.to_le_bytes());
    record[16..24].copy_from_slice(&at.records.to_le_bytes());
    record[24..HASH_AT].copy_from_slice(&len.to_le_bytes());
    record[HASH_AT..HEAD_BYTES].fill(0);
    let hash = key.hash(record);
    record[HASH_AT..HEAD_BYTES].copy_from_slice(&hash);
}

/// A record that is whole.
struct Record<'a> {
    epoch: u64,
    number: u64,
    body: &'a [u8],
}

/// Reads the record at the beginning of `bytes`; none where there is no whole one.
fn read<'a>(bytes: &'a mut [u8], key: &HashKey) -> Option<Record<'a>> {
    let number = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
    let expected = u64::from(MAGIC) | u64::from(VERSION) << 32;
    if number(0)? != expected {
        return None;
    }
    let (epoch, count, len) = (number(8)?, number(16)?, number(24)?);
    let end = HEAD_BYTES.checked_add(usize::try_from(len).ok()?)?;
    let record = bytes.get_mut(..end)?;
    let mut hash = [0; HASH_BYTES];
    hash.copy_from_slice(&record[HASH_AT..HEAD_BYTES]);
    record[HASH_AT..HEAD_BYTES].fill(0);
    let is_whole = key.hash(record) == hash;
    record[HASH_AT..HEAD_BYTES].copy_from_slice(&hash);
    is_whole.then_some(Record {
        epoch,
        number: count,
        body: &record[HEAD_BYTES..],
    })
}

/// The bodies of the records that follow on a checkpoint. An error where what is there cannot be the whole of it.
pub(super) fn find(
    log: &mut [u8],
    key: &HashKey,
    stands: Position,
) -> Result<Vec<Vec<u8>>, OpenError> {
    // Emptied by somebody who wants to go on without it.
    if log.is_empty() {
        return Ok(Vec::new());
    }
    let head = head(key);
    if log.len() < head.len() || log[..8] != head[..8] {
        return Err(damaged("the log beside it is no log of wharf"));
    }
    if log[..16] != head[..16] {
        return Err(damaged(
            "a later version of wharf wrote the log beside it: use that",
        ));
    }
    if log[..head.len()] != head {
        return Err(damaged("the log beside it is another store's"));
    }
    let mut bodies = Vec::new();
    let mut at = head.len();
    while let Some(record) = log.get_mut(at..).and_then(|bytes| read(bytes, key)) {
        if record.epoch > stands.epoch {
            return Err(damaged(
                "it is older than the log beside it: it was put back from a copy, and needs no log",
            ));
        }
        if record.epoch < stands.epoch || record.number != bodies.len() as u64 {
            break;
        }
        at += (HEAD_BYTES + record.body.len()).next_multiple_of(BLOCK_BYTES as usize);
        bodies.push(record.body.to_vec());
    }
    // A record is written only once the one before it is on disk.
    while let Some(bytes) = log.get_mut(at..).filter(|bytes| !bytes.is_empty()) {
        if read(bytes, key).is_some_and(|record| record.epoch == stands.epoch) {
            return Err(damaged(format!(
                "the log beside it is damaged after its record {}, and goes on behind that",
                bodies.len()
            )));
        }
        at += BLOCK_BYTES as usize;
    }
    if (bodies.len() as u64) < stands.records {
        return Err(damaged(format!(
            "the log beside it ends after {} records, and {} are in the tables",
            bodies.len(),
            stands.records
        )));
    }
    Ok(bodies)
}
