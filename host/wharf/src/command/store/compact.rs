//! `wharf store compact`

use indicatif::HumanBytes;
use serde_json::json;
use wharf_server::store_file::{self, CompactError};

use super::bar::Bar;
use super::open;
use crate::arguments::StoreCompact;
use crate::failure::Failure;
use crate::output;

pub(super) fn run(arguments: &StoreCompact) -> Result<(), Failure> {
    let path = open::path(&arguments.file)?;
    let size = std::fs::metadata(&path).map_or(0, |file| file.len());
    let bar = Bar::of_bytes("compacting", None);
    bar.tell_bytes(size);
    let compacted = store_file::compact(&path, |_| {});
    bar.clear();
    let compacted = compacted.map_err(|cause| match cause {
        CompactError::Open(cause) => open::failed(cause, &path),
        cause @ (CompactError::Engine(_) | CompactError::Size(_)) => Failure::failed(cause)
            .context(path.display().to_string())
            .hint("nothing that is stored is lost; make room on the disk and try again"),
    })?;
    if arguments.json {
        return output::json(&json!({
            "before_bytes": compacted.before,
            "after_bytes": compacted.after,
        }));
    }
    output::text(&format!(
        "{}: {} before, {} now",
        path.display(),
        HumanBytes(compacted.before),
        HumanBytes(compacted.after)
    ))
}
