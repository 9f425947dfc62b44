//! What the benches of the whole path share: a receiver that only counts, and a host whose channels run all four
//! hooks on their way to it.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use wharf_testkit::process::{Host, HostBuilder};
use wharf_testkit::sink::Sink;

/// How long what was accepted may take to settle.
const SETTLED_WITHIN: Duration = Duration::from_secs(120);

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// A host and its receiver, on this machine.
pub(super) struct Rig {
    pub(super) host: Host,
    pub(super) sink: Sink,
}

impl Rig {
    /// Starts both. Every name is a channel of the shipped hooks, which gets the messages whose `type` begins with
    /// that name; `more` is further configuration, `with` adds to the folder.
    pub(super) fn start(
        channels: &[&str],
        more: &str,
        log: &str,
        with: impl FnOnce(HostBuilder) -> HostBuilder,
    ) -> Result<Self> {
        let sink = Sink::builder().count_only().workers(1).start()?;
        let channels: String = channels.iter().map(|name| channel(name, &sink)).collect();
        let config = format!(
            "[api]\nlisten = \"127.0.0.1:0\"\n[egress]\nallow-addresses = [\"127.0.0.0/8\"]\n\
             [hooks]\npost-event = [\"audit\"]\n{channels}{more}"
        );
        let builder = HostBuilder::new(config)
            .shipped("http")
            .shipped("json-map")
            .shipped("stamp")
            .shipped("audit")
            .env("WHARF_LOG", log);
        let host = with(builder).start()?;
        Ok(Self { host, sink })
    }

    /// Waits until the sink has `received` requests and the messages with these ids are delivered: those that were
    /// sent last are settled last.
    pub(super) fn settled(&self, received: u64, ids: impl Iterator<Item = String>) -> Result<()> {
        self.sink.wait_for_count(SETTLED_WITHIN, received)?;
        self.ended(ids, "delivered")
    }

    /// Waits until these messages have this status.
    pub(super) fn ended(&self, ids: impl Iterator<Item = String>, status: &str) -> Result<()> {
        let deadline = Instant::now() + SETTLED_WITHIN;
        for id in ids {
            loop {
                let path = format!("/v1/messages/{id}");
                let message = self.host.http("GET", &path, &[], b"")?.json()?;
                if message["status"] == status {
                    break;
                }
                if Instant::now() > deadline {
                    bail!("{id} is not {status}: {message}");
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        Ok(())
    }

    /// Processor time of the host so far, user and system, in microseconds.
    pub(super) fn cpu_us(&self) -> Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.host.pid()))?;
        // The second field is the name in parentheses, which may have blanks; user and system ticks are 14 and 15.
        let (_, rest) = stat.rsplit_once(") ").context("a stat line has a name")?;
        let fields: Vec<&str> = rest.split(' ').collect();
        let ticks = |at: usize| -> Result<f64> { Ok(fields.get(at).context("a field")?.parse()?) };
        // Linux reports ticks of 1/100 s to user space on every architecture.
        Ok((ticks(11)? + ticks(12)?) * 10_000.0)
    }
}

fn channel(name: &str, sink: &Sink) -> String {
    format!(
        r#"
[[channel]]
name = "{name}"
plugin = "http"
enrich = ["stamp"]
convert = [{{ plugin = "json-map", config = {{ map = {{ order = "/id", text = "/text" }} }} }}]
config = {{ url = "{url}", secret = "{SECRET}" }}
[[route]]
match = {{ type = "{name}.*" }}
channels = ["{name}"]
"#,
        url = sink.url(&format!("/{name}")),
    )
}

/// A message of 1 KiB for a channel, in the JSON form.
pub(super) fn message(channel: &str, prefix: &str, number: u64) -> String {
    /// With the rest of the payload, 1 KiB.
    const TEXT: &str = match std::str::from_utf8(&[b'x'; 960]) {
        Ok(text) => text,
        Err(_) => panic!("it is ASCII"),
    };
    format!(
        r#"{{"id":"{prefix}-{number}","attributes":{{"type":"{channel}.order"}},"payload_json":{{"id":{number},"text":"{TEXT}","left":"out"}}}}"#
    )
}
