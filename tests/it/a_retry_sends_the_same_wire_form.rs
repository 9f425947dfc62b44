use serde_json::json;
use standardwebhooks::Webhook;
use wharf_testkit::sink::{Answer, Sink};

use crate::support::{SOON, attempts, channel, guest, host, message, send, steps, wait_for};

const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

/// Goal (D3): every attempt carries the same id and the same stored wire form, also after a restart
/// with another converter, without enriching or converting again; timestamp and signature are made
/// anew each time.
#[test]
fn only_the_signature_is_made_anew() {
    let sink = Sink::start().unwrap();
    sink.script("/", [503, 500, 200].map(Answer::status));
    // Timestamps are whole seconds: the first wait makes them differ. The second one is long enough
    // for the restart to be its end.
    let more = format!(
        r#"
        config.secret = "{SECRET}"
        enrich = [{{ plugin = "stamp", config = {{ headers = {{ x-stamp = "{{attempt}} {{now-ms}}" }} }} }}]
        convert = ["wrap"]
        retry.schedule = ["1100ms", "3s"]
        retry.jitter = 0.0
        "#
    );
    let builder = host(&channel("a", &sink.url("/"), &more))
        .shipped("http")
        .shipped("stamp");
    let mut host = builder.plugin("wrap", guest("outcomes")).start().unwrap();
    let message = json!({ "id": "w1", "attributes": { "to": "a", "misbehave": "refuse" }, "payload": "žluť" });
    send(&host, &message);
    sink.wait_for_count(SOON, 2).unwrap();
    wait_for(&host, "w1", "retrying");

    // Would it convert again, this one would refuse the message.
    host.terminate().unwrap();
    host.put_plugin("wrap", guest("misbehave")).unwrap();
    host.restart().unwrap();
    wait_for(&host, "w1", "delivered");

    let requests = sink.requests();
    assert_eq!(requests.len(), 3);
    for request in &requests {
        assert_eq!(request.body, "wrapped:žluť");
        assert_eq!(request.header("webhook-id"), Some("w1"));
        assert_eq!(request.header("x-stamp"), requests[0].header("x-stamp"));
        assert!(request.header("x-stamp").unwrap().starts_with("1 "));
        Webhook::new(SECRET)
            .unwrap()
            .verify(&request.body, &request.headers)
            .unwrap();
    }
    for pair in requests.windows(2) {
        let timestamp = |n: usize| {
            pair[n]
                .header("webhook-timestamp")
                .unwrap()
                .parse::<u64>()
                .unwrap()
        };
        assert!(timestamp(0) < timestamp(1));
        assert_ne!(
            pair[0].header("webhook-signature"),
            pair[1].header("webhook-signature")
        );
    }

    let expected = [
        "queued accepted",
        "retrying failed",
        "retrying failed",
        "delivered sent",
    ];
    assert_eq!(steps(&host, "w1"), expected);
    let attempts = attempts(&host, "w1");
    let ran = attempts
        .iter()
        .map(|attempt| attempt["hooks"].as_array().unwrap().len());
    assert_eq!(
        ran.collect::<Vec<_>>(),
        [3, 1, 1],
        "enricher, converter and channel; then the channel"
    );
    for attempt in &attempts {
        assert_eq!(attempt["body_sha256"], attempts[0]["body_sha256"]);
    }
}

/// Goal (D3): an attempt that a crash cut off before its settle is the one thing that is made again from the start:
/// enriched and converted anew, under its number and the same id.
#[test]
fn what_a_crash_cut_off_is_converted_again() {
    let sink = Sink::start().unwrap();
    sink.script("/", [Answer::silence(), Answer::status(200)]);
    let more = r#"enrich = [{ plugin = "stamp", config = { headers = { x-stamp = "{attempt} {now-ms}" } } }]
        convert = ["wrap"]"#;
    let builder = host(&channel("a", &sink.url("/"), more)).shipped("http");
    let builder = builder.shipped("stamp").plugin("wrap", guest("outcomes"));
    let mut host = builder.start().unwrap();
    send(&host, &message("m1", "a"));
    sink.wait_for_count(SOON, 1).unwrap();
    host.kill_9().unwrap();

    host.restart().unwrap();
    wait_for(&host, "m1", "delivered");
    assert_eq!(steps(&host, "m1"), ["queued accepted", "delivered sent"]);
    let attempts = attempts(&host, "m1");
    assert_eq!((attempts.len(), &attempts[0]["number"]), (1, &json!(1)));
    let requests = sink.requests();
    let stamps: Vec<_> = requests
        .iter()
        .map(|request| {
            assert_eq!(request.body, "wrapped:m1");
            assert_eq!(request.header("webhook-id"), Some("m1"));
            request.header("x-stamp").unwrap()
        })
        .collect();
    assert_eq!(stamps.len(), 2);
    assert!(
        stamps.iter().all(|stamp| stamp.starts_with("1 ")),
        "{stamps:?}"
    );
    assert_ne!(stamps[0], stamps[1]);
}
