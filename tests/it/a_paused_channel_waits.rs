use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};
use wharf_testkit::process::Host;
use wharf_testkit::sink::{Answer, Gate, Sink};

use crate::support::{
    SOON, assert_has, channel, channel_of, ended, guest, health, host, message, text,
};

/// Goal (D5): a paused channel sends nothing, over a restart too, while what comes for it is accepted and other channels
/// go on; what is in flight ends. It is seen by whoever looks, with who paused it and why, until somebody resumes it.
#[test]
fn until_it_is_resumed() {
    let sink = Sink::start().unwrap();
    let gate = Gate::default();
    sink.script(
        "/a",
        [Answer::status(200).behind(&gate), Answer::status(200)],
    );
    let token = "[[api.token]]\nname = \"oncall\"\ntoken = \"t0ken\"\nscopes = [\"send\", \"read\", \"operate\"]\n";
    let config = channel("a", &sink.url("/a"), "") + &channel("b", &sink.url("/b"), "") + token;
    let mut host = host(&config)
        .shipped("http")
        .env("WHARF_TOKEN", "t0ken")
        .start()
        .unwrap();
    let bodies = |path: &str| -> Vec<String> {
        let requests = sink.requests().into_iter().filter(|r| r.path == path);
        requests
            .map(|r| String::from_utf8(r.body.to_vec()).unwrap())
            .collect()
    };

    // One is in flight when the channel is paused.
    send(&host, "m1", "a");
    sink.wait_for_count(SOON, 1).unwrap();
    let pause = ["channel", "pause", "a", "--reason", "their disk is full"];
    let (code, said, error) = ended(host.cli(pause).unwrap());
    assert_eq!((code, error.as_str()), (0, ""));
    assert_has(&said, &["paused", "by oncall: their disk is full"]);
    gate.open();
    wait_until_delivered(&host, "m1");

    // What comes now is accepted and waits; another channel goes on, and is not ahead of what would have been sent.
    send(&host, "m2", "a");
    send(&host, "m3", "b");
    wait_until_delivered(&host, "m3");
    assert_eq!(status(&host, "m2"), "queued");
    let (_, why, _) = ended(host.cli(["why", "m2"]).unwrap());
    assert_has(
        &why,
        &[
            "but the channel is paused since ",
            " by oncall: their disk is full",
        ],
    );

    let seen = |host: &Host| {
        let channels = ask(host, "GET", "/v1/channels");
        let [a, b] = [0, 1].map(|n| channels["channels"][n].clone());
        assert_eq!(
            (text(&a["status"]), text(&b["status"])),
            ("paused", "running")
        );
        assert_eq!(
            (text(&a["reason"]), text(&a["by"])),
            ("their disk is full", "oncall")
        );
        assert_eq!((&a["ready"], &a["in_flight"]), (&json!(1), &json!(0)));
        assert_eq!(a["deliveries"], json!({ "queued": 1 }));
        let accepted_at = ask(host, "GET", "/v1/messages/m2")["accepted_at"].clone();
        assert_eq!(a["behind_since"], accepted_at);
        assert_eq!(b["behind_since"], Value::Null);
        let answer = host
            .http("GET", "/metrics", &AUTHORIZATION, b"")
            .unwrap()
            .text();
        assert_has(
            &answer,
            &[
                "wharf_channel_paused{channel=\"a\"} 1.0\n",
                "wharf_channel_paused{channel=\"b\"} 0.0\n",
                "wharf_channel_deliveries{channel=\"a\",status=\"queued\"} 1.0\n",
                "wharf_queue_age_seconds{channel=\"a\"} ",
            ],
        );
        let health = host.http("GET", "/readyz", &AUTHORIZATION, b"").unwrap();
        assert_eq!(health.status, 200);
        let health = health.text();
        assert_has(
            &health,
            &[
                "degraded",
                "channel a (paused)",
                "by oncall: their disk is full",
            ],
        );
        a["since"].clone()
    };
    let since = seen(&host);
    host.restart().unwrap();
    assert_eq!(seen(&host), since);
    send(&host, "m4", "b");
    wait_until_delivered(&host, "m4");
    assert_eq!(bodies("/a"), ["m1"]);

    // Another reason, the same pause.
    let body = br#"{"reason":"their disk is still full"}"#;
    let again = host
        .http("POST", "/v1/channels/a/pause", &AUTHORIZATION, body)
        .unwrap();
    let again = again.json().unwrap();
    assert_eq!(
        (&again["since"], text(&again["reason"])),
        (&since, "their disk is still full")
    );

    let (code, said, _) = ended(host.cli(["channel", "resume", "a"]).unwrap());
    assert_eq!(code, 0);
    assert_has(&said, &["running"]);
    wait_until_delivered(&host, "m2");
    assert_eq!(bodies("/a"), ["m1", "m2"]);
    assert_eq!(health(&host).0, "ok");
    host.restart().unwrap();
    let (_, said, _) = ended(host.cli(["channel", "list"]).unwrap());
    assert!(!said.contains("paused"), "{said}");
    assert_has(
        &host.log(),
        &[
            "paused by an operator",
            "resumed by an operator",
            "by=\"oncall\"",
        ],
    );

    for (name, body, status, parts) in [
        ("z", "", 404, &["channel-not-found", "there are a, b"][..]),
        ("a", r#"{"why":"x"}"#, 400, &["invalid-field", "why"]),
        (
            "a",
            &json!({ "reason": "x".repeat(501) }).to_string(),
            400,
            &["invalid-field", "500 bytes"],
        ),
        ("a", "x", 400, &["malformed-body"]),
    ] {
        let path = format!("/v1/channels/{name}/pause");
        let answer = host
            .http("POST", &path, &AUTHORIZATION, body.as_bytes())
            .unwrap();
        assert_eq!(answer.status, status, "{}", answer.text());
        assert_has(&answer.text(), parts);
    }
    let (code, _, error) = ended(host.cli(["channel", "resume", "z"]).unwrap());
    assert_eq!(code, 1);
    assert_has(&error, &["channel-not-found", "try: `wharf channel list`"]);
}

/// Goal: a client that goes away while it pauses a channel leaves nothing half done: what was put on disk was put in
/// force, and told.
#[test]
fn a_client_that_goes_away_leaves_nothing_half_done() {
    let config = channel_of("outcomes", "a", "") + &channel_of("outcomes", "b", "");
    let mut host = host(&config)
        .plugin("outcomes", guest("outcomes"))
        .start()
        .unwrap();
    let state = |host: &Host| {
        let (_, listed, _) = ended(host.cli(["channel", "list", "--json"]).unwrap());
        let listed: Value = serde_json::from_str(&listed).unwrap();
        text(&listed["channels"][0]["status"]).to_owned()
    };
    let head = "POST /v1/channels/a/pause HTTP/1.1\r\nhost: a\r\n\
                content-type: application/json\r\ncontent-length: 0\r\n\r\n";
    let resume = |host: &Host, channel: &str| {
        assert_eq!(
            ended(host.cli(["channel", "resume", channel]).unwrap()).0,
            0
        );
    };
    // Cut off at another moment each time: before it is read, while it is committed, after that.
    for wait_us in (0..1200).step_by(100) {
        resume(&host, "a");
        let mut stream = TcpStream::connect(host.address()).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        std::thread::sleep(Duration::from_micros(wait_us));
        drop(stream);
        // One change comes after the other: when this one is answered, the one before it is through.
        resume(&host, "b");
        let in_force = state(&host);
        host.restart().unwrap();
        assert_eq!(state(&host), in_force, "after {wait_us} us");
    }
    assert_has(&host.log(), &["paused by an operator channel=a"]);
}

const AUTHORIZATION: [(&str, &str); 2] = [
    ("authorization", "Bearer t0ken"),
    ("content-type", "application/json"),
];

fn ask(host: &Host, method: &str, path: &str) -> Value {
    let answer = host.http(method, path, &AUTHORIZATION, b"").unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json().unwrap()
}

fn send(host: &Host, id: &str, to: &str) {
    let body = message(id, to).to_string();
    let answer = host
        .http("POST", "/v1/messages", &AUTHORIZATION, body.as_bytes())
        .unwrap();
    assert_eq!(answer.status, 202, "{}", answer.text());
}

fn status(host: &Host, id: &str) -> String {
    let view = ask(host, "GET", &format!("/v1/messages/{id}"));
    text(&view["status"]).to_owned()
}

#[track_caller]
fn wait_until_delivered(host: &Host, id: &str) {
    let is_delivered = || (status(host, id) == "delivered").then_some(());
    let found = wharf_testkit::process::eventually(SOON, is_delivered);
    assert!(found.is_some(), "{id} is {}", status(host, id));
}
