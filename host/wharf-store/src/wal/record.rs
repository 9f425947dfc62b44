//! Records, and how the last one is found.

use std::ops::Range;

use wharf_core::HashKey;

use super::BLOCK_BYTES;
use super::position::Position;

const HEAD_MAGIC: &[u8; 8] = b"wharfwal";
const MAGIC: u32 = 0x6c61_7772;
const VERSION: u8 = 1;

/// What is in front of a record's changes.
pub(super) const HEAD_BYTES: usize = HASH_AT + HASH_BYTES;
const HASH_AT: usize = 32;
const HASH_BYTES: usize = 16;

/// Where the lives are in the log's head, and where it ends. It fits a sector.
const LIVES_AT: usize = 16;
const HEAD_END: usize = LIVES_AT + 16 + HASH_BYTES;

/// What the log's file begins with: the version of its records, the life that it is of and the one before, and a hash by
/// which it is known whose it is.
pub(super) fn head(key: &HashKey, life: u64, before: u64) -> Vec<u8> {
    let mut head = HEAD_MAGIC.to_vec();
    head.extend(u64::from(VERSION).to_le_bytes());
    head.extend(life.to_le_bytes());
    head.extend(before.to_le_bytes());
    let owner = key.hash(&head);
    head.extend(owner);
    head.resize(BLOCK_BYTES as usize, 0);
    head
}

/// Asserts that a log is the one of the store's last life, by its first block. The head names the life before too: a start
/// writes it before the tables know of its own.
fn check_head(block: &[u8], key: &HashKey, stands: Position) -> Result<(), String> {
    // Emptied by somebody who wants to go on without it, or made and not written yet.
    if block.iter().all(|byte| *byte == 0) {
        return Ok(());
    }
    if block.len() < HEAD_END || block[..8] != HEAD_MAGIC[..] {
        return Err("is no log of wharf".to_owned());
    }
    if block[8..LIVES_AT] != u64::from(VERSION).to_le_bytes() {
        return Err("was written by a later version of wharf: use that".to_owned());
    }
    let (head, owner) = block[..HEAD_END].split_at(HEAD_END - HASH_BYTES);
    if key.hash(head) != owner {
        return Err("is another store's".to_owned());
    }
    let lives = head[LIVES_AT..].as_chunks::<8>().0;
    if lives.contains(&stands.life.to_le_bytes()) {
        return Ok(());
    }
    Err("is of another time of this store, or of a copy of it".to_owned())
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

/// Reads the record of an epoch, or of a later one, at the beginning of `bytes`; none where there is no whole one.
fn read<'a>(bytes: &'a mut [u8], key: &HashKey, epoch: u64) -> Option<Record<'a>> {
    let number = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
    let expected = u64::from(MAGIC) | u64::from(VERSION) << 32;
    if number(0)? != expected {
        return None;
    }
    let of_epoch = number(8)?;
    if of_epoch < epoch {
        return None;
    }
    let (count, len) = (number(16)?, number(24)?);
    let end = HEAD_BYTES.checked_add(usize::try_from(len).ok()?)?;
    let record = bytes.get_mut(..end)?;
    let mut hash = [0; HASH_BYTES];
    hash.copy_from_slice(&record[HASH_AT..HEAD_BYTES]);
    record[HASH_AT..HEAD_BYTES].fill(0);
    let is_whole = key.hash(record) == hash;
    record[HASH_AT..HEAD_BYTES].copy_from_slice(&hash);
    is_whole.then_some(Record {
        epoch: of_epoch,
        number: count,
        body: &record[HEAD_BYTES..],
    })
}

/// The bodies of the records that follow on a checkpoint. An error where what is there cannot be the whole of it.
pub(super) fn find(
    log: &mut [u8],
    key: &HashKey,
    stands: Position,
) -> Result<Vec<Range<usize>>, String> {
    // Emptied by somebody who wants to go on without it.
    if log.is_empty() {
        return Ok(Vec::new());
    }
    let block = log.get(..BLOCK_BYTES as usize);
    check_head(block.unwrap_or(log), key, stands)?;
    let mut bodies = Vec::new();
    let mut at = BLOCK_BYTES as usize;
    while let Some(bytes) = log.get_mut(at..)
        && let Some(record) = read(bytes, key, stands.epoch)
        && record.number == bodies.len() as u64
    {
        if record.epoch > stands.epoch {
            return Err("is of a later time than this store, which was put back".to_owned());
        }
        let begin = at + HEAD_BYTES;
        let end = begin + record.body.len();
        bodies.push(begin..end);
        at = end.next_multiple_of(BLOCK_BYTES as usize);
    }
    // A record is written only once the one before it is on disk.
    while let Some(bytes) = log.get_mut(at..).filter(|bytes| !bytes.is_empty()) {
        if read(bytes, key, stands.epoch).is_some() {
            let count = bodies.len();
            return Err(format!(
                "is damaged after its record {count}, and goes on behind that"
            ));
        }
        at += BLOCK_BYTES as usize;
    }
    if (bodies.len() as u64) < stands.records {
        return Err(format!(
            "ends after {} records, and {} are in the tables",
            bodies.len(),
            stands.records
        ));
    }
    Ok(bodies)
}
