//! What a start reads of the id index: the log, which is bounded, and filters within the budget.

use redb::ReadableTable;
use rustc_hash::FxHashMap;
use tracing::warn;
use wharf_core::MessageSeq;

use super::filters::Filters;
use super::memory::Memory;
use crate::error::ReadError;
use crate::read::Snapshot;
use crate::table::id_entry::IdHash;
use crate::table::id_filter::{self, Segment};
use crate::table::id_log;
use crate::table::id_manifest::Manifest;
use crate::table::id_run::{self, KEY_BYTES};

/// Fills the memory from the last commit.
pub(crate) fn load(
    snapshot: &Snapshot,
    manifest: &Manifest,
    filter_bytes_max: usize,
) -> Result<Memory, ReadError> {
    let mut recent = FxHashMap::default();
    for entry in snapshot.tx().open_table(id_log::TABLE)?.iter()? {
        let (first, value) = entry?;
        recent.extend(id_log::decode(MessageSeq(first.value()), value.value())?);
    }
    Ok(Memory {
        recent,
        filters: filters(snapshot, manifest, filter_bytes_max)?,
        runs_count: manifest.all().count(),
        floor: manifest.floor,
    })
}

/// Small runs first: a filter saves a new id the read of a block, and small runs are read as often as large ones.
fn filters(
    snapshot: &Snapshot,
    manifest: &Manifest,
    bytes_max: usize,
) -> Result<Filters, ReadError> {
    let table = snapshot.tx().open_table(id_filter::TABLE)?;
    let mut filters = Filters::new(bytes_max);
    let mut runs: Vec<_> = manifest.all().map(|(run, _)| run).collect();
    runs.sort_unstable_by_key(|run| (run.entries_count, run.number));
    for run in runs {
        let lower = id_run::key(run.number, IdHash::MIN);
        let upper = id_run::key(run.number, IdHash::MAX);
        for entry in table.range::<&[u8; KEY_BYTES]>(&lower..=&upper)? {
            let (key, value) = entry?;
            let segment = match Segment::decode(value.value()) {
                Ok(segment) => segment,
                Err(cause) => {
                    warn!(
                        run = run.number.0,
                        error = &cause as &dyn std::error::Error,
                        "a filter of the id index cannot be read; what it stands for is read instead"
                    );
                    continue;
                }
            };
            if !filters.has_room(&segment) {
                return Ok(filters);
            }
            filters.add(run.number, id_run::decode_key(key.value()).1, segment);
        }
    }
    Ok(filters)
}
