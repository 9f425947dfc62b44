use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use wharf_testkit::process::shipped;
use wharf_testkit::sink::{Answer, Sink};

use crate::support::{
    SOON, attempts, channel, channel_of, data, ended, get, guest, host, journal, message, send,
    steps, text, wait_for,
};

/// Goal (D1): enrich, then convert, each in order, then send; and one settle that carries the
/// attempt's start, duration, plugins with digests, and the hash of what was sent.
#[test]
fn the_steps_come_in_order_and_are_journalled() {
    let sink = Sink::start().unwrap();
    sink.script("/", [Answer::status(201).header("location", "/orders/9")]);
    let config = channel(
        "a",
        &sink.url("/"),
        r#"
        enrich = [
            { plugin = "stamp", config = { headers = { x-one = "{message-id}/{attempt}" }, attributes = { misbehave = "count" } } },
            { plugin = "stamp", config = { headers = { x-one = "{channel}", x-two = "{route}" } } },
        ]
        convert = [
            { plugin = "json-map", config = { map = { issue = "/issue/number", by = "/sender/login" } } },
            "outcomes",
        ]
        "#,
    );
    let builder = host(&config)
        .shipped("http")
        .shipped("stamp")
        .shipped("json-map");
    let host = builder
        .plugin("outcomes", guest("outcomes"))
        .start()
        .unwrap();
    let issue: Value = serde_json::from_str(&data("github-webhooks/issues.opened.json")).unwrap();
    send(
        &host,
        &json!({ "id": "i1", "attributes": { "to": "a" }, "payload_json": issue }),
    );
    let view = wait_for(&host, "i1", "delivered");

    // The second converter wrapped what the first one gave; the second stamp replaced the first's.
    let request = sink.requests().remove(0);
    assert_eq!(request.body, r#"wrapped:{"by":"Codertocat","issue":1}"#);
    assert_eq!(
        (request.header("x-one"), request.header("x-two")),
        (Some("a"), Some("to-a"))
    );
    assert_eq!(request.header("content-type"), Some("application/json"));

    assert_eq!(steps(&host, "i1"), ["queued accepted", "delivered sent"]);
    let row = journal(&host, "i1").remove(1);
    let attempt = &row["attempt"];
    let digest = |component: Vec<u8>| hex::encode(Sha256::digest(component));
    let hooks = attempt["hooks"].as_array().unwrap();
    let named: Vec<_> = hooks
        .iter()
        .map(|run| json!([run["hook"], run["digest"]]))
        .collect();
    assert_eq!(
        named,
        [
            json!(["enricher stamp", digest(shipped("stamp"))]),
            json!(["enricher stamp", digest(shipped("stamp"))]),
            json!(["converter json-map", digest(shipped("json-map"))]),
            json!(["converter outcomes", digest(guest("outcomes"))]),
            json!(["channel http", digest(shipped("http"))]),
        ]
    );
    // Each hook's own time is part of the attempt's.
    let times = hooks.iter().map(|run| run["duration_ms"].as_f64().unwrap());
    let times: Vec<f64> = times.collect();
    assert!(times.iter().all(|ms| *ms > 0.0), "{times:?}");
    assert!(times.iter().sum::<f64>() <= attempt["duration_ms"].as_f64().unwrap());
    let (_, why, _) = ended(host.cli(["why", "i1"]).unwrap());
    assert!(why.contains("      enricher stamp "), "{why}");
    assert!(why.contains(" ms, converter json-map "), "{why}");
    assert_eq!(attempt["number"], 1);
    assert_eq!(attempt["reference"], "/orders/9");
    assert_eq!(attempt["body_sha256"], digest(request.body.to_vec()));
    assert_eq!(attempt["notes"], json!([["http-status", "201"]]));
    assert!(text(&view["accepted_at"]) <= text(&attempt["started_at"]));
    assert!(text(&attempt["started_at"]) <= text(&row["at"]));
    assert!(attempt["duration_ms"].as_f64().unwrap() > 0.0);
}

/// Goal (D1): what a converter refuses is final and never sent; the channel sees the message's own
/// attributes, on the first attempt as on later ones, which do not enrich.
#[test]
fn a_converter_that_refuses_ends_it() {
    let sink = Sink::start().unwrap();
    let config = [
        channel(
            "a",
            &sink.url("/"),
            r#"convert = [{ plugin = "json-map", config = { map = { all = "" } } }]"#,
        ),
        channel_of(
            "outcomes",
            "b",
            r#"enrich = [{ plugin = "stamp", config = { attributes = { outcome = "rejected" } } }]"#,
        ),
    ];
    let builder = host(&config.concat())
        .shipped("http")
        .shipped("stamp")
        .shipped("json-map");
    let host = builder
        .plugin("outcomes", guest("outcomes"))
        .start()
        .unwrap();
    send(
        &host,
        &json!({ "id": "no-json", "attributes": { "to": "a" }, "payload": "<xml/>" }),
    );
    wait_for(&host, "no-json", "rejected");
    assert_eq!(
        steps(&host, "no-json"),
        ["queued accepted", "rejected conversion-refused"]
    );
    let attempt = attempts(&host, "no-json").remove(0);
    assert_eq!(attempt["code"], "not-json");
    assert_eq!(
        attempt["hooks"].as_array().unwrap().len(),
        1,
        "only the converter ran"
    );
    assert!(attempt.get("body_sha256").is_none());

    send(&host, &message("enriched", "b"));
    wait_for(&host, "enriched", "delivered");
    assert!(
        get(&host, "enriched")["attributes"]
            .get("outcome")
            .is_none(),
        "the message stays"
    );
    assert_eq!(sink.count(), 0);
}

/// Goal (D1): no transaction is held while an attempt runs: its message is `sending`, and others
/// are accepted, delivered and shown meanwhile.
#[test]
fn an_attempt_that_takes_long_holds_up_nothing() {
    let sink = Sink::start().unwrap();
    sink.script("/slow", [Answer::silence()]);
    let config = [
        channel("slow", &sink.url("/slow"), ""),
        channel("quick", &sink.url("/quick"), ""),
    ];
    let host = host(&config.concat()).shipped("http").start().unwrap();
    send(&host, &message("slow", "slow"));
    sink.wait_for_count(SOON, 1).unwrap();
    for n in 0..20 {
        let id = format!("quick-{n}");
        send(&host, &message(&id, "quick"));
        wait_for(&host, &id, "delivered");
    }
    let slow = get(&host, "slow");
    assert_eq!(
        (&slow["status"], &slow["deliveries"][0]["attempts"]),
        (&json!("sending"), &json!(0))
    );
    assert_eq!(
        steps(&host, "slow"),
        ["queued accepted"],
        "`sending` is never stored"
    );
}
