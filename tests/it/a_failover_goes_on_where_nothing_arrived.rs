use std::net::TcpListener;

use serde_json::{Value, json};
use wharf_testkit::process::{Host, eventually};
use wharf_testkit::sink::{Answer, Sink};

use crate::support::{SOON, assert_has, attempts, ended, get, host, send, steps, text, wait_for};

/// Three channels, each with a path of its own at the receiver, and a route that fails over from one to the next.
fn config(sink: &Sink, first: &str, after: u32) -> String {
    let channel = |name: &str, url: &str| {
        format!(
            "[[channel]]\nname = \"{name}\"\nplugin = \"http\"\ntimeout = \"1s\"\n\
             config = {{ url = \"{url}\", reject-on = [422] }}\n\
             retry = {{ schedule = [\"10ms\", \"10ms\", \"10ms\"], jitter = 0.0 }}\n"
        )
    };
    let channels = [
        channel("a", first),
        channel("b", &sink.url("/b")),
        channel("c", &sink.url("/c")),
    ];
    let route = format!(
        "[[route]]\nname = \"partners\"\nchannels = [\"a\", \"b\", \"c\"]\nmode = \"failover\"\nfailover-after = {after}\n"
    );
    channels.concat() + &route
}

fn deliveries(host: &Host, id: &str) -> Vec<String> {
    let view = get(host, id);
    let deliveries = view["deliveries"].as_array().unwrap().clone();
    let shown = deliveries
        .iter()
        .map(|d| format!("{} {}", text(&d["channel"]), text(&d["status"])));
    shown.collect()
}

fn in_reserve(host: &Host, id: &str) -> Vec<String> {
    let view = get(host, id);
    let in_reserve = view["in_reserve"].as_array().cloned().unwrap_or_default();
    let shown = in_reserve
        .iter()
        .map(|one| text(&one["channel"]).to_owned());
    shown.collect()
}

fn message(id: &str) -> Value {
    json!({ "id": id, "payload": id })
}

/// Goal (C2): accept makes the first delivery alone. Whatever says that nothing arrived (4xx, 429, 503 with Retry-After, a
/// refusal, no connection) supersedes it, and the next channel's turn comes with the same idempotency key. What may have
/// arrived (5xx, an answer that never comes) is tried again where it is, and goes nowhere else.
#[test]
fn what_certainly_did_not_arrive_goes_on_and_what_may_have_does_not() {
    let sink = Sink::start().unwrap();
    let host = host(&config(&sink, &sink.url("/a"), 1))
        .shipped("http")
        .start()
        .unwrap();
    let definite = [
        ("gone", Answer::status(404)),
        ("busy", Answer::status(429)),
        ("later", Answer::status(503).retry_after(3600)),
        ("refused", Answer::status(422)),
    ];
    for (id, answer) in definite {
        sink.script("/a", [answer]);
        let answer = send(&host, &message(id));
        assert_eq!(answer["deliveries"], 1, "{id}");
        wait_for(&host, id, "delivered");
        assert_eq!(
            deliveries(&host, id),
            ["a superseded", "b delivered"],
            "{id}"
        );
        assert_eq!(in_reserve(&host, id), ["c"], "{id}");
        let expected = [
            "queued accepted",
            "superseded failed-over",
            "queued failed-over",
            "delivered sent",
        ];
        assert_eq!(steps(&host, id), expected, "{id}");
        let sent = sink.take_requests();
        let paths: Vec<_> = sent.iter().map(|request| &*request.path).collect();
        assert_eq!(paths, ["/a", "/b"], "{id}");
        for request in sent {
            assert_eq!(request.header("webhook-id"), Some(id));
        }
    }
    for (id, unclear) in [
        ("broken", Answer::status(500)),
        ("overloaded", Answer::status(503)),
        ("cut", Answer::close()),
        ("silent", Answer::silence()),
    ] {
        // What is unclear once stays so: a definite failure after it sends the message nowhere else.
        sink.script("/a", [unclear, Answer::status(404), Answer::status(200)]);
        send(&host, &message(id));
        wait_for(&host, id, "delivered");
        assert_eq!(deliveries(&host, id), ["a delivered"], "{id}");
        let effects: Vec<_> = attempts(&host, id)
            .iter()
            .map(|attempt| attempt["effect"].clone())
            .collect();
        assert_eq!(
            effects,
            [json!("unknown"), json!("none"), Value::Null],
            "{id}"
        );
        let sent = sink.take_requests();
        assert_eq!(sent.len(), 3, "{id}");
        for request in sent {
            assert_eq!(request.path, "/a");
            assert_eq!(request.header("webhook-id"), Some(id));
        }
    }
    // Its retries spent, it is a dead letter, and not the next channel's.
    sink.script("/a", vec![Answer::status(500); 4]);
    send(&host, &message("spent"));
    wait_for(&host, "spent", "dead");
    assert_eq!(deliveries(&host, "spent"), ["a dead"]);
}

/// Goal (C2): a lane that is left alone is one that nothing arrives at: what would wait for it goes on at once, without
/// an attempt, and without spending any; what has nowhere else to go waits.
#[test]
fn a_lane_that_is_left_alone_counts_as_a_failure() {
    let sink = Sink::start().unwrap();
    let nobody = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let config = config(&sink, &format!("http://{nobody}/"), 1).replacen(
        "retry = {",
        "breaker = { failures = 1, wait = \"1h\", wait-max = \"1h\" }\nretry = {",
        1,
    ) + "[[route]]\nname = \"only-a\"\nmatch = { only = \"a\" }\nchannels = [\"a\"]\nstop = true\n";
    let config = {
        // The narrower route comes first.
        let (rest, first) = config.split_at(config.rfind("[[route]]").unwrap());
        let (channels, routes) = rest.split_at(rest.find("[[route]]").unwrap());
        [channels, first, routes].concat()
    };
    let host = host(&config).shipped("http").start().unwrap();
    send(
        &host,
        &json!({ "id": "first", "attributes": { "only": "a" }, "payload": "" }),
    );
    wait_for(&host, "first", "retrying");
    send(&host, &message("m"));
    wait_for(&host, "m", "delivered");
    assert_eq!(deliveries(&host, "m"), ["a superseded", "b delivered"]);
    let expected = [
        "queued accepted",
        "superseded breaker-open",
        "queued failed-over",
        "delivered sent",
    ];
    assert_eq!(steps(&host, "m"), expected);
    // The one at the second channel is the first that was made.
    assert_eq!(attempts(&host, "m").len(), 1);
    assert_eq!(attempts(&host, "first").len(), 1);
    assert_has(
        &host.log(),
        &["given up as its lane is left alone, and the route goes on"],
    );
}

/// Goal (C2): the count is the route's; the remaining channels survive a kill; the last one has nowhere to go. A first
/// channel that nobody listens for is one that nothing arrived at.
#[test]
fn the_remaining_channels_survive_a_kill() {
    let sink = Sink::start().unwrap();
    let nobody = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let config = config(&sink, &format!("http://{nobody}/"), 2);
    let mut host = host(&config).shipped("http").start().unwrap();
    sink.script("/b", [Answer::silence()]);
    let gives_up = vec![Answer::status(404); 4];
    sink.script("/c", [gives_up, vec![Answer::status(200)]].concat());
    send(&host, &message("m"));
    let is_out = eventually(SOON, || (sink.count() > 0).then_some(()));
    assert!(is_out.is_some());
    assert_eq!(deliveries(&host, "m"), ["a superseded", "b sending"]);
    assert_eq!(attempts(&host, "m").len(), 2);
    let (_, why, _) = ended(host.cli(["why", "m"]).unwrap());
    let expected = [
        "channel a, by route partners: superseded",
        "next: nothing, the route went on to its next channel",
        "channel c, by route partners: in reserve",
    ];
    assert_has(&why, &expected);

    host.kill_9().unwrap();
    sink.script("/b", vec![Answer::status(404); 2]);
    host.restart().unwrap();
    wait_for(&host, "m", "dead");
    let expected = ["a superseded", "b superseded", "c dead"];
    assert_eq!(deliveries(&host, "m"), expected);
    assert_eq!(in_reserve(&host, "m"), [""; 0]);
    // The last one is redriven like any other.
    let (code, ..) = ended(host.cli(["dead-letter", "redrive", "m"]).unwrap());
    assert_eq!(code, 0);
    wait_for(&host, "m", "delivered");
    assert!(host.log().contains("goes on to its next channel"));
}
