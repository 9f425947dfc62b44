//! The `audit` plugin: one structured log line for every stored transition.
//!
//! A **post-event** hook. Each event of the journal becomes one line in the host's log, written
//! after the transition is on disk, in journal order, at least once: after a crash some lines may
//! come again, and the `cursor` field tells which.
//!
//! ```toml
//! [hooks]
//! post-event = ["audit"]
//! ```
//!
//! A line says `delivery retrying`, `message unroutable` for a message without deliveries, or
//! `journal gap` where the host had to remove events that a hook had yet to be told, and carries
//! fields:
//!
//! | field | value |
//! | --- | --- |
//! | `cursor` | position in the journal |
//! | `message_id` | the message's id, where there is one |
//! | `delivery`, `channel` | the delivery's number and its channel, where there are any |
//! | `from`, `to` | status before (not on the first event) and after |
//! | `cause` | why, such as `accepted`, `sent`, `failed` |
//! | `attempt` | which attempt led here, where one did |
//! | `at` | when, RFC 3339 in UTC with milliseconds |
//! | `code`, `reason` | what the attempt said, where it said something |
//! | `first`, `last` | of a gap, the cursors of the events that are missing |
//!
//! # Settings
//!
//! - `level` (default `info`): how loud the lines are: `trace`, `debug`, `info`, `warn` or `error`.
//!
//! # What it does not do
//!
//! The host limits how much a plugin may log, and a log can be lost: this is a trail to read, not
//! the record of truth. That is the journal itself. Attributes, headers and payloads are never
//! logged.

mod bindings;
mod line;

use std::cell::OnceCell;

use bindings::exports::wharf::delivery::plugin::{self, Description, Needs, Setting};
use bindings::exports::wharf::delivery::post_event::{self, Event};
use bindings::wharf::delivery::log::{self, Level};
use wharf_plugin_common::setting;

struct Audit;

thread_local! {
    /// The parsed setting: settings are constant for an instance's life.
    static LEVEL: OnceCell<Result<Level, String>> = const { OnceCell::new() };
}

impl post_event::Guest for Audit {
    fn handle(events: Vec<Event>) -> Result<(), String> {
        let level = LEVEL.with(|level| level.get_or_init(level_set).clone())?;
        for event in &events {
            log::log(level, &line::text(event), &line::fields(event));
        }
        Ok(())
    }
}

fn level_set() -> Result<Level, String> {
    line::level(setting::get("level")?.as_deref())
}

impl plugin::Guest for Audit {
    fn describe() -> Description {
        Description {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            summary: "logs one structured line for every stored transition".to_owned(),
            settings: vec![Setting {
                key: "level".to_owned(),
                doc: "How loud the lines are: trace, debug, info, warn or error.".to_owned(),
                required: false,
                secret: false,
                default: Some("info".to_owned()),
            }],
            needs: vec![Needs {
                hook: "post-event".to_owned(),
                attributes: Some(vec![]),
                headers: Some(vec![]),
                payload: false,
            }],
        }
    }
}
