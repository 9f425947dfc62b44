//! The `stamp` plugin: adds headers and attributes made from templates.
//!
//! An **enricher**: it runs before conversion, and what it adds is seen by converters and the
//! channel.
//!
//! With `enrich = ["stamp"]` on a channel, and among the settings of that use:
//!
//! ```toml
//! headers = { x-request-id = "{channel}-{message-id}", x-accepted-at = "{accepted}" }
//! attributes = { lane = "{route}/{channel}" }
//! ```
//!
//! # Settings
//!
//! | key | default | meaning |
//! | --- | --- | --- |
//! | `headers` | see below | a table: header name to template; a header of that name is replaced |
//! | `attributes` | none | a table: attribute key to template; an attribute of that key is replaced |
//!
//! With neither set, two headers are added: `x-wharf-message-id = "{message-id}"` and
//! `x-wharf-accepted-at = "{accepted}"`. With one of them set, only what is set.
//!
//! # Placeholders
//!
//! | placeholder | value |
//! | --- | --- |
//! | `{message-id}` | the message's id |
//! | `{channel}`, `{route}` | names of the delivery's channel and route |
//! | `{attempt}` | which attempt this is, from 1 |
//! | `{now}`, `{now-ms}` | the host's clock: RFC 3339 in UTC with milliseconds; milliseconds since the Unix epoch |
//! | `{accepted}`, `{accepted-ms}` | when the message was accepted, the same two ways |
//!
//! `{{` and `}}` stand for the braces themselves. A placeholder of another name, or a brace without
//! its partner, is an error that names it: the delivery goes on without this enrichment, and the
//! journal says why.
//!
//! # Limits of the choice
//!
//! An enricher runs until an attempt's wire form is stored, and that wire form is what later
//! attempts send again: so `{attempt}` and `{now}` are those of the attempt that made it, commonly
//! the first.

mod bindings;
mod settings;
mod template;

use std::cell::OnceCell;

use bindings::exports::wharf::delivery::enricher::{self, Call, Enrichment, Wire};
use bindings::exports::wharf::delivery::plugin::{self, Description, Needs, Setting};
use settings::Settings;
use wharf_plugin_common::setting;

struct Stamp;

thread_local! {
    /// Parsed once: settings are constant for an instance's life.
    static SETTINGS: OnceCell<Result<Settings, String>> = const { OnceCell::new() };
}

impl enricher::Guest for Stamp {
    fn enrich(c: Call, _: Wire) -> Result<Enrichment, String> {
        let read = || Settings::read(setting::get);
        SETTINGS.with(|cell| match cell.get_or_init(read) {
            Ok(settings) => Ok(settings.enrichment(&c)),
            Err(reason) => Err(reason.clone()),
        })
    }
}

impl plugin::Guest for Stamp {
    fn describe() -> Description {
        let setting = |key: &str, doc: &str, default: Option<&str>| Setting {
            key: key.to_owned(),
            doc: doc.to_owned(),
            required: false,
            secret: false,
            default: default.map(str::to_owned),
        };
        Description {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            summary: "adds headers and attributes made from templates".to_owned(),
            settings: vec![
                setting(
                    "headers",
                    "A table of header name to template, with {message-id}, {channel}, {route}, \
                     {attempt}, {now}, {now-ms}, {accepted} and {accepted-ms}.",
                    Some(settings::HEADERS_DEFAULT),
                ),
                setting(
                    "attributes",
                    "A table of attribute key to template. Set alone, no headers are added.",
                    None,
                ),
            ],
            needs: vec![Needs {
                hook: "enricher".to_owned(),
                attributes: Some(vec![]),
                headers: Some(vec![]),
                payload: false,
            }],
        }
    }
}
