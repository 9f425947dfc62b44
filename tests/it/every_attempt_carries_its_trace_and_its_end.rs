use std::collections::BTreeSet;

use serde_json::{Value, json};
use wharf_testkit::sink::{Answer, Sink};

use crate::support::{attempts, channel, guest, host, send, wait_for};

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// Goal: a call carries `expires-at` and `traceparent` where the message has them and only there; the trace context is
/// a fresh child for each attempt, and is what the receiver is sent. What is no trace context is not passed on.
#[test]
fn the_receiver_is_sent_a_child() {
    let sink = Sink::start().unwrap();
    sink.script(
        "/a",
        [
            Answer::status(503),
            Answer::status(503),
            Answer::status(200),
        ],
    );
    let retry =
        "retry = { schedule = [\"10ms\", \"10ms\"], jitter = 0.0 }\nannotate = [\"misbehave\"]\n";
    let config = channel("a", &sink.url("/a"), retry) + &channel("b", &sink.url("/b"), retry);
    let builder = host(&config).shipped("http");
    let host = builder
        .plugin("misbehave", guest("misbehave"))
        .start()
        .unwrap();
    let tell = |id: &str, to: &str, more: Value| {
        let mut message = json!({ "id": id, "payload": id });
        message["attributes"] = json!({ "to": to, "misbehave": "extra" });
        for (key, value) in more.as_object().unwrap() {
            message[key] = value.clone();
        }
        send(&host, &message);
        wait_for(&host, id, "delivered");
    };
    let extra = |attempt: &Value| {
        let notes = attempt["notes"].as_array().unwrap();
        notes
            .iter()
            .find(|note| note[0] == "answer")
            .map(|note| note[1].clone())
    };

    tell(
        "traced",
        "a",
        json!({ "traceparent": PARENT, "expires_at": "2999-01-01T00:00:00Z" }),
    );
    let requests = sink.requests();
    let sent: Vec<_> = requests
        .iter()
        .map(|r| r.header("traceparent").unwrap())
        .collect();
    let ids: BTreeSet<_> = sent.iter().map(|trace| &trace[36..52]).collect();
    assert_eq!((sent.len(), ids.len()), (3, 3), "{sent:?}");
    for (attempt, trace) in attempts(&host, "traced").iter().zip(&sent) {
        assert!(
            trace.starts_with(&PARENT[..36]) && trace.ends_with("-01"),
            "{trace}"
        );
        assert_ne!(*trace, PARENT);
        let expected = format!("expires-at=2999-01-01T00:00:00.000Z traceparent={trace}");
        assert_eq!(extra(attempt).unwrap(), expected);
    }

    tell("plain", "b", json!({}));
    tell("odd", "b", json!({ "traceparent": "00-not-a-trace" }));
    for id in ["plain", "odd"] {
        assert_eq!(extra(&attempts(&host, id)[0]), None, "{id}");
    }
    let untraced = |r: &wharf_testkit::sink::Received| r.header("traceparent").is_none();
    assert!(sink.requests()[3..].iter().all(untraced));
}
