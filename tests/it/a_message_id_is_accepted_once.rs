use serde_json::{Value, json};
use wharf_testkit::process::Host;
use wharf_testkit::sink::Sink;

use crate::support::{JSON, channel, data, get, host, message, post, send, steps, wait_for};

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// Goal (A2): the same id with the same content is the same message, however often, from however
/// many sides, and after a restart with other routes; with other content it is a conflict, and
/// nothing changes.
#[test]
fn the_same_id_makes_one_message() {
    let sink = Sink::start().unwrap();
    let config = channel("a", &sink.url("/"), "");
    let mut host = host(&config).shipped("http").start().unwrap();
    let order: Value = serde_json::from_str(&data("github-webhooks/push.json")).unwrap();
    let first = json!({
        "id": "push-1", "attributes": { "to": "a" }, "headers": [["x-github-event", "push"]],
        "payload_json": order, "traceparent": TRACE,
    });
    check(&host, &first, false);

    // Sent again, as it was, with another trace, or in another way.
    check(&host, &first, true);
    check(&host, &with(&first, "traceparent", json!(null)), true);
    let transported = [
        JSON,
        ("user-agent", "other"),
        ("traceparent", TRACE),
        ("x-github-event", "ping"),
    ];
    let answer = host.http(
        "POST",
        "/v1/messages",
        &transported,
        first.to_string().as_bytes(),
    );
    assert_eq!(answer.unwrap().json().unwrap()["duplicate"], true);

    // Everything else is content.
    for (field, value) in [
        ("payload_json", json!({})),
        ("attributes", json!({ "to": "a", "more": "" })),
        ("headers", json!([["X-GitHub-Event", "ping"]])),
        ("ordering_key", json!("k")),
        ("sequence_global", json!(1)),
        ("sequence_key", json!(1)),
        ("content_type", json!("a/b")),
        ("deliver_after", json!("2020-01-01T00:00:00Z")),
        ("expires_at", json!("2099-01-01T00:00:00Z")),
        ("priority", json!("high")),
    ] {
        let answer = post(&host, with(&first, field, value).to_string().as_bytes());
        let problem = answer.json().unwrap();
        assert_eq!(
            (answer.status, &problem["code"]),
            (409, &json!("id-conflict")),
            "{field}"
        );
        assert_eq!(problem["field"], "id", "{field}");
    }
    wait_for(&host, "push-1", "delivered");
    assert_eq!(
        steps(&host, "push-1"),
        ["queued accepted", "delivered sent"]
    );
    assert!(get(&host, "push-1").get("ordering_key").is_none());

    // After a restart, where the same message would go nowhere, the first answer comes again.
    let nowhere = channel("b", &sink.url("/"), "");
    host.write(
        "wharf.toml",
        crate::support::may_reach_this_machine(&nowhere),
    )
    .unwrap();
    host.restart().unwrap();
    check(&host, &first, true);
    assert_eq!(sink.count(), 1);
}

/// Goal (A2): one id that comes from many sides at once, so within one group commit, is new once.
#[test]
fn one_of_many_senders_is_the_first() {
    let sink = Sink::start().unwrap();
    let host = host(&channel("a", &sink.url("/"), ""))
        .shipped("http")
        .start()
        .unwrap();
    for round in 0..20 {
        let same = message(&format!("race-{round}"), "a");
        let answers: Vec<Value> = std::thread::scope(|scope| {
            let senders: Vec<_> = (0..8).map(|_| scope.spawn(|| send(&host, &same))).collect();
            senders
                .into_iter()
                .map(|sender| sender.join().unwrap())
                .collect()
        });
        let new = answers
            .iter()
            .filter(|answer| answer["duplicate"] == false)
            .count();
        assert_eq!(new, 1, "round {round}: {answers:?}");
    }
    for round in 0..20 {
        wait_for(&host, &format!("race-{round}"), "delivered");
    }
    assert_eq!(sink.count(), 20);
}

/// Goal (A2): the same of one id with two contents: the first one is the message, whoever sends it again is told so, and
/// everyone else of the conflict.
#[test]
fn one_of_two_contents_is_the_first() {
    let sink = Sink::start().unwrap();
    let host = host(&channel("a", &sink.url("/"), ""))
        .shipped("http")
        .start()
        .unwrap();
    for round in 0..20 {
        let id = format!("race-{round}");
        let both =
            ["one", "two"].map(|payload| with(&message(&id, "a"), "payload", json!(payload)));
        let answers: Vec<(usize, Value)> = std::thread::scope(|scope| {
            let send = |n: usize| post(&host, both[n % 2].to_string().as_bytes());
            let senders = (0..8).map(|n| scope.spawn(move || (n % 2, send(n).json().unwrap())));
            let senders: Vec<_> = senders.collect();
            let joined = senders.into_iter().map(|sender| sender.join().unwrap());
            joined.collect()
        });
        let is_new = |(_, answer): &&(usize, Value)| answer["duplicate"] == false;
        let new: Vec<_> = answers.iter().filter(is_new).collect();
        assert_eq!(new.len(), 1, "{answers:?}");
        for (content, answer) in &answers {
            let (told, expected) = match *content == new[0].0 {
                true => (&answer["status"], "accepted"),
                false => (&answer["code"], "id-conflict"),
            };
            assert_eq!(told, expected, "{answers:?}");
        }
        wait_for(&host, &id, "delivered");
        let request = sink.requests().pop().unwrap();
        assert_eq!(request.body, ["one", "two"][new[0].0]);
    }
    assert_eq!(sink.count(), 20);
}

fn with(message: &Value, field: &str, value: Value) -> Value {
    let mut changed = message.clone();
    changed[field] = value;
    changed
}

#[track_caller]
fn check(host: &Host, message: &Value, duplicate: bool) {
    let expected =
        json!({ "id": "push-1", "duplicate": duplicate, "status": "accepted", "deliveries": 1 });
    assert_eq!(send(host, message), expected);
}
