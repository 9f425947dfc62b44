//! The demo's messages, made of real payloads.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::{json, value::RawValue};

use crate::root;

/// A message in the JSON form, and its id.
pub(crate) struct Message {
    pub(crate) id: String,
    pub(crate) line: String,
}

/// All sample payloads, `rounds` times over, each time under ids of their own.
pub(crate) fn all(rounds: usize) -> Result<Vec<Message>> {
    let data = root().join("tests/data");
    let folders = [
        ("github", "github-webhooks"),
        ("stripe", "vendor-events/stripe"),
        ("cloud", "cloudevents/data-payloads"),
    ];
    let mut messages = Vec::new();
    for (vendor, folder) in folders {
        for (name, payload) in read(&data.join(folder))? {
            for round in 0..rounds {
                messages.push(message(vendor, &name, &payload, round)?);
            }
        }
    }
    Ok(messages)
}

fn message(vendor: &str, name: &str, payload: &str, round: usize) -> Result<Message> {
    let id: String = format!("{vendor}-{name}-{round}")
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .take(64)
        .collect();
    // Sample files are indented; a line of NDJSON is not.
    let compact: serde_json::Value = serde_json::from_str(payload)?;
    let payload: Box<RawValue> = RawValue::from_string(compact.to_string())?;
    let line = serde_json::to_string(&json!({
        "id": id,
        "attributes": { "type": format!("{vendor}.{name}") },
        "payload_json": payload,
    }))?;
    Ok(Message { id, line })
}

/// Names (without `.json`) and texts of a folder's files, sorted.
fn read(folder: &Path) -> Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    for entry in
        std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?
    {
        let path = entry?.path();
        let name = path
            .file_stem()
            .context("a file has a name")?
            .to_string_lossy()
            .into_owned();
        files.push((name, std::fs::read_to_string(&path)?));
    }
    files.sort();
    Ok(files)
}
