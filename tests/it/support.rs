//! What the scenarios share: configuration in pieces, messages, and where a message stands.

use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use serde_json::{Value, json};
use wharf_core::TimeMs;
use wharf_testkit::process::{Answer, Host, HostBuilder, eventually};

/// How long a state may take to come. A limit for what hangs, not a claim about speed.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// The header of one message in the JSON form.
pub(crate) const JSON: (&str, &str) = ("content-type", "application/json");
/// The header of a batch of these.
pub(crate) const NDJSON: (&str, &str) = ("content-type", "application/x-ndjson");

/// A host with this configuration, on a free port, that may reach this machine.
pub(crate) fn host(config: &str) -> HostBuilder {
    HostBuilder::new(may_reach_this_machine(config)).env("WHARF_API_LISTEN", "127.0.0.1:0")
}

pub(crate) fn may_reach_this_machine(config: &str) -> String {
    format!("{config}\n[egress]\nallow-addresses = [\"127.0.0.0/8\"]\n")
}

/// A channel that posts to `url`, and a route that gives it what has the attribute `to` with its
/// name. `more` are further keys of the channel, a line each.
pub(crate) fn channel(name: &str, url: &str, more: &str) -> String {
    channel_of("http", name, &format!("config.url = \"{url}\"\n{more}"))
}

/// The same with another plugin.
pub(crate) fn channel_of(plugin: &str, name: &str, more: &str) -> String {
    format!(
        "[[channel]]\nname = \"{name}\"\nplugin = \"{plugin}\"\n{more}\n\
         [[route]]\nname = \"to-{name}\"\nmatch = {{ to = \"{name}\" }}\nchannels = [\"{name}\"]\n"
    )
}

/// A message whose payload is its id.
pub(crate) fn message(id: &str, to: &str) -> Value {
    json!({ "id": id, "attributes": { "to": to }, "payload": id })
}

/// A path in the repository.
pub(crate) fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// The text of a file in tests/data.
pub(crate) fn data(path: &str) -> String {
    let path = root("tests/data").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The component of a guest in tests/guests.
pub(crate) fn guest(name: &str) -> Vec<u8> {
    std::fs::read(wharf_testkit::guest(name)).unwrap()
}

pub(crate) fn post(host: &Host, body: &[u8]) -> Answer {
    host.http("POST", "/v1/messages", &[JSON], body).unwrap()
}

pub(crate) fn post_batch(host: &Host, lines: &[Value]) -> Vec<Value> {
    let body: String = lines.iter().map(|line| format!("{line}\n")).collect();
    post_batch_as(host, &[NDJSON], body.as_bytes())
}

/// A batch with these headers, and the answer to each line.
#[track_caller]
pub(crate) fn post_batch_as(host: &Host, headers: &[(&str, &str)], body: &[u8]) -> Vec<Value> {
    let path = "/v1/messages/batch";
    let answer = host.http("POST", path, headers, body).unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer
        .text()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Sends a message that must be accepted.
#[track_caller]
pub(crate) fn send(host: &Host, message: &Value) -> Value {
    let answer = post(host, message.to_string().as_bytes());
    assert_eq!(answer.status, 202, "{}", answer.text());
    answer.json().unwrap()
}

/// The message as the API shows it. Panics where there is none.
#[track_caller]
pub(crate) fn get(host: &Host, id: &str) -> Value {
    let answer = host
        .http("GET", &format!("/v1/messages/{id}"), &[], b"")
        .unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json().unwrap()
}

/// Waits until the message has this status, and shows it.
#[track_caller]
pub(crate) fn wait_for(host: &Host, id: &str, status: &str) -> Value {
    let mut last = Value::Null;
    let found = eventually(SOON, || {
        last = get(host, id);
        (last["status"] == status).then_some(())
    });
    assert!(
        found.is_some(),
        "{id} is not {status}: {last:#}, {:#?}",
        journal(host, id)
    );
    last
}

pub(crate) fn journal(host: &Host, id: &str) -> Vec<Value> {
    let answer = host
        .http("GET", &format!("/v1/messages/{id}/journal"), &[], b"")
        .unwrap();
    answer.json().unwrap()["rows"].as_array().unwrap().clone()
}

/// The journal as `status cause`, a row each.
pub(crate) fn steps(host: &Host, id: &str) -> Vec<String> {
    journal(host, id)
        .iter()
        .map(|row| format!("{} {}", text(&row["to"]), text(&row["cause"])))
        .collect()
}

/// The attempts of a message in the order of the journal.
pub(crate) fn attempts(host: &Host, id: &str) -> Vec<Value> {
    let rows = journal(host, id).into_iter();
    rows.map(|mut row| row["attempt"].take())
        .filter(|attempt| !attempt.is_null())
        .collect()
}

/// `ok`, or `degraded` with what is wrong: name and reason.
pub(crate) fn health(host: &Host) -> (String, Vec<(String, String)>) {
    let health = host
        .http("GET", "/readyz", &[], b"")
        .unwrap()
        .json()
        .unwrap();
    let reasons = health["reasons"].as_array().cloned().unwrap_or_default();
    let reasons = reasons.iter().map(|named| {
        (
            text(&named["name"]).to_owned(),
            text(&named["reason"]).to_owned(),
        )
    });
    (text(&health["status"]).to_owned(), reasons.collect())
}

#[track_caller]
pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

#[track_caller]
pub(crate) fn time(value: &Value) -> TimeMs {
    text(value).parse().unwrap()
}

#[track_caller]
pub(crate) fn assert_has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no {part:?} in: {text}");
    }
}

/// Exit code, standard output, standard error.
pub(crate) fn ended(output: Output) -> (i32, String, String) {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}
