use serde_json::{Value, json};
use wharf_testkit::process::Host;
use wharf_testkit::sink::{Answer, Gate, Sink};

use crate::support::{channel, get, host, message, post_batch, send, wait_for};

const KEYS: [&str; 3] = ["x", "y", "z"];

/// A message of an ordering key.
fn keyed(id: &str, key: &str) -> Value {
    let mut message = message(id, "a");
    message["ordering_key"] = json!(key);
    message
}

/// So many messages of each key, in turn.
fn batch(count: usize) -> Vec<Value> {
    let of_all = |n: usize| KEYS.map(|key| keyed(&format!("{key}-{n}"), key));
    (0..count).flat_map(of_all).collect()
}

/// What came of a key, in the order in which it came, each once.
fn received(sink: &Sink, key: &str) -> Vec<String> {
    let bodies = sink.requests().into_iter();
    let bodies = bodies.map(|request| String::from_utf8(request.body.to_vec()).unwrap());
    let mut of_key: Vec<_> = bodies.filter(|body| body.starts_with(key)).collect();
    of_key.dedup();
    of_key
}

fn in_order(key: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{key}-{n}")).collect()
}

fn wait_for_all(host: &Host, key: &str, count: usize) {
    for id in in_order(key, count) {
        wait_for(host, &id, "delivered");
    }
}

/// Goal (D6): of each key one is sent after the other, also where one is tried again, is in flight or was cut off by a
/// crash; and no key waits for another one.
#[test]
fn while_others_go_on() {
    const COUNT: usize = 40;
    let sink = Sink::start().unwrap();
    let gate = Gate::default();
    // The first one, of key x, does not end; some of the others fail at first. The last answer goes on.
    let answers = (1..=60).map(|n| Answer::status(if n % 7 == 3 { 503 } else { 200 }));
    sink.script(
        "/",
        [Answer::status(200).behind(&gate)]
            .into_iter()
            .chain(answers),
    );
    let more = "order = \"key\"\nretry = { schedule = [\"10ms\", \"10ms\", \"10ms\", \"10ms\", \"10ms\"] }\n\
                breaker = { failures = 0 }";
    let mut host = host(&channel("a", &sink.url("/"), more))
        .shipped("http")
        .start()
        .unwrap();
    send(&host, &keyed("x-0", "x"));
    sink.wait_for_count(crate::support::SOON, 1).unwrap();
    post_batch(&host, &batch(COUNT)[1..]);
    for key in ["y", "z"] {
        wait_for_all(&host, key, COUNT);
        assert_eq!(received(&sink, key), in_order(key, COUNT));
    }
    // The one in flight is cut off, and is sent again before those behind it.
    assert_eq!(received(&sink, "x"), ["x-0"]);
    host.kill_9().unwrap();
    host.restart().unwrap();
    sink.wait_until(crate::support::SOON, |received| {
        received
            .iter()
            .filter(|request| &*request.body == b"x-0")
            .count()
            >= 2
    })
    .unwrap();
    gate.open();
    wait_for_all(&host, "x", COUNT);
    assert_eq!(received(&sink, "x"), in_order("x", COUNT));
}

/// Goal (D6): where one is given up the next one goes on or waits, as configured, until someone redrives the one before;
/// a delayed one keeps nobody back.
#[test]
fn until_one_is_given_up() {
    for (on_dead, is_blocked) in [("continue", false), ("block", true)] {
        let sink = Sink::start().unwrap();
        sink.script("/", [Answer::status(422), Answer::status(200)]);
        let more = format!("order = \"key\"\non-dead = \"{on_dead}\"\nconfig.reject-on = [422]");
        let mut host = host(&channel("a", &sink.url("/"), &more))
            .shipped("http")
            .start()
            .unwrap();
        let mut delayed = keyed("delayed", "x");
        delayed["deliver_after"] = json!("2999-01-01T00:00:00Z");
        send(&host, &delayed);
        send(&host, &keyed("first", "x"));
        wait_for(&host, "first", "rejected");
        send(&host, &keyed("second", "x"));
        send(&host, &keyed("other", "y"));
        wait_for(&host, "other", "delivered");
        if is_blocked {
            host.restart().unwrap();
            send(&host, &keyed("another", "y"));
            wait_for(&host, "another", "delivered");
            assert_eq!(get(&host, "second")["status"], "queued");
            let redriven = host.cli(["dead-letter", "redrive", "first"]).unwrap();
            assert!(redriven.status.success());
            wait_for(&host, "first", "delivered");
        }
        wait_for(&host, "second", "delivered");
        assert_eq!(get(&host, "delayed")["status"], "queued");
    }
}
