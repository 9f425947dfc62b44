use serde_json::{Value, json};
use wharf_testkit::process::{Host, eventually};
use wharf_testkit::sink::{Answer, Gate, Sink};

use crate::support::{
    JSON, SOON, assert_has, attempts, channel, channel_of, ended, get, guest, host, message, send,
    steps, wait_for,
};

/// Goal: what waits is cancelled at once and never sent; what a receiver has is not, and the refusal says where it
/// stands. Asking twice is as good as once.
#[test]
fn before_it_is_attempted() {
    let sink = Sink::start().unwrap();
    sink.script("/b", [Answer::status(503)]);
    let config = channel("a", &sink.url("/a"), "")
        + &channel("b", &sink.url("/b"), "retry = { schedule = [\"1h\"] }")
        + &channel_of("outcomes", "c", "")
        + "[[route]]\nname = \"two\"\nmatch = { to = \"two\" }\nchannels = [\"b\", \"c\"]\n";
    let host = host(&config)
        .shipped("http")
        .plugin("outcomes", guest("outcomes"))
        .start()
        .unwrap();

    let later = json!({
        "id": "later", "attributes": { "to": "a" }, "deliver_after": "2999-01-01T00:00:00Z",
    });
    send(&host, &later);
    let (code, said, error) = ended(host.cli(["cancel", "later"]).unwrap());
    assert_eq!((code, error.as_str()), (0, ""));
    assert_has(&said, &["CHANNEL", "a        changed  cancelled"]);
    assert_eq!(
        steps(&host, "later"),
        ["queued accepted", "cancelled cancelled"]
    );
    let again = cancel(&host, "later");
    assert_eq!(again, (200, vec!["a unchanged cancelled".to_owned()]));

    // One that failed waits as well; beside it one that the receiver has.
    let both = json!({ "id": "both", "attributes": { "to": "two", "outcome": "pending" } });
    send(&host, &both);
    let stands = |n: usize| get(&host, "both")["deliveries"][n]["status"].clone();
    let waits = || (stands(0) == "retrying" && stands(1) == "pending").then_some(());
    eventually(SOON, waits).unwrap();
    let (status, results) = cancel(&host, "both");
    assert_eq!(status, 200);
    assert_eq!(results, ["b changed cancelled", "c unchanged pending"]);

    send(&host, &message("sent", "a"));
    wait_for(&host, "sent", "delivered");
    send(&host, &message("unroutable", "nobody"));
    for (id, status, parts) in [
        ("sent", 409, &["not-cancellable", "delivered (a)"][..]),
        ("unroutable", 409, &["not-cancellable", "no delivery"]),
        ("unknown", 404, &["message-not-found", "unknown"]),
        ("a.b", 400, &["invalid-id"]),
    ] {
        let path = format!("/v1/messages/{id}/cancel");
        let answer = host.http("POST", &path, &[JSON], b"").unwrap();
        assert_eq!(answer.status, status, "{}", answer.text());
        assert_has(&answer.text(), parts);
    }
    let (code, _, error) = ended(host.cli(["cancel", "sent"]).unwrap());
    assert_eq!(code, 1);
    assert_has(&error, &["not-cancellable", "try: `wharf why ID`"]);

    // No page of another site can ask for a change: what a browser sends for one unasked has another content type.
    for path in [
        "messages/both/cancel",
        "messages/both/redrive",
        "dead-letters/redrive",
        "channels/a/pause",
        "channels/a/resume",
    ] {
        for headers in [&[][..], &[("content-type", "text/plain")]] {
            let path = format!("/v1/{path}");
            let answer = host.http("POST", &path, headers, b"{}").unwrap();
            assert_eq!(answer.status, 415, "{path}: {}", answer.text());
        }
    }

    let paths: Vec<_> = sink.requests().into_iter().map(|r| r.path).collect();
    assert_eq!(paths, ["/b", "/a"]);
}

/// Goal: of what is being attempted the further attempts are cancelled: where this one fails there is no other, where
/// it succeeds the message is delivered. Meanwhile the message says so.
#[test]
fn while_it_is_attempted() {
    let sink = Sink::start().unwrap();
    let gate = Gate::default();
    sink.script("/good", [Answer::status(200).behind(&gate)]);
    sink.script("/bad", [Answer::status(503).behind(&gate)]);
    let retry = "retry = { schedule = [\"10ms\", \"10ms\"], jitter = 0.0 }";
    let config =
        channel("good", &sink.url("/good"), retry) + &channel("bad", &sink.url("/bad"), retry);
    let host = host(&config).shipped("http").start().unwrap();
    for name in ["good", "bad"] {
        send(&host, &message(name, name));
    }
    sink.wait_for_count(SOON, 2).unwrap();
    for name in ["good", "bad"] {
        let expected = (200, vec![format!("{name} in-flight sending")]);
        assert_eq!(cancel(&host, name), expected);
        assert_eq!(cancel(&host, name), expected);
        let delivery = &get(&host, name)["deliveries"][0];
        assert_eq!(
            (&delivery["status"], &delivery["cancelling"]),
            (&json!("sending"), &json!(true))
        );
        let (_, said, _) = ended(host.cli(["why", name]).unwrap());
        assert_has(&said, &["next: what the attempt that is running comes to"]);
    }
    gate.open();
    let good = wait_for(&host, "good", "delivered");
    let bad = wait_for(&host, "bad", "cancelled");
    for view in [good, bad] {
        assert_eq!(view["deliveries"][0]["cancelling"], Value::Null);
    }
    assert_eq!(
        steps(&host, "bad"),
        ["queued accepted", "cancelled cancelled"]
    );
    let attempts = attempts(&host, "bad");
    assert_eq!(
        (attempts.len(), &attempts[0]["code"]),
        (1, &json!("http-503"))
    );
    assert_eq!(sink.count(), 2);
}

/// Goal: a wish to cancel outlives a crash: the attempt that was lost is not made again.
#[test]
fn while_the_host_dies() {
    let sink = Sink::start().unwrap();
    sink.otherwise(Answer::silence());
    let mut host = host(&channel("a", &sink.url("/"), ""))
        .shipped("http")
        .start()
        .unwrap();
    send(&host, &message("m1", "a"));
    sink.wait_for_count(SOON, 1).unwrap();
    assert_eq!(cancel(&host, "m1").1, ["a in-flight sending"]);
    host.kill_9().unwrap();
    sink.otherwise(Answer::status(200));
    host.restart().unwrap();
    wait_for(&host, "m1", "cancelled");
    send(&host, &message("m2", "a"));
    wait_for(&host, "m2", "delivered");
    assert_eq!(sink.count(), 2);
}

/// The answer's status, and each delivery as `channel result status`.
fn cancel(host: &Host, id: &str) -> (u16, Vec<String>) {
    let path = format!("/v1/messages/{id}/cancel");
    let answer = host.http("POST", &path, &[JSON], b"").unwrap();
    let body = answer.json().unwrap();
    let deliveries = body["deliveries"].as_array().cloned().unwrap_or_default();
    let deliveries = deliveries.iter().map(|one| {
        let [channel, result, status] =
            ["channel", "result", "status"].map(|key| one[key].as_str().unwrap());
        format!("{channel} {result} {status}")
    });
    (answer.status, deliveries.collect())
}
