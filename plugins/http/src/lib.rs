//! The `http` plugin: delivers a message as one signed HTTP request.
//!
//! A **request-channel**: it says which request to make and what the answer means; the host does
//! the exchange. The body is sent exactly as the last converter gave it. Requests are signed as
//! [Standard Webhooks] 1.0 asks, so any receiver library of that standard can check them.
//!
//! ```toml
//! [[channel]]
//! name = "partner-a"
//! plugin = "http"
//!
//! [channel.config]
//! url = "https://partner.example/hooks"
//! secret = { env = "PARTNER_A_SECRET" }
//! reject-on = [400, 422]
//! ```
//!
//! # Settings
//!
//! | key | default | meaning |
//! | --- | --- | --- |
//! | `url` | none | where to send what names no endpoint of its own; a message's own endpoint wins |
//! | `method` | `POST` | the request's method, written in upper case |
//! | `secret` | none | `whsec_` + base64 of 24 to 64 bytes (HMAC-SHA256, `v1`; the prefix may be missing), or `whsk_` + base64 of an ed25519 key, 32-byte seed or 64-byte pair (`v1a`) |
//! | `secret-previous` | none | the secret before the last change: while it is set, each request carries both signatures |
//! | `timeout` | `15s` | for one exchange, connecting included, such as `15s`, `1500ms`, `1m` |
//! | `headers` | none | extra headers, a table of name to value; they replace the message's of the same name |
//! | `reject-on` | `[]` | statuses (300 to 599) that are final: the delivery is `rejected` instead of tried again |
//!
//! A setting that cannot be used fails every attempt with the code `bad-setting`, scope `channel`,
//! and a reason that names the setting, never its value.
//!
//! # The request
//!
//! - `webhook-id` is the idempotency key, the same on every attempt; `webhook-timestamp` is this
//!   attempt's time in seconds; `webhook-signature` signs `{id}.{timestamp}.{body}`. Without a
//!   secret the first two are still sent.
//! - The message's headers are passed on, in order, but for those that belong to one connection
//!   (`connection` and what it lists, `keep-alive`, `te`, `trailer`, `transfer-encoding`,
//!   `upgrade`, `expect`, `proxy-…`), `host`, `content-length`, and the three above.
//! - A message with trace context is sent on with a `traceparent` header: a child of it, a new one for each
//!   attempt. It takes the place of a header of that name.
//! - A message without `content-type` is sent as `application/octet-stream`: its bytes are not
//!   looked at.
//!
//! # What an answer means
//!
//! | answer | outcome | effect | scope |
//! | --- | --- | --- | --- |
//! | 2xx | delivered; `location` becomes the reference | | |
//! | a status in `reject-on` | rejected, `http-<status>` | | |
//! | 410 | retry, and asks the host to pause the destination | none | destination |
//! | 429 | retry | none | destination |
//! | other 4xx | retry | none | message |
//! | 503 with `Retry-After` | retry | none | destination |
//! | 502, 503, 504 | retry | unknown | destination |
//! | 3xx (never followed), other 5xx | retry | unknown | message |
//! | no answer: `dns`, `connect`, `tls`, `timeout`, `closed`, `protocol` | retry | unknown once anything was sent, else none | destination |
//! | `refused-by-guard` | retry | none | channel; destination where the endpoint came with the message |
//! | no endpoint at all, or not an `http` or `https` URL | rejected, `no-endpoint` or `bad-endpoint` | | |
//!
//! A retry's code is `http-<status>` or the word in the table. `Retry-After` (seconds or a date) is
//! passed on with every status that is not 2xx. The response's body is not looked at, and never
//! reaches the journal.
//!
//! # Limits of the choice
//!
//! A 202 is a success here: nothing is polled. The whole body passes through the plugin even where
//! no secret is set, because what a hook needs is told once a plugin, not once a configuration.
//!
//! [Standard Webhooks]: https://www.standardwebhooks.com

mod answer;
mod bindings;
mod request;
mod settings;
mod signer;

use std::cell::OnceCell;

use bindings::exports::wharf::delivery::plugin::{self, Description, Needs, Setting};
use bindings::exports::wharf::delivery::request_channel::{
    self, Call, NoAnswer, Operation, Outcome, Response, Step,
};
use settings::Settings;
use wharf_plugin_common::answer::no_poll;
use wharf_plugin_common::request::TIMEOUT_DEFAULT;
use wharf_plugin_common::setting::{self, Problem};

struct Http;

thread_local! {
    /// Parsed once: settings are constant for an instance's life.
    static SETTINGS: OnceCell<Result<Settings, Problem>> = const { OnceCell::new() };
}

impl request_channel::Guest for Http {
    fn start(c: Call, op: Operation) -> Step {
        match op {
            Operation::Send(wire) => with_settings(|settings| request::step(settings, &c, wire)),
            Operation::Poll(_) => Step::Done(Err(no_poll("http"))),
        }
    }

    fn resume(c: Call, state: Vec<u8>, answer: Result<Response, NoAnswer>) -> Step {
        with_settings(|settings| {
            Step::Done(Ok(match answer {
                Ok(response) => answer::outcome(&response, &settings.reject_on, c.now_ms),
                Err(no_answer) => answer::no_answer(&no_answer, request::Origin::of(&state)),
            }))
        })
    }
}

fn with_settings(then: impl FnOnce(&Settings) -> Step) -> Step {
    let read = || Settings::read(setting::get);
    SETTINGS.with(|cell| match cell.get_or_init(read) {
        Ok(settings) => then(settings),
        Err(problem) => Step::Done(Ok(Outcome::Retry(setting::bad(problem)))),
    })
}

impl plugin::Guest for Http {
    fn describe() -> Description {
        let setting = |key: &str, doc: &str, default: Option<&str>| Setting {
            key: key.to_owned(),
            doc: doc.to_owned(),
            required: false,
            secret: false,
            default: default.map(str::to_owned),
        };
        let secret = |key: &str, doc: &str| Setting {
            secret: true,
            ..setting(key, doc, None)
        };
        Description {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            summary: "delivers a message as one HTTP request, signed as a standard webhook"
                .to_owned(),
            settings: vec![
                setting(
                    "url",
                    "Where to send what names no endpoint of its own: an http or https URL.",
                    None,
                ),
                setting(
                    "method",
                    "The request's method.",
                    Some(settings::METHOD_DEFAULT),
                ),
                secret(
                    "secret",
                    "What requests are signed with: whsec_ and base64 of 24 to 64 bytes \
                     (HMAC-SHA256), or whsk_ and base64 of an ed25519 key.",
                ),
                secret(
                    "secret-previous",
                    "The secret before the last change: while it is set, each request carries \
                     both signatures.",
                ),
                setting(
                    "timeout",
                    "Time for one exchange, connecting included, such as 15s or 1500ms.",
                    Some(TIMEOUT_DEFAULT),
                ),
                setting(
                    "headers",
                    "Extra headers: a table of name to value; they replace the message's of the \
                     same name.",
                    None,
                ),
                setting(
                    "reject-on",
                    "Statuses from 300 to 599 that are final instead of tried again: a list of \
                     numbers.",
                    Some("[]"),
                ),
            ],
            needs: vec![Needs {
                hook: "request-channel".to_owned(),
                attributes: Some(vec![]),
                headers: None,
                payload: true,
            }],
        }
    }
}
