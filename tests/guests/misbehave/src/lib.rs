//! Every hook, doing whatever it is told: by the attribute `misbehave` of the call, or by the setting of that name.
//!
//! `trap`, `spin`, `hog`, `exit`, `giant`, `recurse`, `endless-log`, `sleep`, `bad-text` and `bad-place` break one
//! limit or rule each, `big-state`, `more-requests` and `long-token` one of a channel's; `nap`, `doze` and `work` take
//! their time and return, `say` logs a line, `abort-host`
//! logs one that a host can be told to abort at, `toil` computes before it waits for ever, `swell` uses 20 MiB and returns; `refuse` says no
//! in the hook's own way; `count` answers with the number of calls that this instance has served, `pry` with what it
//! could reach outside of it, `pry-folders` with what it could reach from the folder that it was given at `/granted`,
//! `extra` with the extra keys of the call. Without it, and with `none`, the hooks do what is least.

mod bindings {
    wit_bindgen::generate!({
        path: "../../../wit",
        inline: "
            package wharf:guests;
            world misbehave {
                include wharf:delivery/base@0.1.0-draft.4;
                include wharf:delivery/with-folders@0.1.0-draft.4;
                export wharf:delivery/converter@0.1.0-draft.4;
                export wharf:delivery/enricher@0.1.0-draft.4;
                export wharf:delivery/request-channel@0.1.0-draft.4;
                export wharf:delivery/channel@0.1.0-draft.4;
                export wharf:delivery/annotator@0.1.0-draft.4;
                export wharf:delivery/post-event@0.1.0-draft.4;
                export wharf:delivery/receiver@0.1.0-draft.4;
                export wharf:delivery/router@0.1.0-draft.4;
                export wharf:delivery/plugin@0.1.0-draft.4;
            }
        ",
        world: "wharf:guests/misbehave",
        generate_all,
    });
}
mod mode;
mod pry;

use std::hint::black_box;

use bindings::exports::wharf::delivery::annotator::Guest as Annotator;
use bindings::exports::wharf::delivery::channel::Guest as Channel;
use bindings::exports::wharf::delivery::converter::Guest as Converter;
use bindings::exports::wharf::delivery::enricher::{Enrichment, Guest as Enricher};
use bindings::exports::wharf::delivery::plugin::{Description, Guest as Plugin, Setting};
use bindings::exports::wharf::delivery::post_event::Guest as PostEvent;
use bindings::exports::wharf::delivery::receiver::{
    Guest as Receiver, ReceiptRequest, Reported, Update,
};
use bindings::exports::wharf::delivery::request_channel::{
    Guest as RequestChannel, NoAnswer, Operation, Request, Response, Step,
};
use bindings::exports::wharf::delivery::router::{Decision, Guest as Router, Message, Mode};
use bindings::wharf::delivery::log::{self, Level};
use bindings::wharf::delivery::types::{
    Call, Effect, Event, Failure, Fault, Outcome, Receipt, Refusal, Scope, Waiting, Wire,
};
use mode::{Left, misbehave};

struct Misbehave;

fn giant() -> Vec<u8> {
    vec![b'x'; 8 << 20]
}

/// Text that is none: a value that no contract allows.
#[allow(unsafe_code)]
fn bad_text() -> String {
    // SAFETY: none; that is the point. Nothing here looks at it, it only goes to the host.
    unsafe { String::from_utf8_unchecked(black_box(vec![0xff, 0xfe])) }
}

/// A text past the end of the memory.
#[allow(unsafe_code)]
fn bad_place() -> String {
    let end = core::ptr::without_provenance_mut(0xffff_0000);
    // SAFETY: none; as above.
    unsafe { String::from_raw_parts(black_box(end), 1 << 10, 1 << 10) }
}

fn failure(effect: Effect) -> Failure {
    Failure {
        code: "told-to".to_owned(),
        reason: "told to fail".to_owned(),
        effect,
        scope: Scope::Destination,
        pause: false,
        after_ms: None,
        notes: Vec::new(),
    }
}

fn refusal() -> Refusal {
    Refusal {
        code: "told-to".to_owned(),
        reason: "told to refuse".to_owned(),
        notes: Vec::new(),
    }
}

impl Converter for Misbehave {
    fn convert(call: Call, mut message: Wire) -> Result<Wire, Fault> {
        log::log(
            Level::Debug,
            "converting",
            &[("size".to_owned(), message.body.len().to_string())],
        );
        match misbehave(&call) {
            Left::Nothing | Left::OfChannel(_) => {}
            Left::Giant => message.body = giant(),
            Left::BadText => message.headers.push(("x".to_owned(), bad_text())),
            Left::BadPlace => message.headers.push(("x".to_owned(), bad_place())),
            Left::Refuse => return Err(Fault::Rejected(refusal())),
            Left::Answer(answer) => message.body = answer.into_bytes(),
        }
        Ok(message)
    }
}

impl Enricher for Misbehave {
    fn enrich(call: Call, _message: Wire) -> Result<Enrichment, String> {
        let value = match misbehave(&call) {
            Left::Nothing | Left::OfChannel(_) => "yes".to_owned(),
            Left::Giant => String::from_utf8(giant()).unwrap(),
            Left::BadText => bad_text(),
            Left::BadPlace => bad_place(),
            Left::Refuse => return Err("told to refuse".to_owned()),
            Left::Answer(answer) => answer,
        };
        let attributes = vec![("enriched".to_owned(), value)];
        Ok(Enrichment {
            attributes,
            headers: Vec::new(),
            notes: Vec::new(),
        })
    }
}

impl RequestChannel for Misbehave {
    fn start(call: Call, operation: Operation) -> Step {
        let mut body = None;
        let mut state = call.message_id.clone().into_bytes();
        match misbehave(&call) {
            Left::Nothing => {}
            Left::Giant => body = Some(giant()),
            Left::BadText => return Step::Done(Ok(delivered(vec![("x".to_owned(), bad_text())]))),
            Left::BadPlace => {
                return Step::Done(Ok(delivered(vec![("x".to_owned(), bad_place())])));
            }
            Left::Refuse => return Step::Done(Ok(Outcome::Rejected(refusal()))),
            Left::Answer(answer) => body = Some(answer.into_bytes()),
            Left::OfChannel("big-state") => state = vec![0; (64 << 10) + 1],
            Left::OfChannel("more-requests") => state = b"more".to_vec(),
            Left::OfChannel(_) => return Step::Done(Ok(long_token())),
        }
        let Operation::Send(wire) = operation else {
            return Step::Done(Ok(delivered(Vec::new())));
        };
        Step::Request(Request {
            method: "POST".to_owned(),
            url: wire
                .endpoint
                .unwrap_or_else(|| "http://127.0.0.1/".to_owned()),
            headers: wire.headers,
            body,
            timeout_ms: None,
            state,
        })
    }

    fn resume(call: Call, state: Vec<u8>, answer: Result<Response, NoAnswer>) -> Step {
        if state == b"more" {
            let endpoint = call
                .attributes
                .into_iter()
                .find(|(key, _)| key == "endpoint");
            return Step::Request(Request {
                method: "POST".to_owned(),
                url: endpoint.unwrap().1,
                headers: Vec::new(),
                body: None,
                timeout_ms: None,
                state,
            });
        }
        let state = String::from_utf8(state).unwrap();
        Step::Done(Ok(match answer {
            Ok(response) => delivered(vec![
                ("state".to_owned(), state),
                ("status".to_owned(), response.status.to_string()),
            ]),
            Err(no) => Outcome::Retry(Failure {
                code: no.kind,
                reason: no.detail,
                ..failure(Effect::Unknown)
            }),
        }))
    }
}

impl Channel for Misbehave {
    fn send(call: Call, message: Wire) -> Outcome {
        match misbehave(&call) {
            Left::Nothing => delivered(vec![("size".to_owned(), message.body.len().to_string())]),
            Left::Giant => {
                let giant = String::from_utf8(giant()).unwrap();
                delivered(vec![("giant".to_owned(), giant)])
            }
            Left::BadText => delivered(vec![("x".to_owned(), bad_text())]),
            Left::BadPlace => delivered(vec![("x".to_owned(), bad_place())]),
            Left::Refuse => Outcome::Rejected(refusal()),
            Left::Answer(answer) => delivered(vec![("answer".to_owned(), answer)]),
            Left::OfChannel(_) => long_token(),
        }
    }

    fn poll(call: Call, token: String) -> Result<Outcome, Failure> {
        match misbehave(&call) {
            Left::Refuse => Err(failure(Effect::None)),
            _ => Ok(delivered(vec![("token".to_owned(), token)])),
        }
    }
}

impl Annotator for Misbehave {
    /// Says what it was shown: the body's size, a header's number, how the attempt ended.
    fn annotate(call: Call, sent: Wire, ended: Outcome) -> Result<Vec<(String, String)>, String> {
        let value = match misbehave(&call) {
            Left::Nothing | Left::OfChannel(_) => String::new(),
            Left::Giant => String::from_utf8(giant()).unwrap(),
            Left::BadText => bad_text(),
            Left::BadPlace => bad_place(),
            Left::Refuse => return Err("told to refuse".to_owned()),
            Left::Answer(answer) => answer,
        };
        let ended = match ended {
            Outcome::Delivered(receipt) => format!("delivered {:?}", receipt.reference),
            Outcome::Provisional(_) => "provisional".to_owned(),
            Outcome::Pending(waiting) => format!("pending {}", waiting.token),
            Outcome::Retry(failure) => format!("retry {} {:?}", failure.code, failure.effect),
            Outcome::Rejected(refusal) => format!("rejected {}", refusal.code),
        };
        let sent = String::from_utf8_lossy(&sent.body).into_owned();
        let mut pairs = vec![("sent".to_owned(), sent), ("ended".to_owned(), ended)];
        if !value.is_empty() {
            pairs.push(("answer".to_owned(), value));
        }
        Ok(pairs)
    }
}

/// A token that no host keeps.
fn long_token() -> Outcome {
    Outcome::Pending(Waiting {
        token: "t".repeat((4 << 10) + 1),
        poll_after_ms: None,
        notes: Vec::new(),
    })
}

fn delivered(notes: Vec<(String, String)>) -> Outcome {
    Outcome::Delivered(Receipt {
        reference: None,
        notes,
    })
}

impl PostEvent for Misbehave {
    fn handle(events: Vec<Event>) -> Result<(), String> {
        for event in &events {
            match mode::of_attributes(&event.attributes) {
                Left::Nothing | Left::Answer(_) | Left::OfChannel(_) => {}
                Left::Giant => return Err(String::from_utf8(giant()).unwrap()),
                Left::BadText => return Err(bad_text()),
                Left::BadPlace => return Err(bad_place()),
                Left::Refuse => return Err("told to refuse".to_owned()),
            }
        }
        Ok(())
    }
}

impl Router for Misbehave {
    /// Goes where the attribute `to` says: names with commas between. With `after`, one after the other.
    fn route(message: Message) -> Result<Decision, String> {
        let attribute = |name: &str| {
            let mut attributes = message.attributes.iter();
            let found = attributes.find(|(key, _)| key == name);
            found.map(|(_, value)| value.clone())
        };
        let to = attribute("to").unwrap_or_default();
        let after = attribute("after").map(|count| count.parse().unwrap());
        let channels = match mode::of_attributes(&message.attributes) {
            Left::Nothing | Left::OfChannel(_) => to
                .split(',')
                .filter(|name| !name.is_empty())
                .map(str::to_owned)
                .collect(),
            Left::Giant => vec![String::from_utf8(giant()).unwrap()],
            Left::BadText => vec![bad_text()],
            Left::BadPlace => vec![bad_place()],
            Left::Refuse => return Err("told to refuse".to_owned()),
            Left::Answer(answer) => return Err(answer),
        };
        Ok(Decision {
            channels,
            mode: after.map_or(Mode::FanOut, |_| Mode::Failover),
            failover_after: after,
        })
    }
}

impl Receiver for Misbehave {
    /// Reads a line of `name=value` an update. The header `misbehave` says what it does instead.
    fn interpret(request: ReceiptRequest) -> Result<Vec<Update>, String> {
        match mode::of_attributes(&request.headers) {
            Left::Nothing | Left::OfChannel(_) => {}
            Left::Giant => return Err(String::from_utf8(giant()).unwrap()),
            Left::BadText => return Err(bad_text()),
            Left::BadPlace => return Err(bad_place()),
            Left::Refuse => return Err("told to refuse".to_owned()),
            Left::Answer(answer) => return Err(answer),
        }
        let text = String::from_utf8(request.body).map_err(|_| "it is no text".to_owned())?;
        text.lines().map(update).collect()
    }
}

fn update(line: &str) -> Result<Update, String> {
    let named = |wanted: &str| {
        let mut words = line.split(' ').filter_map(|word| word.split_once('='));
        words.find_map(|(name, value)| (name == wanted).then(|| value.to_owned()))
    };
    let status = match named("status").as_deref() {
        Some("delivered") => Reported::Delivered,
        Some("provisional") => Reported::Provisional,
        Some("pending") => Reported::Pending,
        Some("rejected") => Reported::Rejected,
        _ => return Err(format!("no status in {line:?}")),
    };
    Ok(Update {
        message_id: named("id"),
        token: named("token"),
        sender: named("sender"),
        sender_ref: named("sender_ref"),
        status,
        code: named("code"),
        reason: None,
        reference: None,
        notes: vec![("read".to_owned(), "a line".to_owned())],
    })
}

impl Plugin for Misbehave {
    fn describe() -> Description {
        Description {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            summary: "does what it is told".to_owned(),
            settings: vec![Setting {
                key: "misbehave".to_owned(),
                doc: "What to do wrong.".to_owned(),
                required: false,
                secret: false,
                default: Some("none".to_owned()),
            }],
            needs: Vec::new(),
        }
    }
}

bindings::export!(Misbehave with_types_in bindings);
