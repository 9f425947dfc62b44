//! The `cloudevents` plugin: turns a message into a CloudEvent, as an HTTP request carries it.
//!
//! A **converter**, for [CloudEvents] 1.0 and its HTTP binding. In `binary` mode the context
//! attributes become `ce-` headers, and the body stays as it is; in `structured` mode attributes
//! and data become one JSON object.
//!
//! With `convert = ["cloudevents"]` on a channel, or with settings:
//!
//! ```toml
//! convert = [
//!     { plugin = "cloudevents", config = { mode = "structured", source = "https://shop.example", type = "order.changed" } },
//! ]
//! ```
//!
//! # Settings
//!
//! | key | default | meaning |
//! | --- | --- | --- |
//! | `mode` | `binary` | `binary` or `structured` |
//! | `source` | `wharf` | the `source` of a message that has no such attribute: a URI reference |
//! | `type` | none | the `type` of a message that has no such attribute |
//!
//! # Where the attributes come from
//!
//! | attribute | from |
//! | --- | --- |
//! | `specversion` | always `1.0` |
//! | `id` | the message's attribute, else the message id |
//! | `source`, `type` | the message's attribute, else the setting |
//! | `subject`, `dataschema` | the message's attribute |
//! | `time` | the message's attribute, else when the message was accepted |
//! | `datacontenttype` | the header `content-type`; in binary mode it stays that header |
//! | `partitionkey` | the ordering key, else the message's attribute |
//! | `expirytime` | the message's attribute, else when the message expires |
//! | `traceparent` | the message's attribute, else the trace context that the message came with |
//! | extensions | every other attribute of the message that has a legal name |
//!
//! A legal name has lower-case letters `a` to `z` and digits, and is not `data`. Attributes with
//! other names are left out. Names longer than the 20 characters that the specification recommends
//! as the most are kept: receivers take them, and a lost attribute is worse.
//!
//! # Binary mode
//!
//! In a header's value, space, `"`, `%` and everything that is not printable ASCII is
//! percent-encoded. Headers with `ce-` that the message brought are replaced, or dropped where the
//! event has no such attribute; all others stay. A message without `content-type` gets none here:
//! it is the channel that decides what it sends then.
//!
//! # Structured mode
//!
//! The header `content-type` becomes `application/cloudevents+json`, without the charset that the
//! specification's examples show: JSON is always UTF-8, and the media type has no such parameter.
//! Other headers stay, but for those with `ce-`. The data is, by the header `content-type`:
//!
//! | content | member |
//! | --- | --- |
//! | `*/json`, `*/*+json`, if it is valid JSON | `data`, the JSON text itself: numbers keep their exact digits |
//! | `text/*`, `application/xml`, `*/*+xml`, if it is valid UTF-8 and names no other charset | `data`, a JSON string |
//! | anything else, and what has no `content-type` | `data_base64` |
//! | an empty body | none |
//!
//! # Faults
//!
//! | code | kind | when |
//! | --- | --- | --- |
//! | `no-type` | rejected | neither the message nor the setting `type` says what type of event it is |
//! | `bad-attribute` | rejected | an attribute cannot have its value (`time` is no RFC 3339 time, `source` no URI reference, a text has control characters, …); the reason names the attribute |
//! | `nested-event` | rejected | binary mode, and `content-type` starts with `application/cloudevents`: a receiver would take the body for the event |
//! | `bad-setting` | retry, scope channel | a setting cannot be used; the reason names it |
//!
//! # Limits of the choice
//!
//! Attributes of a message are text, so every extension is of the type String: what came in as the
//! number `5` goes out as `"5"`. All legal attributes are told to the receiver, `endpoint`, which
//! says where a message goes, among them. One message is one event: batches are not made.
//!
//! [CloudEvents]: https://github.com/cloudevents/spec/tree/v1.0.2/cloudevents

mod attribute;
mod bindings;
mod event;
mod header;
mod json;
mod settings;
#[cfg(test)]
mod tests;

use std::cell::OnceCell;

use bindings::exports::wharf::delivery::converter::{self, Call, Fault, Wire};
use bindings::exports::wharf::delivery::plugin::{self, Description, Needs, Setting};
use event::{Event, Refused};
use settings::{Mode, Settings};
use wharf_plugin_common::refusal;
use wharf_plugin_common::setting::{self, Problem};

const STRUCTURED: &str = "application/cloudevents+json";

struct CloudEvents;

thread_local! {
    /// Parsed once: settings are constant for an instance's life.
    static SETTINGS: OnceCell<Result<Settings, Problem>> = const { OnceCell::new() };
}

impl converter::Guest for CloudEvents {
    fn convert(c: Call, msg: Wire) -> Result<Wire, Fault> {
        SETTINGS.with(
            |cell| match cell.get_or_init(|| Settings::read(setting::get)) {
                Ok(settings) => convert(settings, c, msg).map_err(|refused| rejected(&refused)),
                Err(problem) => Err(Fault::Retry(setting::bad(problem))),
            },
        )
    }
}

fn convert(settings: &Settings, c: Call, msg: Wire) -> Result<Wire, Refused> {
    let event = Event::new(settings, c, &msg.headers)?;
    let mut headers = msg.headers;
    headers.retain(|(name, _)| !is_events(name));
    let body = match settings.mode {
        Mode::Binary if event.is_nested() => return Err(Refused::Nested),
        Mode::Binary => {
            let attributes = event.attributes.iter();
            headers.extend(
                attributes.map(|(name, value)| (format!("ce-{name}"), header::encode(value))),
            );
            msg.body
        }
        Mode::Structured => {
            headers.retain(|(name, _)| !name.eq_ignore_ascii_case("content-type"));
            headers.push(("content-type".to_owned(), STRUCTURED.to_owned()));
            json::object(&event, &msg.body)
        }
    };
    Ok(Wire {
        endpoint: msg.endpoint,
        headers,
        body,
    })
}

/// Whether a header of this name holds an attribute of an event.
fn is_events(name: &str) -> bool {
    let prefix = name.get(..3);
    prefix.is_some_and(|prefix| prefix.eq_ignore_ascii_case("ce-"))
}

fn rejected(refused: &Refused) -> Fault {
    let code = match refused {
        Refused::NoType => "no-type",
        Refused::BadAttribute { .. } => "bad-attribute",
        Refused::Nested => "nested-event",
    };
    Fault::Rejected(refusal::new(code, refused))
}

impl plugin::Guest for CloudEvents {
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
            summary: "turns a message into a CloudEvent, in binary or structured mode".to_owned(),
            settings: vec![
                setting(
                    "mode",
                    "binary puts the attributes into ce- headers, structured puts attributes and \
                     data into one JSON object.",
                    Some(settings::MODE_DEFAULT),
                ),
                setting(
                    "source",
                    "The source of a message that has no such attribute: a URI reference.",
                    Some(settings::SOURCE_DEFAULT),
                ),
                setting(
                    "type",
                    "The type of a message that has no such attribute.",
                    None,
                ),
            ],
            needs: vec![Needs {
                hook: "converter".to_owned(),
                attributes: None,
                headers: None,
                payload: true,
            }],
        }
    }
}
