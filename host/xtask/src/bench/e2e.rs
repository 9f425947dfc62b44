//! `cargo xtask bench e2e`: 1 KiB messages through accept → enricher, converter, request-channel, post-event → HTTP
//! delivery → settled, in turn with raw HTTP exchanges between the same load generator and a server that only
//! answers. Once with one message a POST over 64 keep-alive connections, once with batches of 100 as NDJSON.
//!
//! Host, load generator and receiver share the machine, as the ratio's control does.

use std::time::Instant;

use anyhow::Result;
use bytes::Bytes;

use super::load::{self, Request, percentile_ms};
use super::rig::{Rig, message};
use super::{median_of, round3};

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Messages in each of the runs.
    #[arg(long, default_value_t = 40_000)]
    messages: u64,
    /// Alternations of control and measurement.
    #[arg(long, default_value_t = 5)]
    alternations: usize,
    /// What the host logs. The audit hook logs a line an event at info.
    #[arg(long, default_value = "info")]
    log: String,
}

/// Keep-alive connections of the load generator, one message a POST.
const CONNECTIONS: usize = 64;

/// Messages in a batch.
const BATCH: u64 = 100;

/// Connections that send batches: 16 of them have 1,600 messages under way.
const BATCH_CONNECTIONS: usize = 16;

const CHANNEL: &str = "bench";

/// One alternation.
struct Round {
    raw: f64,
    single: Run,
    batch: Run,
}

struct Run {
    messages_per_s: f64,
    cpu_us: f64,
    p50_ms: f64,
    p99_ms: f64,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let rig = Rig::start(&[CHANNEL], "", &arguments.log, |host| host)?;
    // Warms connections, instances and the store's file.
    single(&rig, "warm", arguments.messages / 4)?;

    let mut rounds = Vec::new();
    for number in 0..arguments.alternations {
        let round = Round {
            raw: raw(&rig, arguments.messages)?,
            single: single(&rig, &format!("r{number}"), arguments.messages)?,
            batch: batch(&rig, &format!("b{number}"), arguments.messages)?,
        };
        let tell = |what: &str, run: &Run| {
            println!(
                "raw {:>8.0}/s   {what} {:>7.0}/s   ratio {:.3}   cpu {:.1} µs   p50 {:.2} ms   p99 {:.2} ms",
                round.raw,
                run.messages_per_s,
                run.messages_per_s / round.raw,
                run.cpu_us,
                run.p50_ms,
                run.p99_ms
            );
        };
        tell("single", &round.single);
        tell("ndjson", &round.batch);
        rounds.push(round);
    }
    let of = |value: fn(&Round) -> f64| median_of(&rounds, value);
    println!(
        "{}",
        serde_json::json!({
            "bench": "e2e",
            "messages_per_s": of(|r| r.single.messages_per_s).round(),
            "raw_http_per_s": of(|r| r.raw).round(),
            "ratio_to_raw_http": round3(of(|r| r.single.messages_per_s / r.raw)),
            "cpu_us_per_message": round3(of(|r| r.single.cpu_us)),
            "p50_ms": round3(of(|r| r.single.p50_ms)),
            "p99_ms": round3(of(|r| r.single.p99_ms)),
            "ndjson_messages_per_s": of(|r| r.batch.messages_per_s).round(),
            "ndjson_ratio_to_raw_http": round3(of(|r| r.batch.messages_per_s / r.raw)),
            "ndjson_cpu_us_per_message": round3(of(|r| r.batch.cpu_us)),
        })
    );
    Ok(())
}

/// Exchanges a second with a server that only answers.
fn raw(rig: &Rig, count: u64) -> Result<f64> {
    let body = Bytes::from(message(CHANNEL, "raw", 0));
    let request = Request {
        path: "/raw",
        content_type: "application/json",
        expected_status: 200,
    };
    let outcome = load::closed(rig.sink.address(), &request, CONNECTIONS, count, |_| {
        body.clone()
    })?;
    Ok(count as f64 / outcome.elapsed.as_secs_f64())
}

fn single(rig: &Rig, prefix: &str, count: u64) -> Result<Run> {
    let request = Request {
        path: "/v1/messages",
        content_type: "application/json",
        expected_status: 202,
    };
    let body = |number| Bytes::from(message(CHANNEL, prefix, number));
    measure(rig, &request, CONNECTIONS, prefix, count, count, body)
}

fn batch(rig: &Rig, prefix: &str, count: u64) -> Result<Run> {
    let request = Request {
        path: "/v1/messages/batch",
        content_type: "application/x-ndjson",
        expected_status: 200,
    };
    let body = |number: u64| {
        let lines = (number * BATCH..(number + 1) * BATCH)
            .map(|number| message(CHANNEL, prefix, number) + "\n");
        Bytes::from(lines.collect::<String>())
    };
    let posts = count.div_ceil(BATCH);
    measure(
        rig,
        &request,
        BATCH_CONNECTIONS,
        prefix,
        posts,
        posts * BATCH,
        body,
    )
}

/// Makes `posts` requests that carry `count` messages and waits until the last delivery is settled.
fn measure(
    rig: &Rig,
    request: &Request,
    connections: usize,
    prefix: &str,
    posts: u64,
    count: u64,
    body: impl Fn(u64) -> Bytes,
) -> Result<Run> {
    let received_before = rig.sink.count();
    let cpu_before = rig.cpu_us()?;
    let started = Instant::now();
    let outcome = load::closed(rig.host.address(), request, connections, posts, body)?;
    let last = count.saturating_sub(CONNECTIONS as u64)..count;
    rig.settled(
        received_before + count,
        last.map(|number| format!("{prefix}-{number}")),
    )?;
    let elapsed = started.elapsed();
    let cpu = rig.cpu_us()? - cpu_before;
    let mut latencies = outcome.latencies;
    latencies.sort_unstable();
    Ok(Run {
        messages_per_s: count as f64 / elapsed.as_secs_f64(),
        cpu_us: cpu / count as f64,
        p50_ms: percentile_ms(&latencies, 50.0),
        p99_ms: percentile_ms(&latencies, 99.0),
    })
}
