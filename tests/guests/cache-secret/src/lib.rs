//! A request-channel that reads `secret` and `url` once and keeps them for the life of the instance, as real ones
//! do. On a host that shares instances between bindings it would sign one channel's messages with another's secret.

mod bindings {
    wit_bindgen::generate!({
        path: "../../../wit",
        world: "wharf:delivery/request-channel-plugin",
        generate_all,
    });
}

use std::sync::OnceLock;

use bindings::exports::wharf::delivery::request_channel::{
    Guest, NoAnswer, Operation, Request, Response, Step,
};
use bindings::wasi::config::store;
use bindings::wharf::delivery::types::{Call, Effect, Failure, Outcome, Receipt, Scope};

struct CacheSecret;

struct Cached {
    url: String,
    secret: String,
}

static CACHED: OnceLock<Cached> = OnceLock::new();

fn cached() -> &'static Cached {
    let setting = |key| store::get(key).unwrap().unwrap_or_default();
    CACHED.get_or_init(|| Cached {
        url: setting("url"),
        secret: setting("secret"),
    })
}

impl Guest for CacheSecret {
    fn start(_call: Call, operation: Operation) -> Step {
        let Operation::Send(_) = operation else {
            return Step::Done(Ok(delivered()));
        };
        let cached = cached();
        Step::Request(Request {
            method: "POST".to_owned(),
            url: cached.url.clone(),
            headers: vec![("x-secret".to_owned(), cached.secret.clone())],
            body: None,
            timeout_ms: None,
            state: Vec::new(),
        })
    }

    fn resume(_call: Call, _state: Vec<u8>, answer: Result<Response, NoAnswer>) -> Step {
        Step::Done(Ok(match answer {
            Ok(response) if response.status < 300 => delivered(),
            Ok(response) => failed(format!("http-{}", response.status), Effect::Unknown),
            Err(no) => failed(
                no.kind,
                if no.sent {
                    Effect::Unknown
                } else {
                    Effect::None
                },
            ),
        }))
    }
}

fn delivered() -> Outcome {
    Outcome::Delivered(Receipt {
        reference: None,
        notes: Vec::new(),
    })
}

fn failed(code: String, effect: Effect) -> Outcome {
    Outcome::Retry(Failure {
        code,
        reason: "the receiver did not take it".to_owned(),
        effect,
        scope: Scope::Destination,
        pause: false,
        after_ms: None,
        notes: Vec::new(),
    })
}

bindings::export!(CacheSecret with_types_in bindings);
