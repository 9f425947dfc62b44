//! `wharf store check`

use serde_json::json;
use wharf_server::store_file::{self, CheckError};

use super::bar::Bar;
use super::open;
use crate::arguments::StoreCheck;
use crate::failure::Failure;
use crate::output;

pub(super) fn run(arguments: &StoreCheck) -> Result<(), Failure> {
    let path = open::path(&arguments.file)?;
    let file = open::file(&path, true)?;
    let bar = Bar::new("checking");
    let checked = store_file::check(&file, &mut |progress| bar.tell(progress));
    bar.clear();
    let violations = match checked {
        Ok(report) if arguments.json => {
            return output::json(&json!({
                "ok": true,
                "messages": report.messages,
                "deliveries": report.deliveries,
                "rows": report.rows,
            }));
        }
        Ok(report) => {
            return output::text(&format!(
                "{}: fine: {} messages, {} deliveries, {} journal rows",
                path.display(),
                report.messages,
                report.deliveries,
                report.rows
            ));
        }
        Err(CheckError::Violations(violations)) => violations,
        Err(cause @ CheckError::Read(_)) => {
            return Err(Failure::failed(cause)
                .context(path.display().to_string())
                .hint("put a backup in its place"));
        }
    };
    let lines: Vec<_> = violations.iter().map(ToString::to_string).collect();
    if arguments.json {
        output::json(&json!({ "ok": false, "violations": lines }))?;
    } else {
        output::text(&lines.join("\n"))?;
    }
    let count = lines.len();
    let broken = anyhow::anyhow!("{}: {count} things are wrong", path.display());
    Err(Failure::failed(broken).hint(
        "put a backup in its place; what is said above can be read is still sent by a host that runs on it",
    ))
}
