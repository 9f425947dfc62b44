//! The `template` plugin: writes a message as text, from a template.
//!
//! A **converter**. The body, and where wanted headers and the endpoint, are made from templates in
//! the language [Jinja], as [minijinja] has it.
//!
//! With settings, on a channel:
//!
//! ```toml
//! [[channel.convert]]
//! plugin = "template"
//! config.body = """
//! {{ attributes.type }} from {{ message.route }}:
//! {% for line in json.lines %}- {{ line.quantity }} × {{ line.name }}
//! {% endfor %}"""
//! config.headers = { x-title = "order {{ json.id }}" }
//! config.endpoint = "https://ntfy.example/{{ attributes.tenant | urlencode }}"
//! ```
//!
//! # Settings
//!
//! | key | default | meaning |
//! | --- | --- | --- |
//! | `body` | required | the template of the body |
//! | `content-type` | `text/plain; charset=utf-8` | the header of that name; no template |
//! | `headers` | none | a table: header name to template; a header of that name is replaced |
//! | `endpoint` | none | the template of the endpoint; an empty result leaves it to the channel |
//! | `escape` | `none` | how what `{{ … }}` gives is escaped in the body: `none`, `html`, or `json`, where each is written as a JSON value (text with its quotes) |
//!
//! An endpoint that a template makes came with the message, as the channel sees it: where the host
//! asks for a grant for those, such as `allow-http`, it asks for one here.
//!
//! # Variables
//!
//! | variable | value |
//! | --- | --- |
//! | `message.id`, `message.channel`, `message.route` | the message's id, names of the delivery's channel and route |
//! | `message.attempt` | which attempt this is, from 1 |
//! | `message.accepted`, `message.now` | when the message was accepted, and the host's clock: RFC 3339 in UTC with milliseconds |
//! | `message.ordering_key` | the ordering key, where there is one |
//! | `attributes.type`, `attributes["tenant-id"]` | the message's attributes |
//! | `headers["content-type"]` | its headers, names in lower case; values of one name are joined by `, ` |
//! | `body` | the body as text, where it is UTF-8 |
//! | `json` | the body as JSON, where it is JSON (nested 127 deep at most) |
//!
//! What is not there is undefined, and using it is an error, in `{% if … %}` too: ask with
//! `is defined`, or give another value with `| default("…")`. Statements are `for`, `if`, `set`,
//! `with`, `filter`, `autoescape`, `do` and `raw`; there are the filters, tests and functions of
//! minijinja with `tojson` and `urlencode` (which leaves `/` as it is). One line break at the end of
//! a template is taken off.
//!
//! # Faults
//!
//! | code | kind | when |
//! | --- | --- | --- |
//! | `template-failed` | rejected | a template cannot be made of this message; the reason names the template, the line and the expression |
//! | `template-limit` | rejected | a template runs too long, or its result is larger than 16 MiB (8 KiB for a header and the endpoint) |
//! | `bad-header` | rejected | what became of a header's template has control characters, such as a line break |
//! | `bad-setting` | retry, scope channel | a setting cannot be used, or a template names a filter, test or function that does not exist; the reason names it |
//!
//! A reason shows pieces of templates, never of messages.
//!
//! # Limits of the choice
//!
//! Numbers are numbers: `1.50` of the body is written `1.5` (`{{ "%.2f" | format(json.amount) }}`
//! writes two digits), and what 64 bits cannot hold loses digits; objects have their keys in
//! alphabetical order. `json-map` keeps both as they are written. Unescaped, what is no text is
//! written the way Python does: `True`, `None`, `['a']`; `tojson` writes it as JSON.
//!
//! No macros, includes or inheritance: a template is one text. Unknown filters are found only when a
//! message comes to them. `json` holds the whole body as values, which take many times its size in
//! memory: for payloads of several MiB raise the plugin's `memory-max`. The component is seven times
//! as large as `json-map`, for the language that is in it.
//!
//! [Jinja]: https://jinja.palletsprojects.com/en/stable/templates/
//! [minijinja]: https://docs.rs/minijinja/latest/minijinja/syntax/

mod bindings;
mod filter;
mod render;
mod scope;
mod settings;
#[cfg(test)]
mod tests;

use std::cell::OnceCell;

use bindings::exports::wharf::delivery::converter::{self, Call, Fault, Wire};
use bindings::exports::wharf::delivery::plugin::{self, Description, Needs, Setting};
use minijinja::Value;
use render::{BODY_BYTES_MAX, Failed, LINE_BYTES_MAX, Why};
use scope::Scope;
use settings::Settings;
use wharf_plugin_common::header::is_value;
use wharf_plugin_common::refusal;
use wharf_plugin_common::setting::{self, Problem};

struct Template;

thread_local! {
    /// Parsed once: settings are constant for an instance's life.
    static SETTINGS: OnceCell<Result<Settings, Problem>> = const { OnceCell::new() };
}

impl converter::Guest for Template {
    fn convert(c: Call, msg: Wire) -> Result<Wire, Fault> {
        SETTINGS.with(
            |cell| match cell.get_or_init(|| Settings::read(setting::get)) {
                Ok(settings) => convert(settings, c, msg),
                Err(problem) => Err(Fault::Retry(setting::bad(problem))),
            },
        )
    }
}

fn convert(settings: &Settings, c: Call, msg: Wire) -> Result<Wire, Fault> {
    let scope = Value::from_object(Scope::new(c, &msg.headers, msg.body));
    let render = |name: &str, bytes_max| {
        let rendered = settings.templates.render(name, &scope, bytes_max);
        rendered.map_err(|failed| fault(&failed))
    };
    let line = |name: &str| {
        let line = render(name, LINE_BYTES_MAX)?;
        Ok(String::from_utf8_lossy(&line).into_owned())
    };

    let body = render(settings::BODY, BODY_BYTES_MAX)?;
    let endpoint = match settings.has_endpoint {
        true => Some(line(settings::ENDPOINT)?).filter(|endpoint| !endpoint.is_empty()),
        false => msg.endpoint,
    };
    let mut headers = msg.headers;
    let mut set = |name: &str, value: String| {
        headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        headers.push((name.to_owned(), value));
    };
    set("content-type", settings.content_type.clone());
    for header in &settings.headers {
        let value = line(&header.template)?;
        if !is_value(&value) {
            let reason = format!(
                "template `{}`: it makes control characters, which no header can have",
                header.template
            );
            return Err(Fault::Rejected(refusal::new("bad-header", reason)));
        }
        set(&header.name, value);
    }
    Ok(Wire {
        endpoint,
        headers,
        body,
    })
}

fn fault(failed: &Failed) -> Fault {
    let code = match failed.why {
        Why::Unknown(_) => return Fault::Retry(setting::bad(failed)),
        Why::Message(_) => "template-failed",
        Why::OutOfFuel | Why::TooLarge { .. } => "template-limit",
    };
    Fault::Rejected(refusal::new(code, failed))
}

impl plugin::Guest for Template {
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
            summary: "writes a message as text, from a template".to_owned(),
            settings: vec![
                Setting {
                    required: true,
                    ..setting(
                        settings::BODY,
                        "The template of the body: Jinja, with message, attributes, headers, body \
                         and json.",
                        None,
                    )
                },
                setting(
                    "content-type",
                    "The header content-type of the result; no template.",
                    Some(settings::CONTENT_TYPE_DEFAULT),
                ),
                setting(
                    "headers",
                    "A table of header name to template; a header of that name is replaced.",
                    None,
                ),
                setting(
                    settings::ENDPOINT,
                    "The template of the endpoint; an empty result leaves it to the channel.",
                    None,
                ),
                setting(
                    "escape",
                    "How values are escaped in the body: none, html, or json, which writes each as \
                     a JSON value.",
                    Some(settings::ESCAPE_DEFAULT),
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
