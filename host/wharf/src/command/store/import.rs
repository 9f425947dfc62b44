//! `wharf store import`

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::Context as _;
use serde_json::json;
use wharf_server::store_file::{self, CheckError, ImportError, ImportStage};

use super::bar::Bar;
use super::open;
use crate::arguments::StoreImport;
use crate::failure::Failure;
use crate::output;

/// How much is read at once.
const PIECE_BYTES: usize = 256 << 10;

pub(super) fn run(arguments: &StoreImport) -> Result<(), Failure> {
    let (mut input, size) = input(&arguments.input)?;
    let bar = Bar::of_bytes("importing", size);
    let imported = store_file::import(&mut input, &arguments.file, &mut |stage| match stage {
        ImportStage::Reading(bytes) => bar.tell_bytes(bytes),
        ImportStage::Checking(_) => bar.now("checking"),
    });
    bar.clear();
    let report = imported.map_err(|cause| failed(cause, &arguments.file))?;
    if arguments.json {
        return output::json(&json!({
            "messages": report.messages,
            "deliveries": report.deliveries,
            "rows": report.rows,
        }));
    }
    output::text(&format!(
        "{}: {} messages, {} deliveries, {} journal rows, checked",
        arguments.file.display(),
        report.messages,
        report.deliveries,
        report.rows
    ))
}

fn input(path: &Path) -> Result<(Box<dyn BufRead>, Option<u64>), Failure> {
    if path == Path::new("-") {
        return Ok((Box::new(std::io::stdin().lock()), None));
    }
    let file = File::open(path)
        .with_context(|| format!("cannot read {}", path.display()))
        .map_err(|cause| Failure::failed(cause).hint("check the path"))?;
    let size = file.metadata().ok().map(|file| file.len());
    Ok((Box::new(BufReader::with_capacity(PIECE_BYTES, file)), size))
}

fn failed(cause: ImportError, path: &Path) -> Failure {
    let hint = match cause {
        ImportError::Create(cause) => return open::failed(cause, path),
        ImportError::Check(CheckError::Violations(violations)) => {
            for violation in &violations {
                eprintln!("{violation}");
            }
            let count = violations.len();
            return Failure::failed(anyhow::anyhow!(
                "what the export says does not fit together in {count} places"
            ))
            .hint("export it again from a store that passes `wharf store check`");
        }
        ImportError::Exists(_) => "nothing is overwritten",
        ImportError::Input { .. } => "check the file that the export is in",
        ImportError::Line { .. } => {
            "take what `wharf store export` wrote as it is; no file was made"
        }
        ImportError::Write(_) => "make room on the disk, or name a file on another one",
        ImportError::Check(CheckError::Read(_)) => "try it again; no file was made",
    };
    Failure::failed(cause).hint(hint)
}
