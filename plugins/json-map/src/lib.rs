//! The `json-map` plugin: picks fields of a JSON body, and renames them.
//!
//! A **converter**. It builds a new JSON object: each key of the setting `map` gets the value that
//! its JSON pointer (RFC 6901) finds in the body, a string made from a template, or a constant.
//! Values are copied as they are written, so numbers keep their exact digits and nested objects
//! their key order.
//!
//! With `convert = ["json-map"]` on a channel, and among the settings of that use:
//!
//! ```toml
//! map.id = "/data/object/id"
//! map.first = "/lines/0"
//! map.all = ""
//! map.title = { template = "{/kind} {/data/object/id}" }
//! map.version = { value = 2 }
//! ```
//!
//! The body becomes `{"all":…,"first":…,"id":…,"title":…,"version":2}`, in the order in which the
//! host hands the settings over. The header `content-type` becomes `application/json`; other headers
//! and the endpoint stay as they are.
//!
//! # Values
//!
//! | written | value |
//! | --- | --- |
//! | `"/pointer"` | what is there; `""` is the whole body |
//! | `{ template = "…{/pointer}…" }` | a string of text and of what the pointers in braces find |
//! | `{ value = … }` | this, be it text, a number, a list or a table |
//!
//! In a template, a pointer to a string gives its text, and one to anything else its JSON text as
//! it is written: `1.50`, `true`, `null`, `{"a": 1}`. `{{` and `}}` stand for the braces themselves.
//! What a pointer finds is never taken for a template.
//!
//! # Settings
//!
//! | key | default | meaning |
//! | --- | --- | --- |
//! | `map` | required | a table: key of the result to JSON pointer into the body, `{ template = "…" }` or `{ value = … }` |
//! | `missing` | `skip` | what to do where a pointer, or one of a template's, finds nothing: `skip` leaves the key out, `null` writes null, `reject` refuses the message |
//!
//! # Faults
//!
//! | code | kind | when |
//! | --- | --- | --- |
//! | `not-json` | rejected | the body is not JSON (RFC 8259, UTF-8) |
//! | `missing-field` | rejected | `missing = "reject"` and a pointer found nothing; the reason names the pointer |
//! | `bad-setting` | retry, scope channel | a setting cannot be used; the reason names it |
//!
//! # Limits of the choice
//!
//! It moves values and computes nothing: no conditions, no loops, no picked values inside of nested
//! ones. What needs more is the converter `template`, or one of one's own. Of duplicate keys in an
//! object the last one counts. A name with a `}` in it is for pointers alone: in a template the first
//! `}` ends the pointer.

mod bindings;
mod pick;
mod pointer;
mod settings;
mod template;

use std::cell::OnceCell;

use bindings::exports::wharf::delivery::converter::{self, Call, Fault, Wire};
use bindings::exports::wharf::delivery::plugin::{self, Description, Needs, Setting};
use settings::Settings;
use wharf_plugin_common::refusal;
use wharf_plugin_common::setting::{self, Problem};

struct JsonMap;

thread_local! {
    /// Parsed once: settings are constant for an instance's life.
    static SETTINGS: OnceCell<Result<Settings, Problem>> = const { OnceCell::new() };
}

impl converter::Guest for JsonMap {
    fn convert(_: Call, msg: Wire) -> Result<Wire, Fault> {
        SETTINGS.with(
            |cell| match cell.get_or_init(|| Settings::read(setting::get)) {
                Ok(settings) => convert(settings, msg),
                Err(problem) => Err(Fault::Retry(setting::bad(problem))),
            },
        )
    }
}

fn convert(settings: &Settings, msg: Wire) -> Result<Wire, Fault> {
    let body = pick::object(settings, &msg.body).map_err(|refused| rejected(&refused))?;
    let mut headers = msg.headers;
    headers.retain(|(name, _)| !name.eq_ignore_ascii_case("content-type"));
    headers.push(("content-type".to_owned(), "application/json".to_owned()));
    Ok(Wire {
        endpoint: msg.endpoint,
        headers,
        body,
    })
}

fn rejected(refused: &pick::Refused) -> Fault {
    let code = match refused {
        pick::Refused::NotJson { .. } => "not-json",
        pick::Refused::Missing { .. } => "missing-field",
    };
    Fault::Rejected(refusal::new(code, refused))
}

impl plugin::Guest for JsonMap {
    fn describe() -> Description {
        Description {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            summary: "picks fields of a JSON body, and renames them".to_owned(),
            settings: vec![
                Setting {
                    key: "map".to_owned(),
                    doc: "A table: key of the result to JSON pointer into the body, to \
                          { template = \"text with {/pointers}\" }, or to { value = a constant }."
                        .to_owned(),
                    required: true,
                    secret: false,
                    default: None,
                },
                Setting {
                    key: "missing".to_owned(),
                    doc:
                        "Where a pointer finds nothing: skip leaves the key out, null writes null, \
                          reject refuses the message."
                            .to_owned(),
                    required: false,
                    secret: false,
                    default: Some("skip".to_owned()),
                },
            ],
            needs: vec![Needs {
                hook: "converter".to_owned(),
                attributes: Some(vec![]),
                headers: None,
                payload: true,
            }],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The content type is ours, once; endpoint and other headers pass through.
    #[test]
    fn headers_and_endpoint_stay() {
        let settings = settings::tests::read(r#"{"b": "/a"}"#, None).unwrap();
        let own = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
        let msg = Wire {
            endpoint: Some("https://a.example".to_owned()),
            headers: [
                ("Content-Type", "text/plain"),
                ("x-a", "1"),
                ("content-type", "a/b"),
            ]
            .map(own)
            .to_vec(),
            body: br#"{"a": 1.0}"#.to_vec(),
        };
        assert_eq!(
            convert(&settings, msg),
            Ok(Wire {
                endpoint: Some("https://a.example".to_owned()),
                headers: [("x-a", "1"), ("content-type", "application/json")]
                    .map(own)
                    .to_vec(),
                body: br#"{"b":1.0}"#.to_vec(),
            })
        );
    }
}
