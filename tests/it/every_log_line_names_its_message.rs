use serde_json::{Value, json};
use wharf_testkit::process::{Host, eventually};

use crate::support::{SOON, attempts, channel_of, guest, host, send, text, wait_for};

/// Goal: with JSON logs, an operator finds all there is on a message, a delivery, a channel or a plugin under one name
/// each: in the host's lines on an attempt, on a plugin's fault, and in what the plugin says itself.
#[test]
fn under_one_name_each() {
    let more = "convert = [\"misbehave\"]\nretry = { schedule = [\"10ms\"], jitter = 0.0 }";
    let host = host(&channel_of("outcomes", "a", more))
        .plugin("outcomes", guest("outcomes"))
        .plugin("misbehave", guest("misbehave"))
        .env("WHARF_LOG_FORMAT", "json")
        .env("WHARF_LOG", "info,wharf_server=debug")
        .start()
        .unwrap();
    let attributes = |mode: &str| json!({ "to": "a", "misbehave": mode });
    send(
        &host,
        &json!({ "id": "bad", "attributes": attributes("trap") }),
    );
    send(
        &host,
        &json!({ "id": "loud", "attributes": attributes("say") }),
    );
    wait_for(&host, "bad", "dead");
    wait_for(&host, "loud", "delivered");
    assert_eq!(attempts(&host, "bad").len(), 2);

    let fault = line(&host, "bad", "a plugin faulted");
    assert_eq!(text(&fault["fault"]), "trap");
    let retried = line(&host, "bad", "to be retried");
    assert_eq!(retried["attempt"], 1);
    let given_up = line(&host, "bad", "given up");
    assert_eq!(text(&given_up["status"]), "dead");
    assert_eq!(given_up["delivery"], fault["delivery"]);
    let ended = line(&host, "loud", "attempt ended");
    let said = line(&host, "loud", "said");
    assert_eq!(text(&said["target"]), "wharf::plugin");
    assert_eq!(said["delivery"], ended["delivery"]);
    assert_ne!(ended["delivery"], given_up["delivery"]);
    let converter = [fault, said].map(|line| ("misbehave", line));
    let channel = [retried, given_up, ended].map(|line| ("outcomes", line));
    for (plugin, line) in converter.into_iter().chain(channel) {
        assert_eq!(
            (text(&line["channel"]), text(&line["plugin"])),
            ("a", plugin),
            "{line}"
        );
        assert!(line["delivery"].is_u64(), "{line}");
    }
}

/// The line on a message with a text.
#[track_caller]
fn line(host: &Host, id: &str, wanted: &str) -> Value {
    let find = || {
        let lines = host.log();
        let mut lines = lines
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok());
        lines.find(|line: &Value| line["message_id"] == id && line["message"] == wanted)
    };
    eventually(SOON, find).unwrap_or_else(|| panic!("{wanted:?} on {id}: {}", host.log()))
}
