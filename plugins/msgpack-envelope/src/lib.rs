//! The `msgpack-envelope` plugin: makes a message the element of a DIDComm agent's outbound queue.
//!
//! A **converter**. An agent that hands its outbound messages to a queue writes each as one
//! MessagePack map: the headers, the endpoint and the payload, for whoever delivers them. This
//! plugin writes the same element, byte for byte as the agent would, so that a message can go to a
//! deliverer that reads such elements.
//!
//! ```toml
//! [[channel]]
//! name = "relay"
//! plugin = "http"
//! convert = [{ plugin = "msgpack-envelope", config = { endpoint = "https://agent.example/didcomm" } }]
//!
//! [channel.config]
//! url = "https://relay.example/elements"
//! ```
//!
//! # Settings
//!
//! | key | default | meaning |
//! | --- | --- | --- |
//! | `endpoint` | none | what the element names as its endpoint where the message has none of its own |
//!
//! # The element
//!
//! A map of exactly three entries, in this order: `headers`, a map of text to text; `endpoint`, a
//! text; `payload`, bytes. Lengths are in their shortest form, as Python's `msgpack.packb` writes
//! them.
//!
//! - All headers of the message are in it, in their order and as they are spelled. The values of a
//!   repeated name, whatever its case, are joined with `, ` under its first spelling (RFC 9110,
//!   5.3), since the keys of a map are unique.
//! - The endpoint is not judged: which schemes can be delivered to is for the deliverer to say.
//! - The payload is the body as it is.
//!
//! What comes out has `application/msgpack` as its only header and no endpoint: where the element
//! itself goes is what the channel's configuration decides.
//!
//! # Faults
//!
//! | code | kind | when |
//! | --- | --- | --- |
//! | `no-endpoint` | rejected | neither the message nor the setting has an endpoint |
//! | `bad-setting` | retry, scope channel | a setting cannot be used; the reason names it |
//!
//! # Limits of the choice
//!
//! The element has no place for the message's id, so its reader cannot tell a repeat from another
//! message. Joining values changes the meaning of the few fields that are no lists: a message that
//! repeats such a field was ambiguous before.

mod bindings;
mod element;

use std::cell::OnceCell;

use bindings::exports::wharf::delivery::converter::{self, Call, Fault, Wire};
use bindings::exports::wharf::delivery::plugin::{self, Description, Needs, Setting};
use wharf_plugin_common::refusal;
use wharf_plugin_common::setting::{self, Problem};

struct MsgpackEnvelope;

/// What the element names where the message names nothing.
#[derive(Debug, PartialEq)]
struct Settings {
    endpoint: Option<String>,
}

thread_local! {
    /// Parsed once: settings are constant for an instance's life.
    static SETTINGS: OnceCell<Result<Settings, Problem>> = const { OnceCell::new() };
}

impl converter::Guest for MsgpackEnvelope {
    fn convert(_: Call, msg: Wire) -> Result<Wire, Fault> {
        let read = || Settings::read(setting::get);
        SETTINGS.with(|cell| match cell.get_or_init(read) {
            Ok(settings) => convert(settings, &msg),
            Err(problem) => Err(Fault::Retry(setting::bad(problem))),
        })
    }
}

impl Settings {
    fn read(
        get: impl Fn(&'static str) -> Result<Option<String>, Problem>,
    ) -> Result<Self, Problem> {
        let endpoint = get("endpoint")?;
        if endpoint.as_deref() == Some("") {
            return Err(Problem::new("endpoint", "must not be empty: leave it out"));
        }
        Ok(Self { endpoint })
    }
}

fn convert(settings: &Settings, msg: &Wire) -> Result<Wire, Fault> {
    let own = msg.endpoint.as_deref().filter(|own| !own.is_empty());
    let Some(endpoint) = own.or(settings.endpoint.as_deref()) else {
        let reason = "the message has no endpoint and the converter has no setting `endpoint`";
        return Err(Fault::Rejected(refusal::new("no-endpoint", reason)));
    };
    Ok(Wire {
        endpoint: None,
        headers: vec![("content-type".to_owned(), "application/msgpack".to_owned())],
        body: element::bytes(&msg.headers, endpoint, &msg.body),
    })
}

impl plugin::Guest for MsgpackEnvelope {
    fn describe() -> Description {
        Description {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            summary: "makes a message the element of a DIDComm agent's outbound queue".to_owned(),
            settings: vec![Setting {
                key: "endpoint".to_owned(),
                doc:
                    "What the element names as its endpoint where the message has none of its own."
                        .to_owned(),
                required: false,
                secret: false,
                default: None,
            }],
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
    use wharf_plugin_common::types::{Effect, Scope};

    use super::*;

    fn settings(endpoint: Option<&str>) -> Result<Settings, Problem> {
        Settings::read(|key| {
            assert_eq!(key, "endpoint");
            Ok(endpoint.map(str::to_owned))
        })
    }

    fn message(endpoint: Option<&str>) -> Wire {
        let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        Wire {
            endpoint: endpoint.map(str::to_owned),
            headers: [("Content-Type", "text/plain"), ("x-a", "1")]
                .map(own)
                .to_vec(),
            body: b"hi".to_vec(),
        }
    }

    /// The element names the message's endpoint, else the setting's; the headers are in it, and
    /// what goes on has only the type of the element and no endpoint.
    #[test]
    fn the_wire_form_is_the_element() {
        let cases = [
            (Some("ws://a"), None, "ws://a"),
            (Some("ws://a"), Some("http://b"), "ws://a"),
            (Some(""), Some("http://b"), "http://b"),
            (None, Some("http://b"), "http://b"),
        ];
        for (own, set, named) in cases {
            let wire = convert(&settings(set).unwrap(), &message(own)).unwrap();
            assert_eq!(wire.endpoint, None);
            assert_eq!(
                wire.headers,
                [("content-type".to_owned(), "application/msgpack".to_owned())]
            );
            let expected = element::bytes(&message(None).headers, named, b"hi");
            assert_eq!(wire.body, expected, "{own:?} {set:?}");
        }
    }

    #[test]
    fn without_an_endpoint_it_is_final() {
        for own in [None, Some("")] {
            match convert(&settings(None).unwrap(), &message(own)) {
                Err(Fault::Rejected(refusal)) => assert_eq!(refusal.code, "no-endpoint"),
                other => panic!("not rejected: {other:?}"),
            }
        }
    }

    #[test]
    fn an_empty_setting_is_named() {
        let failure = setting::bad(settings(Some("")).unwrap_err());
        assert_eq!(failure.code, "bad-setting");
        assert!(
            failure.reason.starts_with("setting `endpoint` "),
            "{}",
            failure.reason
        );
        assert_eq!(
            (failure.effect, failure.scope),
            (Effect::None, Scope::Channel)
        );
    }
}
