//! The store's file without a host: what the command line does with it by itself.

use std::io::BufRead;
use std::path::Path;

use wharf_api::{StoreStop, StoreView, TableView};
use wharf_core::{Standing, Status};
use wharf_store::{CACHE_BYTES_DEFAULT, ID_FILTER_BYTES_DEFAULT, Inspection, Options};

use crate::clock;

pub use wharf_store::{
    BackupError, CheckError, CompactError, Compacted, ExportError, ImportError, ImportStage,
    OpenError, Progress, Report, StoreFile,
};

/// Opens a file that no host runs on, to look at it. See [`StoreFile::open`].
pub fn open(
    path: &Path,
    is_verified: bool,
    told: impl Fn(Progress) + 'static,
) -> Result<StoreFile, OpenError> {
    StoreFile::open(path, CACHE_BYTES_DEFAULT, is_verified, told)
}

/// See [`StoreFile::check`].
pub fn check(file: &StoreFile, told: &mut dyn FnMut(Progress)) -> Result<Report, CheckError> {
    file.check(ID_FILTER_BYTES_DEFAULT, told)
}

/// See [`wharf_store::compact`].
pub fn compact(
    path: &Path,
    repaired: impl Fn(Progress) + 'static,
) -> Result<Compacted, CompactError> {
    wharf_store::compact(path, CACHE_BYTES_DEFAULT, repaired)
}

/// See [`wharf_store::import`].
pub fn import(
    input: &mut dyn BufRead,
    path: &Path,
    told: &mut dyn FnMut(ImportStage),
) -> Result<Report, ImportError> {
    let options = Options::new(clock::random_bytes(), clock::now());
    wharf_store::import(input, path, &options, told)
}

/// What a file has of which no host runs.
#[must_use]
pub fn view(inspection: &Inspection, file_bytes: u64) -> StoreView {
    let stop = match inspection.is_clean {
        true => StoreStop::Clean,
        false => StoreStop::Unclean,
    };
    view_of(inspection, stop, file_bytes)
}

/// What the file has that this host runs on.
pub(crate) fn running_view(inspection: &Inspection, file_bytes: u64) -> StoreView {
    view_of(inspection, StoreStop::Running, file_bytes)
}

fn view_of(inspection: &Inspection, stop: StoreStop, file_bytes: u64) -> StoreView {
    let counts = &inspection.counts;
    let deliveries = Status::ALL
        .iter()
        .map(|status| (status.to_string(), counts.status(*status)));
    let standings = Standing::ALL
        .iter()
        .map(|standing| (standing.to_string(), counts.standing(*standing)));
    let tables = inspection.tables.iter().map(|table| TableView {
        name: table.name.clone(),
        rows: table.rows,
        stored_bytes: table.bytes.map(|bytes| bytes.stored),
        overhead_bytes: table.bytes.map(|bytes| bytes.overhead + bytes.unused),
    });
    let used = inspection.used_bytes();
    StoreView {
        format: inspection.format,
        stop,
        messages: counts.messages(),
        deliveries: deliveries.filter(|(_, count)| *count > 0).collect(),
        standings: standings.filter(|(_, count)| *count > 0).collect(),
        next_message: inspection.next_seq.0,
        chunks: inspection.chunks,
        open_chunks: inspection.open_chunks,
        first_row: inspection.first_row.map(|row| row.0),
        last_row: inspection.last_row.0,
        ids_from: inspection.ids_from.0,
        id_runs: inspection.id_runs,
        claimed: inspection.claimed,
        parked: inspection.parked,
        file_bytes,
        free_bytes: used.map(|used| file_bytes.saturating_sub(used)),
        tables: tables.collect(),
    }
}
