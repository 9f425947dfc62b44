//! A channel that makes its own HTTP requests, through `wasi:http`: a power that no plugin has by itself.
//!
//! It sends the wire form to its endpoint, `times` times at once, with the method `method` (`POST`), and waits
//! `first-byte-ms` for an answer. The last request is looked at first. `on-error` says what becomes of one that fails:
//! with `trap` it panics, else its code is the failure's.

mod bindings {
    wit_bindgen::generate!({
        path: "../../../wit",
        inline: "
            package wharf:guests;
            world wants-http {
                include wharf:delivery/channel-plugin@0.1.0-draft.4;
                include wharf:delivery/with-http@0.1.0-draft.4;
            }
        ",
        world: "wharf:guests/wants-http",
        generate_all,
    });
}

use bindings::exports::wharf::delivery::channel::Guest;
use bindings::wasi::http::outgoing_handler::handle;
use bindings::wasi::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, IncomingBody, IncomingResponse, Method,
    OutgoingBody, OutgoingRequest, RequestOptions, Scheme,
};
use bindings::wasi::io::streams::StreamError;
use bindings::wharf::delivery::types::{Call, Effect, Failure, Outcome, Receipt, Scope, Wire};

struct WantsHttp;

impl Guest for WantsHttp {
    fn send(call: Call, message: Wire) -> Outcome {
        let attribute = |name: &str| {
            let found = call.attributes.iter().find(|(key, _)| key == name);
            found.map(|(_, value)| value.as_str())
        };
        let times = attribute("times").map_or(1, |times| times.parse().unwrap());
        let method = attribute("method").unwrap_or("POST");
        let first_byte_ms = attribute("first-byte-ms").map(|ms| ms.parse().unwrap());
        let begun: Result<Vec<_>, ErrorCode> = (0..times)
            .map(|_| begin(method, &message, first_byte_ms))
            .collect();
        let answers = begun.and_then(|begun| {
            begun
                .iter()
                .rev()
                .map(answer)
                .collect::<Result<Vec<_>, _>>()
        });
        match answers {
            Ok(answers) => Outcome::Delivered(Receipt {
                reference: None,
                notes: answers,
            }),
            Err(code) if attribute("on-error") == Some("trap") => panic!("no answer: {code:?}"),
            Err(code) => Outcome::Retry(Failure {
                code: "no-answer".to_owned(),
                reason: format!("{code:?}"),
                effect: Effect::Unknown,
                scope: Scope::Destination,
                pause: false,
                after_ms: None,
                notes: Vec::new(),
            }),
        }
    }

    fn poll(_call: Call, _token: String) -> Result<Outcome, Failure> {
        unreachable!("nothing is pending")
    }
}

fn begin(
    method: &str,
    message: &Wire,
    first_byte_ms: Option<u64>,
) -> Result<FutureIncomingResponse, ErrorCode> {
    let endpoint = message.endpoint.as_deref().unwrap();
    let (scheme, rest) = endpoint.split_once("://").unwrap();
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let headers = Fields::new();
    headers.append("x-own", b"yes").unwrap();
    let request = OutgoingRequest::new(headers);
    let scheme = match scheme {
        "https" => Scheme::Https,
        _ => Scheme::Http,
    };
    let method = match method {
        "POST" => Method::Post,
        other => Method::Other(other.to_owned()),
    };
    request.set_scheme(Some(&scheme)).unwrap();
    request.set_authority(Some(authority)).unwrap();
    request.set_path_with_query(Some(path)).unwrap();
    request.set_method(&method).unwrap();
    let body = request.body().unwrap();
    let options = RequestOptions::new();
    options
        .set_first_byte_timeout(first_byte_ms.map(|ms| ms * 1_000_000))
        .unwrap();
    let answer = handle(request, Some(options))?;
    let stream = body.write().unwrap();
    for chunk in message.body.chunks(4096) {
        // A request that was given up takes no more of its body.
        if let Err(StreamError::Closed) = stream.blocking_write_and_flush(chunk) {
            break;
        }
    }
    drop(stream);
    let _ = OutgoingBody::finish(body, None);
    Ok(answer)
}

/// The status, and the answer's body.
fn answer(begun: &FutureIncomingResponse) -> Result<(String, String), ErrorCode> {
    begun.subscribe().block();
    let response: IncomingResponse = begun.get().unwrap().unwrap()?;
    let status = response.status().to_string();
    let body = response.consume().unwrap();
    let stream = body.stream().unwrap();
    let mut bytes = Vec::new();
    loop {
        match stream.blocking_read(64 << 10) {
            Ok(chunk) => bytes.extend(chunk),
            Err(StreamError::Closed) => break,
            Err(error) => panic!("{error:?}"),
        }
    }
    drop(stream);
    let _ = IncomingBody::finish(body);
    let text = match bytes.len() {
        0..=64 => String::from_utf8(bytes).unwrap(),
        many => format!("{many} bytes"),
    };
    Ok((status, text))
}

bindings::export!(WantsHttp with_types_in bindings);
