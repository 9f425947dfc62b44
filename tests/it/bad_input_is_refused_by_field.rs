use wharf_testkit::process::Host;
use wharf_testkit::sink::Sink;

use crate::support::{channel, host, text, wait_for};

const JSON: &str = "application/json";

/// Goal (A4): every kind of bad input is refused with a problem document that has a stable code and
/// names the field; nothing of it is stored, and what is good still arrives.
#[test]
fn nothing_bad_is_stored() {
    let sink = Sink::start().unwrap();
    let config = channel("a", &sink.url("/"), "");
    let host = host(&config).shipped("http").start().unwrap();

    // The wrong kind of thing.
    check(
        &host,
        "text/plain",
        "hello",
        "415 unsupported-media-type content-type",
    );
    check(&host, "", "{}", "415 unsupported-media-type content-type");
    check(&host, JSON, r#"{"id":"bad""#, "400 malformed-body");
    check(
        &host,
        JSON,
        b"{\"id\":\"bad\",\"payload\":\"\xff\"}",
        "400 invalid-field payload",
    );
    check(&host, JSON, r#""bad""#, "400 malformed-body");
    check(&host, JSON, r#"["bad"]"#, "400 malformed-body");

    // Fields: unknown, of the wrong type, of a value that cannot be used.
    check(
        &host,
        JSON,
        r#"{"id":"bad","paylod":"x"}"#,
        "400 unknown-field paylod",
    );
    check(
        &host,
        JSON,
        r#"{"id":"bad","payload":7}"#,
        "400 invalid-field payload",
    );
    let nested = r#"{"id":"bad","attributes":{"to":["a"]}}"#;
    check(&host, JSON, nested, "400 invalid-field attributes.to");
    for id in ["", "a.b", "a b", "ä", &"x".repeat(65)] {
        check(
            &host,
            JSON,
            format!(r#"{{"id":"{id}"}}"#),
            "400 invalid-id id",
        );
    }
    for (field, value) in [
        ("payload_base64", r#""%%""#),
        ("deliver_after", r#""tomorrow""#),
        ("expires_at", r#""1969-01-01T00:00:00Z""#),
        ("priority", r#""urgent""#),
        ("sequence_key", "-1"),
        ("ordering_key", r#""""#),
        ("headers", r#"[["x y","z"]]"#),
        ("headers", r#"[["x","a\r\nb: c"]]"#),
        ("attributes", r#"{"":"x"}"#),
    ] {
        let body = format!(r#"{{"id":"bad","{field}":{value}}}"#);
        check(&host, JSON, &body, &format!("400 invalid-field {field}"));
    }
    let two = r#"{"id":"bad","payload":"x","payload_json":{}}"#;
    check(&host, JSON, two, "400 invalid-field payload");

    // One byte over the default limit of 1 MiB, and far over it.
    let sized = |id: &str, bytes: usize| {
        format!(
            r#"{{"id":"{id}","attributes":{{"to":"a"}},"payload":"{}"}}"#,
            "x".repeat(bytes)
        )
    };
    let over = sized("bad", (1 << 20) + 1);
    check(&host, JSON, &over, "413 payload-too-large payload");
    check(
        &host,
        JSON,
        sized("bad", 32 << 20),
        "413 payload-too-large body",
    );

    let fits = crate::support::post(&host, sized("fits", 1 << 20).as_bytes());
    assert_eq!(fits.status, 202, "{}", fits.text());
    wait_for(&host, "fits", "delivered");
    assert_eq!(sink.requests()[0].body.len(), 1 << 20);
    assert_eq!(sink.count(), 1);

    // Paths and methods that are not there.
    for (method, path, status, code) in [
        ("GET", "/v1/messages/none", 404, "message-not-found"),
        ("GET", "/v1/messages/a.b/journal", 400, "invalid-id"),
        ("GET", "/v2", 404, "not-found"),
        ("DELETE", "/v1/messages", 405, "method-not-allowed"),
    ] {
        let problem = host.http(method, path, &[], b"").unwrap();
        let found = (problem.status, problem.json().unwrap()["code"].clone());
        assert_eq!(found, (status, code.into()), "{method} {path}");
        let allowed = (status == 405).then_some("POST");
        assert_eq!(problem.header("allow"), allowed, "{method} {path}");
    }
}

/// Goal (A4): the limit can be raised to 16 MiB, and a message of that size arrives whole; one byte more is refused.
#[test]
fn the_hard_limit_can_be_used() {
    let sink = Sink::start().unwrap();
    let config = channel("a", &sink.url("/"), "") + "[api]\npayload-max = \"16MiB\"\n";
    let host = host(&config).shipped("http").start().unwrap();
    let sized = |id: &str, bytes: usize| {
        let payload = "x".repeat(bytes);
        serde_json::json!({ "id": id, "attributes": { "to": "a" }, "payload": payload }).to_string()
    };
    let over = sized("bad", (16 << 20) + 1);
    check(&host, JSON, &over, "413 payload-too-large payload");
    let answer = crate::support::post(&host, sized("fits", 16 << 20).as_bytes());
    assert_eq!(answer.status, 202, "{}", answer.text());
    wait_for(&host, "fits", "delivered");
    assert_eq!(sink.requests()[0].body.len(), 16 << 20);
}

/// Goal: whoever sends a large body to be refused reads why, whichever part of the server refuses it: the answer
/// comes after the body, and is not lost with the connection.
#[test]
fn a_large_body_is_read_before_its_refusal() {
    let config = "[api]\ntoken = { env = \"TOKEN\" }\n";
    let host = host(config).env("TOKEN", "s3cret").start().unwrap();
    let body = vec![b'x'; 24 << 20];
    let right = ("authorization", "Bearer s3cret");
    for (headers, path, status) in [
        (
            [("authorization", "Bearer wrong"), ("content-type", JSON)],
            "/v1/messages",
            401,
        ),
        ([right, ("content-type", "text/plain")], "/v1/messages", 415),
        (
            [right, ("content-type", "text/plain")],
            "/v1/messages/batch",
            415,
        ),
        ([right, ("content-type", JSON)], "/v1/message", 404),
        ([right, ("content-type", JSON)], "/readyz", 405),
        ([right, ("content-type", JSON)], "/v1/messages", 413),
    ] {
        let answer = host.http("POST", path, &headers, &body).unwrap();
        assert_eq!(answer.status, status, "{path}: {}", answer.text());
    }
}

#[track_caller]
fn check(host: &Host, content_type: &str, body: impl AsRef<[u8]>, expected: &str) {
    let headers: &[_] = match content_type {
        "" => &[],
        content_type => &[("content-type", content_type)],
    };
    let answer = host
        .http("POST", "/v1/messages", headers, body.as_ref())
        .unwrap();
    let problem = answer.json().unwrap();
    let shown = String::from_utf8_lossy(body.as_ref())
        .chars()
        .take(100)
        .collect::<String>();
    let (status, code) = (answer.status, text(&problem["code"]));
    let found = format!(
        "{status} {code} {}",
        problem["field"].as_str().unwrap_or_default()
    );
    assert_eq!(found.trim_end(), expected, "{shown}: {problem}");
    assert_eq!(
        answer.header("content-type"),
        Some("application/problem+json"),
        "{shown}"
    );
    assert_eq!(problem["type"], format!("/problems/{code}"), "{shown}");
    assert_eq!(problem["status"], status, "{shown}");
    assert!(
        !text(&problem["title"]).is_empty() && !text(&problem["detail"]).is_empty(),
        "{shown}"
    );

    let stored = host.http("GET", "/v1/messages/bad", &[], b"").unwrap();
    assert_eq!(stored.status, 404, "{shown} was stored");
}
