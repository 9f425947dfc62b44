//! The `envelope-http` plugin: delivers an agent's message as it is, to the endpoint that it names.
//!
//! A **request-channel**, for messages of a DIDComm agent's outbound queue: each names its own
//! endpoint, and the agent there expects exactly the headers and bytes that the sending agent
//! wrote. So the request is a `POST` with these and nothing else: no signature, no webhook headers,
//! no content type where the message has none.
//!
//! ```toml
//! [plugins.envelope-http]
//! allow-http = ["https://agent.example", "https://*.mediators.example"]
//!
//! [[channel]]
//! name = "agents"
//! plugin = "envelope-http"
//!
//! [channel.config]
//! timeout = "30s"
//! ```
//!
//! # Settings
//!
//! | key | default | meaning |
//! | --- | --- | --- |
//! | `timeout` | `15s` | for one exchange, connecting included, such as `15s`, `1500ms`, `1m` |
//! | `reject-on` | `[]` | statuses (300 to 599) that are final: the delivery is `rejected` instead of tried again |
//!
//! There is no setting for a URL, a method or headers: what is sent, and where, is the message's to
//! say. What a channel is to add to every message, an enricher such as `stamp` adds.
//!
//! # The request
//!
//! All headers of the message are handed to the host, in order and as they are spelled. What the
//! host takes from no plugin it does not take from this one: it writes `host` and `content-length`
//! itself, drops `connection`, `transfer-encoding` and `upgrade`, and names itself in `user-agent`
//! where the message has none. The body goes from the host to the receiver: the plugin does not ask
//! for it.
//!
//! # Faults
//!
//! | code | kind | when |
//! | --- | --- | --- |
//! | `no-endpoint` | rejected | the message has no endpoint, or an empty one |
//! | `unsupported-scheme` | rejected | the endpoint does not begin with `http://` or `https://` and a host: so `ws:`, `wss:` and `didcomm:` are refused |
//! | `refused-by-guard` | retry, scope destination | the plugin's `allow-http` does not name the endpoint, or its address is no public one |
//! | `bad-setting` | retry, scope channel | a setting cannot be used; the reason names it |
//!
//! What an answer means, or that none came, is as in `http`: 2xx is delivered, what is in
//! `reject-on` rejected, and everything else tried again, 410 with the wish to pause the destination
//! and `Retry-After` passed on.
//!
//! # Limits of the choice
//!
//! The message's id is not sent, since no header is added: a receiver tells a repeat only by what
//! the payload holds. The answer's body is not looked at, so a message that an agent sends back on
//! the same connection (return routing) is lost.

mod bindings;
mod exchange;
mod settings;

use std::cell::OnceCell;

use bindings::exports::wharf::delivery::plugin::{self, Description, Needs, Setting};
use bindings::exports::wharf::delivery::request_channel::{
    self, Call, NoAnswer, Operation, Outcome, Response, Step,
};
use settings::Settings;
use wharf_plugin_common::answer::no_poll;
use wharf_plugin_common::request::TIMEOUT_DEFAULT;
use wharf_plugin_common::setting::{self, Problem};

struct EnvelopeHttp;

thread_local! {
    /// Parsed once: settings are constant for an instance's life.
    static SETTINGS: OnceCell<Result<Settings, Problem>> = const { OnceCell::new() };
}

impl request_channel::Guest for EnvelopeHttp {
    fn start(_: Call, op: Operation) -> Step {
        match op {
            Operation::Send(wire) => with_settings(|settings| exchange::request(settings, wire)),
            Operation::Poll(_) => Step::Done(Err(no_poll("envelope-http"))),
        }
    }

    fn resume(c: Call, _: Vec<u8>, answer: Result<Response, NoAnswer>) -> Step {
        with_settings(|settings| Step::Done(Ok(exchange::outcome(settings, &answer, c.now_ms))))
    }
}

fn with_settings(then: impl FnOnce(&Settings) -> Step) -> Step {
    let read = || Settings::read(setting::get);
    SETTINGS.with(|cell| match cell.get_or_init(read) {
        Ok(settings) => then(settings),
        Err(problem) => Step::Done(Ok(Outcome::Retry(setting::bad(problem)))),
    })
}

impl plugin::Guest for EnvelopeHttp {
    fn describe() -> Description {
        let setting = |key: &str, doc: &str, default: &str| Setting {
            key: key.to_owned(),
            doc: doc.to_owned(),
            required: false,
            secret: false,
            default: Some(default.to_owned()),
        };
        Description {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            summary: "posts a message to the endpoint that it names, with its headers alone"
                .to_owned(),
            settings: vec![
                setting(
                    "timeout",
                    "Time for one exchange, connecting included, such as 15s or 1500ms.",
                    TIMEOUT_DEFAULT,
                ),
                setting(
                    "reject-on",
                    "Statuses from 300 to 599 that are final instead of tried again: a list of \
                     numbers.",
                    "[]",
                ),
            ],
            needs: vec![Needs {
                hook: "request-channel".to_owned(),
                attributes: Some(vec![]),
                headers: None,
                payload: false,
            }],
        }
    }
}
