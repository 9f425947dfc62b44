//! The id index's part of a check. That every id is found is looked up with its message, in the walk over chunks.

use redb::{ReadOnlyTable, ReadableTable, ReadableTableMetadata};
use rustc_hash::FxHashMap;
use wharf_core::MessageSeq;

use super::Findings;
use crate::error::ReadError;
use crate::ids::Ids;
use crate::read::Snapshot;
use crate::table::id_entry::{IdHash, Keyed};
use crate::table::id_filter::{self, Segment};
use crate::table::id_manifest::{Manifest, Run};
use crate::table::id_run::{self, Block, KEY_BYTES};
use crate::table::state::State;
use crate::table::{id_log, meta};

type Key = &'static [u8; KEY_BYTES];
type Table = ReadOnlyTable<Key, &'static [u8]>;

struct Walk<'a> {
    manifest: &'a Manifest,
    next_seq: MessageSeq,
    findings: &'a mut Findings,
    /// Entries that count; none where some cannot be read.
    counting: Option<u64>,
    blocks_count: u64,
    filters_count: u64,
}

/// Walks the log, the runs and their filters. Returns how many entries count: as many as there are messages from the
/// floor on, if each has exactly one.
pub(super) fn check(
    snapshot: &Snapshot,
    ids: &Ids,
    state: &State,
    manifest: &Manifest,
    findings: &mut Findings,
) -> Result<Option<u64>, ReadError> {
    let tx = snapshot.tx();
    let meta = tx.open_table(meta::TABLE)?;
    let stored = ReadableTable::get(&meta, meta::IDS_NAME)?;
    let is_same = stored.is_some_and(|value| value.value() == manifest.encode());
    findings.expect(is_same, || {
        "the manifest of the id index is not the writer's".to_owned()
    });
    let mut walk = Walk {
        manifest,
        next_seq: state.next_seq,
        findings,
        counting: Some(0),
        blocks_count: 0,
        filters_count: 0,
    };
    walk.log(snapshot, ids)?;
    let (blocks, filters) = (
        tx.open_table(id_run::TABLE)?,
        tx.open_table(id_filter::TABLE)?,
    );
    for (run, from) in manifest.all() {
        walk.run(run, from, &blocks, &filters)?;
    }
    for (name, len, expected) in [
        ("id_run", blocks.len()?, walk.blocks_count),
        ("id_filter", filters.len()?, walk.filters_count),
    ] {
        walk.findings.expect(len == expected, || {
            format!("table {name} has {len} rows, {expected} belong to runs")
        });
    }
    Ok(walk.counting)
}

impl Walk<'_> {
    fn expect(&mut self, holds: bool, what: impl FnOnce() -> String) {
        self.findings.expect(holds, what);
    }

    fn count(&mut self, seq: MessageSeq) {
        if let Some(counting) = &mut self.counting {
            *counting += u64::from(seq >= self.manifest.floor);
        }
    }

    fn log(&mut self, snapshot: &Snapshot, ids: &Ids) -> Result<(), ReadError> {
        let mut recent = FxHashMap::default();
        let mut next = MessageSeq(0);
        for entry in snapshot.tx().open_table(id_log::TABLE)?.iter()? {
            let (first, value) = entry?;
            let first = MessageSeq(first.value());
            self.expect(first >= next, || {
                format!("id log {first} overlaps the one before")
            });
            let logged = id_log::decode(first, value.value());
            match self.findings.read(logged, || format!("id log {first}")) {
                Some(logged) => {
                    recent.extend(logged.inspect(|(_, entry)| next.0 = entry.seq.0 + 1))
                }
                None => self.counting = None,
            }
        }
        let next_seq = self.next_seq;
        self.expect(next <= next_seq, || format!("the id log ends at {next}"));
        recent.values().for_each(|entry| self.count(entry.seq));
        let is_same = self.counting.is_none() || ids.read().recent == recent;
        self.expect(is_same, || {
            "the ids in memory are not those of the log".to_owned()
        });
        Ok(())
    }

    fn run(
        &mut self,
        run: &Run,
        from: IdHash,
        blocks: &Table,
        filters: &Table,
    ) -> Result<(), ReadError> {
        let number = run.number.0;
        let is_known = run.number < self.manifest.next_run;
        self.expect(is_known, || format!("id run {number} was not made yet"));
        let (lower, upper) = (
            id_run::key(run.number, IdHash::MIN),
            id_run::key(run.number, IdHash::MAX),
        );
        let mut segments = Vec::new();
        for entry in filters.range::<&[u8; KEY_BYTES]>(&lower..=&upper)? {
            let (key, value) = entry?;
            self.filters_count += 1;
            let first = id_run::decode_key(key.value()).1;
            let segment = Segment::decode(value.value());
            let what = || format!("the filter of id run {number} from {:032x}", first.0);
            segments.push((first, self.findings.read(segment, what)));
        }
        let mut seen = Seen::default();
        for entry in blocks.range::<&[u8; KEY_BYTES]>(&lower..=&upper)? {
            let (key, value) = entry?;
            self.blocks_count += 1;
            let first = id_run::decode_key(key.value()).1;
            let what = || format!("a block of id run {number} from {:032x}", first.0);
            let entries = Block::read(value.value()).and_then(Block::entries);
            match self.findings.read(entries, what) {
                Some(entries) => self.block(run, from, first, &entries, &segments, &mut seen),
                None => (seen.is_whole, self.counting) = (false, None),
            }
        }
        // Of a run that is removed, something is left.
        let is_forgotten = run.highest < self.manifest.floor;
        if seen.is_whole && !is_forgotten {
            // An input of a merge has only the rest.
            let is_input = self.manifest.merges.iter().any(|merge| {
                let mut inputs = merge.inputs.iter();
                inputs.any(|input| input.number == run.number)
            });
            let is_right = if is_input {
                seen.entries_count <= run.entries_count && seen.highest <= run.highest
            } else {
                (seen.entries_count, seen.highest) == (run.entries_count, run.highest)
            };
            self.expect(is_right, || format!("id run {run:?} has {seen:?}"));
        }
        Ok(())
    }

    fn block(
        &mut self,
        run: &Run,
        from: IdHash,
        first: IdHash,
        entries: &[Keyed],
        segments: &[(IdHash, Option<Segment>)],
        seen: &mut Seen,
    ) {
        let number = run.number.0;
        let what = || format!("block {:032x} of id run {number}", first.0);
        let (begins, ends) = (entries[0].0, entries[entries.len() - 1].0);
        self.expect(begins == first, || format!("{} begins elsewhere", what()));
        let is_behind = seen.last.is_none_or(|last| last < begins);
        self.expect(is_behind, || format!("{} overlaps the one before", what()));
        self.expect(ends >= from, || {
            format!("{} is used up and still there", what())
        });
        let after = segments.partition_point(|(start, _)| *start <= begins);
        let segment = after.checked_sub(1).map(|at| &segments[at].1);
        let is_filtered = match segment {
            Some(Some(segment)) => {
                ends <= segment.last && entries.iter().all(|(hash, _)| segment.may_contain(*hash))
            }
            // The damage of the filter is known already.
            Some(None) => true,
            None => false,
        };
        let is_forgotten = run.highest < self.manifest.floor;
        self.expect(is_filtered || is_forgotten, || {
            format!("{} has an id that its filter does not know", what())
        });
        let next_seq = self.next_seq;
        for (hash, entry) in entries {
            self.expect(entry.seq < next_seq, || {
                format!("{} knows message {}, which is not there", what(), entry.seq)
            });
            if *hash >= from {
                self.count(entry.seq);
            }
            seen.highest = seen.highest.max(entry.seq);
        }
        seen.entries_count += entries.len() as u64;
        seen.last = Some(ends);
    }
}

/// What a run's blocks hold.
#[derive(Debug)]
struct Seen {
    entries_count: u64,
    highest: MessageSeq,
    last: Option<IdHash>,
    is_whole: bool,
}

impl Default for Seen {
    fn default() -> Self {
        Self {
            entries_count: 0,
            highest: MessageSeq(0),
            last: None,
            is_whole: true,
        }
    }
}
