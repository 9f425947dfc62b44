//! `cargo xtask bench hostile`: what misbehaving plugins cost the others.
//!
//! Two channels get an open-loop load of a third of what they were measured to take at most. In turn without and
//! with channels beside them whose converter traps, spins, sleeps, eats memory, recurses, gives too much, logs
//! without end or exits, on every message that it gets.

use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;

use super::load::{self, Request, percentile_ms};
use super::rig::{Rig, message};
use super::{median_of, round3};
use crate::setup;

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Messages to measure the maximum with.
    #[arg(long, default_value_t = 30_000)]
    messages: u64,
    /// Seconds of each run.
    #[arg(long, default_value_t = 6)]
    seconds: u64,
    /// Alternations of without and with.
    #[arg(long, default_value_t = 5)]
    alternations: usize,
    /// Messages a second for each of the misbehaving channels.
    #[arg(long, default_value_t = 20)]
    hostile_per_s: u64,
    /// What the guests do wrong, a channel each.
    #[arg(long, value_delimiter = ',', default_values = MODES)]
    modes: Vec<String>,
}

const OTHERS: [&str; 2] = ["a", "b"];

/// What the guest is told to do.
const MODES: [&str; 8] = [
    "trap",
    "spin",
    "sleep",
    "hog",
    "recurse",
    "giant",
    "endless-log",
    "exit",
];

const CONNECTIONS: usize = 64;

const SEND: Request = Request {
    path: "/v1/messages",
    content_type: "application/json",
    expected_status: 202,
};

struct Run {
    settled_per_s: f64,
    p99_ms: f64,
}

struct Round {
    without: Run,
    with: Run,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    // With the default of 10 s the misbehaving ones would only take longer to get out of the way.
    let hostile = arguments
        .modes
        .iter()
        .map(|mode| channel(mode))
        .collect::<String>()
        + "[plugins.misbehave]\ntimeout = \"1s\"\n";
    let guest = setup::guest("misbehave")?;
    let rig = Rig::start(&OTHERS, &hostile, "error", |host| {
        host.plugin("misbehave", guest)
    })?;
    let maximum = maximum(&rig, arguments.messages)?;
    let per_s = maximum / 3.0;
    println!("at most {maximum:.0}/s; the others get {per_s:.0}/s");

    let mut rounds = Vec::new();
    for number in 0..arguments.alternations {
        let span = Duration::from_secs(arguments.seconds);
        let without = others(&rig, &format!("o{number}"), per_s, span)?;
        let hostile_per_s = (arguments.hostile_per_s * arguments.modes.len() as u64) as f64;
        let address = rig.host.address();
        let with = std::thread::scope(|scope| {
            let prefix = format!("h{number}");
            let modes = &arguments.modes;
            let sender = scope.spawn(move || {
                let body = |number| body(modes, &prefix, number);
                load::open(address, &SEND, modes.len(), hostile_per_s, span, body)
            });
            let with = others(&rig, &format!("w{number}"), per_s, span)?;
            let sent = sender.join().expect("the hostile sender does not panic")?;
            // What the next run is held against has nothing beside it.
            let ids = (0..sent.latencies.len()).map(|hostile| format!("h{number}-{hostile}"));
            rig.ended(ids, "dead")?;
            anyhow::Ok(with)
        })?;
        println!(
            "without {:>7.0}/s p99 {:>7.2} ms   with {:>7.0}/s p99 {:>7.2} ms   ratio {:.3}",
            without.settled_per_s,
            without.p99_ms,
            with.settled_per_s,
            with.p99_ms,
            with.settled_per_s / without.settled_per_s
        );
        rounds.push(Round { without, with });
    }
    let of = |value: fn(&Round) -> f64| median_of(&rounds, value);
    println!(
        "{}",
        serde_json::json!({
            "bench": "hostile",
            "others_rate_ratio": round3(of(|r| r.with.settled_per_s / r.without.settled_per_s)),
            "others_per_s": of(|r| r.with.settled_per_s).round(),
            "p99_ms_without": round3(of(|r| r.without.p99_ms)),
            "p99_ms_with": round3(of(|r| r.with.p99_ms)),
        })
    );
    Ok(())
}

/// A channel that the guest converts for, and that gives up at once, so that what it does wrong is all it does.
fn channel(mode: &str) -> String {
    format!(
        r#"
[[channel]]
name = "{mode}"
plugin = "http"
convert = [{{ plugin = "misbehave", config = {{ misbehave = "{mode}" }} }}]
config = {{ url = "http://127.0.0.1:9/" }}
retry = {{ attempts = 1 }}
[[route]]
match = {{ type = "{mode}.*" }}
channels = ["{mode}"]
"#
    )
}

/// What the others take at most, in a closed loop.
fn maximum(rig: &Rig, count: u64) -> Result<f64> {
    let outcome = load::closed(rig.host.address(), &SEND, CONNECTIONS, count, |number| {
        body(&OTHERS, "max", number)
    })?;
    let last = count.saturating_sub(CONNECTIONS as u64)..count;
    rig.settled(count, last.map(|number| format!("max-{number}")))?;
    Ok(count as f64 / outcome.elapsed.as_secs_f64())
}

/// The others' load. What arrives within the time of the load counts.
fn others(rig: &Rig, prefix: &str, per_s: f64, span: Duration) -> Result<Run> {
    let before = rig.sink.count();
    let outcome = load::open(
        rig.host.address(),
        &SEND,
        CONNECTIONS,
        per_s,
        span,
        |number| body(&OTHERS, prefix, number),
    )?;
    let settled = rig.sink.count() - before;
    let count = outcome.latencies.len() as u64;
    // The next run begins with nothing of this one left.
    let last = count.saturating_sub(CONNECTIONS as u64)..count;
    rig.settled(
        before + count,
        last.map(|number| format!("{prefix}-{number}")),
    )?;
    let mut latencies = outcome.latencies;
    latencies.sort_unstable();
    Ok(Run {
        settled_per_s: settled as f64 / outcome.elapsed.as_secs_f64(),
        p99_ms: percentile_ms(&latencies, 99.0),
    })
}

/// A message for one of the channels, in turn.
fn body(channels: &[impl AsRef<str>], prefix: &str, number: u64) -> Bytes {
    let channel = channels[(number % channels.len() as u64) as usize].as_ref();
    message(channel, prefix, number).into()
}
