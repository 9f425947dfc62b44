//! Merging runs, in steps that ride on group commits.
//!
//! A step takes the next entries of all inputs in order, a whole segment of them, appends what still counts to the
//! output, and removes what the inputs have no more use for. It is due when the messages since the last one have
//! paid for it: [`ID_MERGE_RATE`] entries a message, in each merge under way.

use tracing::error;
use wharf_core::MessageSeq;

use super::change::FilterChange;
use super::tables::{Reader, RunTables};
use crate::error::ReadError;
use crate::limits::{ID_MERGE_RATE, ID_RUNS_MERGED};
use crate::options::IdSizes;
use crate::table::id_entry::{IdHash, Keyed};
use crate::table::id_manifest::{Manifest, Merge, Run};
use crate::table::id_run::RunNumber;

/// Makes the steps that are due, and begins merges where there are enough runs.
pub(super) fn advance(
    tables: &mut RunTables<'_>,
    manifest: &mut Manifest,
    next_seq: MessageSeq,
    sizes: &IdSizes,
    changes: &mut Vec<FilterChange>,
) -> Result<(), ReadError> {
    let floor = manifest.floor;
    for mut merge in std::mem::take(&mut manifest.merges) {
        if !steps(tables, &mut merge, floor, next_seq, sizes, changes)? {
            manifest.merges.push(merge);
        } else if merge.output.entries_count > 0 {
            manifest.runs.push(merge.output);
        }
    }
    while let Some((level, numbers)) = to_merge(manifest) {
        let is_input = |run: &mut Run| numbers.contains(&run.number);
        let inputs = manifest.runs.extract_if(.., is_input).collect();
        let output = Run::new(manifest.number(), level + 1);
        manifest.merges.push(Merge {
            inputs,
            output,
            next: IdHash::MIN,
            paid_to: next_seq,
        });
    }
    Ok(())
}

/// A level without a merge, and the runs of it to merge: those that lie below the floor as a whole, which come to
/// nothing, or else the oldest, once there are enough.
fn to_merge(manifest: &Manifest) -> Option<(u32, Vec<RunNumber>)> {
    let is_busy = |level| manifest.merges.iter().any(|merge| merge.level() == level);
    let levels = manifest.runs.iter().map(|run| run.level);
    let mut free = levels.filter(|level| !is_busy(*level));
    free.find_map(|level| {
        let at_level = || manifest.runs.iter().filter(move |run| run.level == level);
        let is_forgotten = |run: &&Run| run.highest < manifest.floor;
        let forgotten: Vec<_> = at_level().filter(is_forgotten).map(|r| r.number).collect();
        if !forgotten.is_empty() {
            return Some((level, forgotten));
        }
        let oldest: Vec<_> = at_level().take(ID_RUNS_MERGED).map(|r| r.number).collect();
        (oldest.len() == ID_RUNS_MERGED).then_some((level, oldest))
    })
}

fn is_paid(merge: &Merge, next_seq: MessageSeq, sizes: &IdSizes) -> bool {
    next_seq.0.saturating_sub(merge.paid_to.0) >= messages_a_step(sizes)
}

fn messages_a_step(sizes: &IdSizes) -> u64 {
    (sizes.segment as u64 / ID_MERGE_RATE).max(1)
}

/// Makes the steps of one merge that are due; true once it is done.
fn steps(
    tables: &mut RunTables<'_>,
    merge: &mut Merge,
    floor: MessageSeq,
    next_seq: MessageSeq,
    sizes: &IdSizes,
    changes: &mut Vec<FilterChange>,
) -> Result<bool, ReadError> {
    while is_paid(merge, next_seq, sizes) {
        let made = if merge.is_forgotten(floor) {
            discard(tables, merge, sizes, changes)
        } else {
            step(tables, merge, floor, sizes, changes)
        };
        match made {
            Ok(true) => return Ok(true),
            Ok(false) => merge.paid_to.0 += messages_a_step(sizes),
            // A step reads before it writes: nothing has changed.
            Err(ReadError::Malformed(cause)) => {
                error!(
                    error = &cause as &dyn std::error::Error,
                    "a block of the id index cannot be read, its runs are not merged"
                );
                // Tried again when so many messages have come that the log does not fill with it.
                merge.paid_to = MessageSeq(next_seq.0 + sizes.recent as u64);
            }
            Err(cause) => return Err(cause),
        }
    }
    Ok(false)
}

/// Moves the next segment into the output; true once nothing is left.
fn step(
    tables: &mut RunTables<'_>,
    merge: &mut Merge,
    floor: MessageSeq,
    sizes: &IdSizes,
    changes: &mut Vec<FilterChange>,
) -> Result<bool, ReadError> {
    let (entries, next) = take(tables, merge, floor, sizes.segment)?;
    if !entries.is_empty() {
        changes.push(tables.append(&mut merge.output, &entries, sizes.block)?);
    }
    for input in &merge.inputs {
        match next {
            Some(next) => changes.push(tables.consume(input.number, next)?),
            None => {
                tables.discard(input.number, usize::MAX)?;
                changes.push(FilterChange::Gone(input.number));
            }
        }
    }
    merge.next = next.unwrap_or(merge.next);
    Ok(next.is_none())
}

/// Removes as much as a step would move; true once nothing is left. No block is read, so that one which is damaged
/// goes with its run.
fn discard(
    tables: &mut RunTables<'_>,
    merge: &mut Merge,
    sizes: &IdSizes,
    changes: &mut Vec<FilterChange>,
) -> Result<bool, ReadError> {
    for run in merge.inputs.iter().chain([&merge.output]) {
        changes.push(FilterChange::Gone(run.number));
        if !tables.discard(run.number, sizes.segment.div_ceil(sizes.block))? {
            return Ok(false);
        }
    }
    merge.output.entries_count = 0;
    Ok(true)
}

/// The next `max` entries of the inputs, of which those that count are returned, and the hash that comes after
/// them. An id that was forgotten and accepted again is in two runs: both are taken at once, so that a look-up
/// finds the one that counts wherever it looks.
fn take(
    tables: &RunTables<'_>,
    merge: &Merge,
    floor: MessageSeq,
    max: usize,
) -> Result<(Vec<Keyed>, Option<IdHash>), ReadError> {
    let inputs = merge.inputs.iter();
    let inputs = inputs.map(|run| tables.read(run.number, merge.next));
    let mut inputs: Vec<Reader<'_>> = inputs.collect::<Result<_, _>>()?;
    let mut taken = Vec::with_capacity(max);
    let mut last = None;
    let mut taken_count = 0;
    loop {
        let heads = inputs.iter().enumerate();
        let heads = heads.filter_map(|(at, input)| Some((input.peek()?, at)));
        let Some((hash, at)) = heads.min() else {
            return Ok((taken, None));
        };
        if taken_count >= max && last != Some(hash) {
            return Ok((taken, Some(hash)));
        }
        (last, taken_count) = (Some(hash), taken_count + 1);
        let entry = inputs[at].next()?;
        taken.extend(entry.filter(|(_, entry)| entry.seq >= floor));
    }
}
