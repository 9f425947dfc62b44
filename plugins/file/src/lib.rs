//! The `file` plugin: appends each message to a file, as one line.
//!
//! A **channel** that does its own I/O, in a folder that it was granted:
//!
//! ```toml
//! [plugins.file]
//! folders = [{ path = "out", at = "/out", write = true }]
//!
//! [[channel]]
//! name = "archive"
//! plugin = "file"
//!
//! [channel.config]
//! path = "/out/{channel}-{date}.ndjson"
//! ```
//!
//! # Settings
//!
//! | key | default | meaning |
//! | --- | --- | --- |
//! | `path` | required | the file: `/out/…` by the place of a granted folder, or relative to the first one |
//! | `format` | `json` | what a line is: `json` or `raw`, see below |
//! | `sync` | `true` | whether a message is delivered only once its line is on disk (`fsync`); else once the system has it |
//! | `long-lines` | `refuse` | what becomes of a line above 64 KiB: `refuse`, or `parts`, see below |
//!
//! In `path`, `{channel}` is the channel's name and `{date}` the day of the attempt in UTC, such as
//! `2026-11-22`; `{{` and `}}` are the braces themselves. The file is made where it is missing, its
//! folder is not. It is opened for each line, so it can be moved away at any time.
//!
//! # A line
//!
//! - `json`: an object with the message's `id`, `attributes`, `headers` (those of the wire form),
//!   `ordering_key` where it has one, and its body: `payload_json` where the content type says JSON
//!   and the body is JSON on one line, byte for byte; else `payload` where it is text; else
//!   `payload_base64`. It is what the API takes, so `wharf send --ndjson` sends such a file again.
//!   Where a converter set another endpoint, that is not in it.
//! - `raw`: the body as it is. A line break at its very end is the line's own; a body with one
//!   anywhere else would be two lines, and is rejected with `line-break`.
//!
//! A line of up to 64 KiB, which is what a host takes of a component at once, goes out in one
//! appending write: however many write to the file, it stays whole. A longer one is rejected with
//! `line-too-long`, unless `long-lines = "parts"` lets it be written in parts: then nobody else may
//! write to the file, so the channel needs `parallelism = 1`, and a crash can leave a part of it.
//! What a crash or a full disk left of a line is ended first, so that it does not spoil the next one.
//!
//! # What can go wrong
//!
//! | code | outcome | effect | scope |
//! | --- | --- | --- | --- |
//! | `bad-setting` | retry | none | channel |
//! | `no-folder`: none was granted, or none for this path | retry | none | channel |
//! | `open-failed`: no such folder in it, or not granted for writing | retry | none | channel |
//! | `write-failed`, such as a full disk | retry | unknown: a part may be there | channel |
//! | `sync-failed` | retry | unknown: the line is in the file, perhaps not on disk | channel |
//! | `line-break`, `line-too-long` | rejected | | |
//!
//! # Limits of the choice
//!
//! At least once: after a crash, or a failed sync, a message can stand in the file twice; its `id`
//! tells. One `fsync` a message is slow on disks that are honest about it; `sync = false` trusts the
//! system until it writes by itself.

mod append;
mod bindings;
mod line;
mod path;
mod settings;

use std::cell::OnceCell;

use bindings::exports::wharf::delivery::channel::{self, Call, Failure, Outcome, Wire};
use bindings::exports::wharf::delivery::plugin::{self, Description, Needs, Setting};
use settings::{Format, Settings};
use wharf_plugin_common::answer::no_poll;
use wharf_plugin_common::setting::{self, Problem};
use wharf_plugin_common::types::Receipt;

struct File;

thread_local! {
    /// Parsed once: settings are constant for an instance's life.
    static SETTINGS: OnceCell<Result<Settings, Problem>> = const { OnceCell::new() };
}

impl channel::Guest for File {
    fn send(c: Call, msg: Wire) -> Outcome {
        let read = || Settings::read(setting::get);
        SETTINGS.with(|cell| match cell.get_or_init(read) {
            Ok(settings) => send(settings, &c, &msg),
            Err(problem) => Outcome::Retry(setting::bad(problem)),
        })
    }

    fn poll(_: Call, _: String) -> Result<Outcome, Failure> {
        Err(no_poll("file"))
    }
}

fn send(settings: &Settings, c: &Call, msg: &Wire) -> Outcome {
    let line = match settings.format {
        Format::Json => line::json(c, msg),
        Format::Raw => line::raw(msg),
    };
    let line = line.and_then(|line| settings.long_lines.check(line));
    let line = match line {
        Ok(line) => line,
        Err(refusal) => return Outcome::Rejected(refusal),
    };
    let path = settings.path.fill(c);
    match append::append(&path, &line, settings.sync) {
        Ok(()) => Outcome::Delivered(Receipt {
            reference: Some(path),
            notes: vec![],
        }),
        Err(failure) => Outcome::Retry(failure),
    }
}

impl plugin::Guest for File {
    fn describe() -> Description {
        let setting = |key: &str, doc: &str, default: Option<&str>| Setting {
            key: key.to_owned(),
            doc: doc.to_owned(),
            required: default.is_none(),
            secret: false,
            default: default.map(str::to_owned),
        };
        Description {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            summary: "appends each message to a file of a granted folder, as one line".to_owned(),
            settings: vec![
                setting(
                    "path",
                    "The file, such as /out/{channel}-{date}.ndjson: by the place of a granted \
                     folder, or relative to the first one.",
                    None,
                ),
                setting(
                    "format",
                    "What a line is: json (as the API takes it) or raw (the body).",
                    Some("json"),
                ),
                setting(
                    "sync",
                    "Whether a message is delivered only once its line is on disk: true or false.",
                    Some("true"),
                ),
                setting(
                    "long-lines",
                    "What becomes of a line above 64 KiB: refuse, or parts where nobody else writes \
                     to the file.",
                    Some("refuse"),
                ),
            ],
            needs: vec![Needs {
                hook: "channel".to_owned(),
                attributes: None,
                headers: None,
                payload: true,
            }],
        }
    }
}
