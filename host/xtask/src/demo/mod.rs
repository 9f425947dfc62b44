//! `cargo xtask demo`: one command from a fresh clone to a few hundred real messages delivered.
//!
//! A real host, a real receiver, the shipped plugins. GitHub events go through all four hooks to a receiver that
//! checks nothing but counts; Stripe events to one that fails twice and then takes them; CloudEvents bodies also to
//! one that is down. It ends with a summary and the journal of one message.

mod messages;

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use wharf_testkit::process::{Host, HostBuilder};
use wharf_testkit::sink::{Answer, Sink};

use crate::cargo::cargo;
use crate::setup;

/// Rounds over the sample payloads: some 300 messages.
const ROUNDS: usize = 7;

/// How long all of it may take on a slow machine.
const DONE_WITHIN: Duration = Duration::from_secs(120);

/// The Standard Webhooks specification's own example secret.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

pub(crate) fn run() -> Result<()> {
    setup::build()?;
    eprintln!("building wharf and its plugins (the first time takes about ten minutes)");
    cargo(["build", "--workspace", "--bins"])?;

    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&interrupted);
    ctrlc::set_handler(move || flag.store(true, Ordering::Release))?;
    match show(&interrupted) {
        // The same signal has reached the host, which then stops in order; what failed for it is no failure.
        Err(_) if interrupted.load(Ordering::Acquire) => {
            eprintln!("interrupted; the host and the receiver are stopped");
            Ok(())
        }
        result => result,
    }
}

fn show(interrupted: &AtomicBool) -> Result<()> {
    let messages = messages::all(ROUNDS)?;
    let sink = Sink::start().context("cannot start the receiver")?;
    // Fails every Stripe event twice: the first and the second round of attempts.
    let flaky = messages
        .iter()
        .filter(|message| message.id.starts_with("stripe"))
        .count();
    let failures = std::iter::repeat_n(Answer::status(503), flaky)
        .chain(std::iter::repeat_n(Answer::status(500), flaky));
    sink.script("/flaky", failures.chain([Answer::status(200)]));
    let down = unused_port()?;
    let host = HostBuilder::new(config(&sink, down))
        .shipped("http")
        .shipped("json-map")
        .shipped("stamp")
        .shipped("audit")
        .env("WHARF_DEMO_SECRET", SECRET)
        .env("WHARF_LOG", "warn,wharf::plugin=info")
        .start()?;
    println!("host      {}", host.url());
    println!("receiver  {}\n", sink.url("/"));

    let started = Instant::now();
    send(&host, &messages)?;
    println!(
        "{} messages accepted in {:?}: all of them are on disk",
        messages.len(),
        started.elapsed()
    );

    let ids: Vec<&str> = messages.iter().map(|message| message.id.as_str()).collect();
    let statuses = settle(&host, &ids, interrupted)?;
    println!("every delivery has ended after {:?}\n", started.elapsed());

    summary(&sink, &statuses);
    let shown = statuses
        .iter()
        .find(|(_, deliveries)| {
            deliveries
                .iter()
                .any(|d| d.channel == "flaky" && d.attempts > 2)
        })
        .or(statuses.iter().next())
        .context("there are messages")?;
    println!("\n$ wharf why {}", shown.0);
    print!(
        "{}",
        String::from_utf8_lossy(&host.cli(["why", shown.0])?.stdout)
    );
    println!("\n$ wharf journal {}", shown.0);
    print!(
        "{}",
        String::from_utf8_lossy(&host.cli(["journal", shown.0])?.stdout)
    );
    let audited = host
        .log()
        .lines()
        .filter(|line| line.contains("wharf::plugin"))
        .count();
    println!("\nthe audit plugin wrote {audited} lines; the last:");
    if let Some(line) = host
        .log()
        .lines()
        .rfind(|line| line.contains("wharf::plugin"))
    {
        println!("  {line}");
    }
    stop(host)
}

fn config(sink: &Sink, down: u16) -> String {
    let retry = "[channel.retry]\nschedule = [\"200ms\", \"400ms\", \"800ms\"]\n";
    format!(
        r#"
[api]
listen = "127.0.0.1:0"

[egress]
allow-addresses = ["127.0.0.0/8"]

[[channel]]
name = "github"
plugin = "http"
enrich = ["stamp"]
convert = [{{ plugin = "json-map", config = {{ map = {{ action = "/action", repository = "/repository/full_name", by = "/sender/login" }} }} }}]
[channel.config]
url = "{github}"
secret = {{ env = "WHARF_DEMO_SECRET" }}
{retry}
[[channel]]
name = "flaky"
plugin = "http"
enrich = ["stamp"]
[channel.config]
url = "{flaky}"
secret = {{ env = "WHARF_DEMO_SECRET" }}
{retry}
[[channel]]
name = "events"
plugin = "http"
[channel.config]
url = "{events}"
{retry}
[[channel]]
name = "down"
plugin = "http"
[channel.config]
url = "http://127.0.0.1:{down}/"
{retry}
[[route]]
name = "github-events"
match = {{ type = "github.*" }}
channels = ["github"]

[[route]]
name = "stripe-events"
match = {{ type = "stripe.*" }}
channels = ["flaky"]

[[route]]
name = "cloud-events"
match = {{ type = "cloud.*" }}
channels = ["events", "down"]

[hooks]
post-event = ["audit"]
"#,
        github = sink.url("/github"),
        flaky = sink.url("/flaky"),
        events = sink.url("/events"),
    )
}

/// A port that nothing listens on.
fn unused_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

fn send(host: &Host, messages: &[messages::Message]) -> Result<()> {
    let batch: String = messages
        .iter()
        .map(|message| format!("{}\n", message.line))
        .collect();
    let output = host.cli_with_input(["send", "--ndjson"], batch.as_bytes())?;
    ensure!(
        output.status.success(),
        "not everything was accepted: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// Where a delivery ended.
struct Ended {
    channel: String,
    status: String,
    attempts: u64,
}

/// Waits until every delivery of every message has ended.
fn settle(
    host: &Host,
    ids: &[&str],
    interrupted: &AtomicBool,
) -> Result<BTreeMap<String, Vec<Ended>>> {
    let deadline = Instant::now() + DONE_WITHIN;
    let mut ended = BTreeMap::new();
    let mut open: Vec<&str> = ids.to_vec();
    while !open.is_empty() {
        let mut still_open = Vec::new();
        for id in open {
            ensure!(!interrupted.load(Ordering::Acquire), "interrupted");
            let message = host
                .http("GET", &format!("/v1/messages/{id}"), &[], b"")?
                .json()?;
            let deliveries = deliveries(&message)?;
            let moving = |d: &Ended| {
                matches!(
                    d.status.as_str(),
                    "queued" | "sending" | "retrying" | "pending"
                )
            };
            if deliveries.iter().any(moving) {
                still_open.push(id);
            } else {
                ended.insert(id.to_owned(), deliveries);
            }
        }
        open = still_open;
        if Instant::now() > deadline {
            bail!(
                "{} messages have not ended within {DONE_WITHIN:?}",
                open.len()
            );
        }
        if !open.is_empty() {
            std::thread::sleep(Duration::from_millis(100));
        }
    }
    Ok(ended)
}

fn deliveries(message: &serde_json::Value) -> Result<Vec<Ended>> {
    let deliveries = message["deliveries"]
        .as_array()
        .context("a message has deliveries")?;
    let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    deliveries
        .iter()
        .map(|delivery| {
            Ok(Ended {
                channel: text(&delivery["channel"]).context("a delivery has a channel")?,
                status: text(&delivery["status"]).context("a delivery has a status")?,
                attempts: delivery["attempts"]
                    .as_u64()
                    .context("a delivery has attempts")?,
            })
        })
        .collect()
}

fn summary(sink: &Sink, ended: &BTreeMap<String, Vec<Ended>>) {
    let mut table: BTreeMap<(&str, &str), (u64, u64)> = BTreeMap::new();
    for delivery in ended.values().flatten() {
        let row = table
            .entry((&delivery.channel, &delivery.status))
            .or_default();
        row.0 += 1;
        row.1 += delivery.attempts;
    }
    println!(
        "{:<10}{:<12}{:>12}{:>10}",
        "CHANNEL", "STATUS", "DELIVERIES", "ATTEMPTS"
    );
    for ((channel, status), (deliveries, attempts)) in table {
        println!("{channel:<10}{status:<12}{deliveries:>12}{attempts:>10}");
    }
    let requests = sink.requests();
    let signed = requests
        .iter()
        .filter(|r| r.header("webhook-signature").is_some())
        .count();
    let stamped = requests
        .iter()
        .filter(|r| r.header("x-wharf-message-id").is_some())
        .count();
    println!(
        "\nthe receiver got {} requests, {signed} of them signed, {stamped} of them stamped",
        requests.len()
    );
}

fn stop(mut host: Host) -> Result<()> {
    let status = host.terminate()?;
    ensure!(status.success(), "the host did not stop cleanly: {status}");
    println!("\nthe host stopped cleanly");
    Ok(())
}
