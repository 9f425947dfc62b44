//! Every hook, doing whatever it is told: by the attribute `misbehave` of the call, or by the setting of that name.
//!
//! `trap`, `spin`, `hog`, `exit`, `giant`, `recurse`, `endless-log` and `sleep` break one limit each; `nap` takes its
//! time and returns, `swell` uses 20 MiB and returns; `refuse` says no in the hook's own way; `count` answers with the
//! number of calls that this instance has served, `pry` with what it could reach outside of it. Without it, and with
//! `none`, the hooks do what is least.

mod bindings {
    wit_bindgen::generate!({
        path: "../../../wit",
        inline: "
            package wharf:guests;
            world misbehave {
                include wharf:delivery/base@0.1.0-draft.1;
                export wharf:delivery/converter@0.1.0-draft.1;
                export wharf:delivery/enricher@0.1.0-draft.1;
                export wharf:delivery/request-channel@0.1.0-draft.1;
                export wharf:delivery/post-event@0.1.0-draft.1;
                export wharf:delivery/plugin@0.1.0-draft.1;
            }
        ",
        world: "wharf:guests/misbehave",
        generate_all,
    });
}

use std::cell::Cell;
use std::hint::black_box;
use std::time::Duration;

use bindings::exports::wharf::delivery::converter::Guest as Converter;
use bindings::exports::wharf::delivery::enricher::{Enrichment, Guest as Enricher};
use bindings::exports::wharf::delivery::plugin::{Description, Guest as Plugin, Setting};
use bindings::exports::wharf::delivery::post_event::Guest as PostEvent;
use bindings::exports::wharf::delivery::request_channel::{
    Guest as RequestChannel, NoAnswer, Operation, Request, Response, Step,
};
use bindings::wasi::config::store;
use bindings::wharf::delivery::log::{self, Level};
use bindings::wharf::delivery::types::{
    Call, Event, Failure, Fault, Outcome, Receipt, Refusal, Scope, Wire,
};

struct Misbehave;

thread_local! {
    static CALLS: Cell<u64> = const { Cell::new(0) };
}

/// What the hook still has to do itself.
enum Left {
    Nothing,
    Giant,
    Refuse,
    Answer(String),
}

fn misbehave(attributes: &[(String, String)]) -> Left {
    let calls = CALLS.get() + 1;
    CALLS.set(calls);
    let attribute = attributes.iter().find(|(key, _)| key == "misbehave");
    let mode = match attribute {
        Some((_, mode)) => mode.clone(),
        None => store::get("misbehave").unwrap().unwrap_or_default(),
    };
    match mode.as_str() {
        "" | "none" => return Left::Nothing,
        "giant" => return Left::Giant,
        "refuse" => return Left::Refuse,
        "count" => return Left::Answer(calls.to_string()),
        "pry" => return Left::Answer(pry()),
        "trap" => panic!("told to trap"),
        "spin" => loop {
            black_box(&mode);
        },
        "hog" => {
            let mut hoard = Vec::new();
            loop {
                hoard.push(black_box(vec![1_u8; 1 << 20]));
            }
        }
        "exit" => std::process::exit(3),
        "recurse" => {
            black_box(recurse(0));
        }
        "endless-log" => loop {
            log::log(Level::Info, "still here", &[]);
            println!("still here");
        },
        "sleep" => std::thread::sleep(Duration::from_secs(3600)),
        "swell" => drop(black_box(vec![1_u8; 20 << 20])),
        "nap" => std::thread::sleep(Duration::from_millis(2)),
        mode => panic!("unknown mode {mode}"),
    }
    Left::Nothing
}

fn recurse(depth: u64) -> u64 {
    if black_box(false) {
        return depth;
    }
    recurse(depth + 1) + black_box(depth)
}

/// Tries every door of the WASI baseline.
fn pry() -> String {
    let mut open = Vec::new();
    if std::env::vars().next().is_some() {
        open.push("environment");
    }
    if std::env::args().next().is_some() {
        open.push("arguments");
    }
    if std::fs::read_dir("/").is_ok() || std::fs::write("pry", "x").is_ok() {
        open.push("files");
    }
    if std::net::TcpListener::bind("127.0.0.1:0").is_ok()
        || std::net::TcpStream::connect("127.0.0.1:9").is_ok()
    {
        open.push("tcp");
    }
    if std::net::UdpSocket::bind("127.0.0.1:0").is_ok() {
        open.push("udp");
    }
    if std::io::stdin().lines().next().is_some() {
        open.push("stdin");
    }
    format!("open: {}", open.join(", "))
}

fn giant() -> Vec<u8> {
    vec![b'x'; 8 << 20]
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
        match misbehave(&call.attributes) {
            Left::Nothing => {}
            Left::Giant => message.body = giant(),
            Left::Refuse => return Err(Fault::Rejected(refusal())),
            Left::Answer(answer) => message.body = answer.into_bytes(),
        }
        Ok(message)
    }
}

impl Enricher for Misbehave {
    fn enrich(call: Call, _message: Wire) -> Result<Enrichment, String> {
        let value = match misbehave(&call.attributes) {
            Left::Nothing => "yes".to_owned(),
            Left::Giant => String::from_utf8(giant()).unwrap(),
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
        match misbehave(&call.attributes) {
            Left::Nothing => {}
            Left::Giant => body = Some(giant()),
            Left::Refuse => return Step::Done(Ok(Outcome::Rejected(refusal()))),
            Left::Answer(answer) => body = Some(answer.into_bytes()),
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
            state: call.message_id.into_bytes(),
        })
    }

    fn resume(_call: Call, state: Vec<u8>, answer: Result<Response, NoAnswer>) -> Step {
        let state = String::from_utf8(state).unwrap();
        Step::Done(Ok(match answer {
            Ok(response) => delivered(vec![
                ("state".to_owned(), state),
                ("status".to_owned(), response.status.to_string()),
            ]),
            Err(no) => Outcome::Retry(Failure {
                code: no.kind,
                reason: no.detail,
                effect: bindings::wharf::delivery::types::Effect::Unknown,
                scope: Scope::Destination,
                pause: false,
                after_ms: None,
                notes: Vec::new(),
            }),
        }))
    }
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
            match misbehave(&event.attributes) {
                Left::Nothing | Left::Answer(_) => {}
                Left::Giant => return Err(String::from_utf8(giant()).unwrap()),
                Left::Refuse => return Err("told to refuse".to_owned()),
            }
        }
        Ok(())
    }
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
