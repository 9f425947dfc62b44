use serde_json::json;
use wharf_testkit::sink::Sink;

use crate::support::{NDJSON, SOON, channel, data, get, host, post, post_batch_as, text, wait_for};

/// Goal (A7): the three payload fields give exactly the bytes that were meant, headers keep their
/// order, and every other field of the form is kept.
#[test]
fn payload_and_headers_arrive_as_sent() {
    let sink = Sink::start().unwrap();
    let host = host(&channel("a", &sink.url("/"), ""))
        .shipped("http")
        .start()
        .unwrap();

    // JSON with its own white space, number forms and escapes: not as a parser would write it.
    let event = data("cloudevents/structured/json_data_with_fractional_time.json");
    let event = event.trim();
    assert!(event.contains("\n  "), "the sample is indented");
    let odd = r#"{ "n": 1.50, "e": 1E+2, "a": "\u0041\/", "a": null }"#;
    for (id, source) in [("event", event), ("odd", odd)] {
        check(
            &host,
            &sink,
            id,
            &format!(r#""payload_json": {source}"#),
            source,
            "application/json",
        );
    }

    let text = "žlutý kůň\n\t\"quoted\"";
    let field = format!(
        r#""payload": {}, "content_type": "text/plain; charset=utf-8""#,
        json!(text)
    );
    check(
        &host,
        &sink,
        "text",
        &field,
        text,
        "text/plain; charset=utf-8",
    );
    let field = r#""payload_base64": "AP/+AQ==", "headers": [["Content-Type", "x/y"]]"#;
    check(&host, &sink, "bytes", field, b"\x00\xff\xfe\x01", "x/y");
    check(
        &host,
        &sink,
        "none",
        r#""headers": []"#,
        "",
        "application/octet-stream",
    );

    // Escapes make a form six times as large as its payload, which is what the limit is about.
    let long = "\u{1}".repeat(300_000);
    check(
        &host,
        &sink,
        "long",
        &format!(r#""payload": {}"#, json!(long)),
        &long,
        "application/octet-stream",
    );
    check(
        &host,
        &sink,
        "null",
        r#""payload_json": null"#,
        "null",
        "application/json",
    );

    // In a batch too, where the form is one line.
    sink.forget();
    let line = format!(r#"{{"id":"line","attributes":{{"to":"a"}},"payload_json": {odd} }}"#);
    let answers = post_batch_as(&host, &[NDJSON], line.as_bytes());
    assert_eq!(answers[0]["status"], 202, "{answers:?}");
    sink.wait_for_count(SOON, 1).unwrap();
    assert_eq!(sink.requests()[0].body, odd);

    // The same header twice keeps its order; what the receiver is shown is what GET shows.
    let form = json!({
        "id": "full", "attributes": { "to": "a", "lang": "cs" },
        "headers": [["x-b", "2"], ["x-a", "1"], ["x-b", "1"]], "payload": "x",
        "ordering_key": "order-7", "sequence_global": 12, "sequence_key": 3, "priority": "high",
        "expires_at": "2099-12-31T23:59:59.5+01:00", "deliver_after": "2020-01-01T00:00:00Z",
    });
    assert_eq!(post(&host, form.to_string().as_bytes()).status, 202);
    wait_for(&host, "full", "delivered");
    let view = get(&host, "full");
    assert_eq!(view["headers"], form["headers"]);
    assert_eq!(view["attributes"], form["attributes"]);
    assert_eq!(view["ordering_key"], "order-7");
    assert_eq!(view["expires_at"], "2099-12-31T22:59:59.500Z");
    let request = sink.requests().pop().unwrap();
    let values: Vec<_> = request.headers.get_all("x-b").iter().collect();
    assert_eq!(values, ["2", "1"]);
}

#[track_caller]
fn check(
    host: &wharf_testkit::process::Host,
    sink: &Sink,
    id: &str,
    field: &str,
    body: impl AsRef<[u8]>,
    content_type: &str,
) {
    sink.forget();
    let form = format!(r#"{{"id": "{id}", "attributes": {{"to": "a"}}, {field}}}"#);
    let answer = post(host, form.as_bytes());
    assert_eq!(answer.status, 202, "{}", answer.text());
    assert_eq!(text(&answer.json().unwrap()["id"]), id);
    let requests = sink
        .wait_until(SOON, |requests| requests.len() == 1)
        .unwrap();
    assert_eq!(requests[0].body, body.as_ref(), "{id}");
    assert_eq!(
        requests[0].header("content-type"),
        Some(content_type),
        "{id}"
    );
    assert_eq!(get(host, id)["payload_bytes"], body.as_ref().len());
}
