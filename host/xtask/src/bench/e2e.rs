//! `cargo xtask bench e2e`: 1 KiB messages, one a POST over 64 keep-alive connections, through accept → enricher,
//! converter, request-channel, post-event → HTTP delivery → settled; in turn with raw HTTP exchanges between the
//! same load generator and a server that only answers.
//!
//! Host, load generator and receiver share the machine, as the ratio's control does.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use wharf_testkit::process::{Host, HostBuilder};
use wharf_testkit::sink::Sink;

use super::load::{self, percentile_ms};
use super::median;

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

/// Keep-alive connections of the load generator.
const CONNECTIONS: usize = 64;

/// Attempts at the same time.
const PARALLELISM: usize = 64;

/// How long what was accepted may take to settle.
const SETTLED_WITHIN: Duration = Duration::from_secs(120);

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let sink = Sink::builder().count_only().workers(1).start()?;
    let host = HostBuilder::new(config(&sink))
        .shipped("http")
        .shipped("json-map")
        .shipped("stamp")
        .shipped("audit")
        .env("WHARF_LOG", &arguments.log)
        .start()?;
    let text = "x".repeat(960);
    // Warms connections, instances and the store's file.
    measure(&host, &sink, &text, "warm", arguments.messages / 4)?;

    let mut runs = Vec::new();
    for round in 0..arguments.alternations {
        let raw = raw(sink.address(), &text, arguments.messages)?;
        let run = measure(
            &host,
            &sink,
            &text,
            &format!("r{round}"),
            arguments.messages,
        )?;
        println!(
            "raw {raw:>8.0}/s   e2e {:>7.0}/s   ratio {:.3}   cpu {:.1} µs   p50 {:.2} ms   p99 {:.2} ms",
            run.messages_per_s,
            run.messages_per_s / raw,
            run.cpu_us,
            run.p50_ms,
            run.p99_ms
        );
        runs.push((raw, run));
    }
    let of = |value: fn(&(f64, Run)) -> f64| median(runs.iter().map(value).collect());
    println!(
        "{}",
        serde_json::json!({
            "bench": "e2e",
            "messages_per_s": of(|(_, run)| run.messages_per_s).round(),
            "raw_http_per_s": of(|(raw, _)| *raw).round(),
            "ratio_to_raw_http": round3(of(|(raw, run)| run.messages_per_s / raw)),
            "cpu_us_per_message": round3(of(|(_, run)| run.cpu_us)),
            "p50_ms": round3(of(|(_, run)| run.p50_ms)),
            "p99_ms": round3(of(|(_, run)| run.p99_ms)),
        })
    );
    Ok(())
}

fn config(sink: &Sink) -> String {
    format!(
        r#"
[api]
listen = "127.0.0.1:0"
[egress]
allow-addresses = ["127.0.0.0/8"]
[[channel]]
name = "bench"
plugin = "http"
enrich = ["stamp"]
convert = [{{ plugin = "json-map", config = {{ map = {{ order = "/id", text = "/text" }} }} }}]
parallelism = {PARALLELISM}
[channel.config]
url = "{url}"
secret = "{SECRET}"
[[route]]
match = {{ type = "bench.*" }}
channels = ["bench"]
[hooks]
post-event = ["audit"]
"#,
        url = sink.url("/bench"),
    )
}

struct Run {
    messages_per_s: f64,
    cpu_us: f64,
    p50_ms: f64,
    p99_ms: f64,
}

/// Exchanges a second with a server that only answers.
fn raw(address: SocketAddr, text: &str, count: u64) -> Result<f64> {
    let body = Bytes::from(message("raw", 0, text));
    let outcome = load::run(
        address,
        "/raw",
        "application/json",
        CONNECTIONS,
        count,
        200,
        |_| body.clone(),
    )?;
    Ok(count as f64 / outcome.elapsed.as_secs_f64())
}

/// Sends `count` messages and waits until the last delivery is settled.
fn measure(host: &Host, sink: &Sink, text: &str, prefix: &str, count: u64) -> Result<Run> {
    let received_before = sink.count();
    let cpu_before = cpu_us(host.pid())?;
    let started = Instant::now();
    let outcome = load::run(
        host.address(),
        "/v1/messages",
        "application/json",
        CONNECTIONS,
        count,
        202,
        |number| Bytes::from(message(prefix, number, text)),
    )?;
    sink.wait_for_count(SETTLED_WITHIN, received_before + count)?;
    settled(host, prefix, count)?;
    let elapsed = started.elapsed();
    let cpu = cpu_us(host.pid())? - cpu_before;
    let mut latencies = outcome.latencies;
    latencies.sort_unstable();
    Ok(Run {
        messages_per_s: count as f64 / elapsed.as_secs_f64(),
        cpu_us: cpu / count as f64,
        p50_ms: percentile_ms(&latencies, 50.0),
        p99_ms: percentile_ms(&latencies, 99.0),
    })
}

fn message(prefix: &str, number: u64, text: &str) -> String {
    format!(
        r#"{{"id":"{prefix}-{number}","attributes":{{"type":"bench.order"}},"payload_json":{{"id":{number},"text":"{text}","left":"out"}}}}"#
    )
}

/// Waits until the messages that were sent last are delivered: what the receiver got last is settled last.
fn settled(host: &Host, prefix: &str, count: u64) -> Result<()> {
    let deadline = Instant::now() + SETTLED_WITHIN;
    for number in count.saturating_sub(CONNECTIONS as u64)..count {
        loop {
            let path = format!("/v1/messages/{prefix}-{number}");
            let message = host.http("GET", &path, &[], b"")?.json()?;
            if message["status"] == "delivered" {
                break;
            }
            if Instant::now() > deadline {
                bail!("{prefix}-{number} is not settled: {message}");
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    Ok(())
}

/// Processor time of a process so far, user and system, in microseconds.
fn cpu_us(pid: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The second field is the name in parentheses, which may have blanks; user and system ticks are fields 14, 15.
    let (_, rest) = stat.rsplit_once(") ").context("a stat line has a name")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    let ticks = |at: usize| -> Result<f64> { Ok(fields.get(at).context("a field")?.parse()?) };
    // Linux reports ticks of 1/100 s to user space on every architecture.
    Ok((ticks(11)? + ticks(12)?) * 10_000.0)
}

fn round3(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
