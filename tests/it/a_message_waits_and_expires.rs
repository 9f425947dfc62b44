use std::time::Duration;

use serde_json::{Value, json};
use wharf_testkit::process::Host;
use wharf_testkit::sink::{Answer, Sink};

use crate::support::{attempts, channel, get, host, journal, send, steps, time, wait_for};

/// Goal (D7): `deliver_after` holds a message back, over a restart, and not the ones behind it;
/// `expires_at` ends what was not delivered in time, before its first attempt or between two.
#[test]
fn not_before_and_not_after() {
    let sink = Sink::start().unwrap();
    sink.script("/failing", [Answer::status(500)]);
    let retry = "retry = { schedule = [\"5s\"], jitter = 0.0 }";
    let config =
        channel("a", &sink.url("/"), "") + &channel("failing", &sink.url("/failing"), retry);
    let mut host = host(&config).shipped("http").start().unwrap();

    // The host's own clock is what counts.
    send_with(&host, "clock", "a", "deliver_after", "2020-01-01T00:00:00Z");
    let now = time(&wait_for(&host, "clock", "delivered")["accepted_at"]);
    let soon = now.after(Duration::from_secs(4)).to_string();
    send_with(&host, "later", "a", "deliver_after", &soon);
    send_with(
        &host,
        "much-later",
        "a",
        "deliver_after",
        "2099-01-01T00:00:00Z",
    );
    send_with(&host, "behind", "a", "expires_at", "2099-01-01T00:00:00Z");
    send_with(&host, "too-late", "a", "expires_at", &now.to_string());
    send_with(&host, "between", "failing", "expires_at", &soon);

    wait_for(&host, "behind", "delivered");
    wait_for(&host, "too-late", "expired");
    assert_eq!(
        steps(&host, "too-late"),
        ["queued accepted", "expired expired"]
    );
    assert_eq!(get(&host, "too-late")["deliveries"][0]["attempts"], 0);
    wait_for(&host, "between", "retrying");

    host.restart().unwrap();
    wait_for(&host, "later", "delivered");
    let (first, attempt) = (
        journal(&host, "later").remove(0),
        attempts(&host, "later").remove(0),
    );
    assert_eq!(first["due"], soon);
    assert!(time(&attempt["started_at"]) >= time(&json!(soon)));

    wait_for(&host, "between", "expired");
    let expected = ["queued accepted", "retrying failed", "expired expired"];
    assert_eq!(steps(&host, "between"), expected);
    let waiting = get(&host, "much-later");
    assert_eq!(waiting["status"], "queued");
    assert_eq!(waiting["deliveries"][0]["due"], "2099-01-01T00:00:00.000Z");
    let arrived: Vec<_> = sink.requests().into_iter().map(|r| r.body).collect();
    assert_eq!(arrived.len(), 4, "{arrived:?}");
}

fn send_with(host: &Host, id: &str, to: &str, field: &str, value: &str) {
    let mut message = crate::support::message(id, to);
    message[field] = Value::from(value);
    send(host, &message);
}
