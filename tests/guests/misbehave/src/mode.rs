//! What the guest is told to do, and the part of it that is the same in every hook.

use std::cell::Cell;
use std::hint::black_box;
use std::time::{Duration, Instant};

use crate::bindings::wasi::config::store;
use crate::bindings::wharf::delivery::log::{self, Level};
use crate::bindings::wharf::delivery::types::Call;
use crate::pry;

thread_local! {
    static CALLS: Cell<u64> = const { Cell::new(0) };
}

/// What the hook still has to do itself.
pub(crate) enum Left {
    Nothing,
    Giant,
    BadText,
    BadPlace,
    Refuse,
    Answer(String),
    /// What only a channel can do wrong.
    OfChannel(&'static str),
}

pub(crate) fn misbehave(call: &Call) -> Left {
    let asked = call
        .attributes
        .iter()
        .any(|(key, value)| key == "misbehave" && value == "extra");
    if asked {
        let extra = call
            .extra
            .iter()
            .map(|(key, value)| format!("{key}={value}"));
        return Left::Answer(extra.collect::<Vec<_>>().join(" "));
    }
    of_attributes(&call.attributes)
}

pub(crate) fn of_attributes(attributes: &[(String, String)]) -> Left {
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
        "bad-text" => return Left::BadText,
        "bad-place" => return Left::BadPlace,
        "refuse" => return Left::Refuse,
        "count" => return Left::Answer(calls.to_string()),
        "pry" => return Left::Answer(pry::doors()),
        "pry-folders" => return Left::Answer(pry::folders()),
        "big-state" => return Left::OfChannel("big-state"),
        "more-requests" => return Left::OfChannel("more-requests"),
        "long-token" => return Left::OfChannel("long-token"),
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
        "abort-host" => log::log(Level::Info, "abort the host", &[]),
        "say" => log::log(
            Level::Info,
            "said",
            &[("why".to_owned(), "it was told to".to_owned())],
        ),
        "sleep" => std::thread::sleep(Duration::from_secs(3600)),
        "swell" => drop(black_box(vec![1_u8; 20 << 20])),
        "nap" => std::thread::sleep(Duration::from_millis(2)),
        "doze" => std::thread::sleep(Duration::from_secs(1)),
        "work" => compute(Duration::from_millis(100)),
        "toil" => {
            compute(Duration::from_millis(100));
            std::thread::sleep(Duration::from_secs(3600));
        }
        mode => panic!("unknown mode {mode}"),
    }
    Left::Nothing
}

fn compute(span: Duration) {
    let end = Instant::now() + span;
    while Instant::now() < end {
        for step in 0..10_000 {
            black_box(step);
        }
    }
}

fn recurse(depth: u64) -> u64 {
    if black_box(false) {
        return depth;
    }
    recurse(depth + 1) + black_box(depth)
}
