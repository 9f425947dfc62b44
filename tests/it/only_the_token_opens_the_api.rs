use wharf_testkit::process::Host;
use wharf_testkit::sink::Sink;

use crate::support::{assert_has, channel, ended, host, message};

/// Goal (A8, one token): with a token nothing but the health answers without it, and the command
/// line says how to give it; without one only loopback can be listened on.
#[test]
fn nothing_is_told_without_it() {
    let sink = Sink::start().unwrap();
    let config = format!(
        "{}[api]\ntoken = {{ env = \"TOKEN\" }}\n",
        channel("a", &sink.url("/"), "")
    );
    let host = host(&config)
        .shipped("http")
        .env("TOKEN", "s3cret")
        .plugin("broken", *b"no component")
        .start()
        .unwrap();

    // That something is wrong is told to anyone, what it is only with the token.
    let reasons = |headers: &[(&str, &str)]| {
        let health = host
            .http("GET", "/readyz", headers, b"")
            .unwrap()
            .json()
            .unwrap();
        assert_eq!(health["status"], "degraded");
        health["reasons"].as_array().map_or(0, Vec::len)
    };
    assert_eq!(reasons(&[]), 0);
    assert_eq!(reasons(&[("authorization", "Bearer s3cret")]), 1);
    for (method, path) in [
        ("POST", "/v1/messages"),
        ("POST", "/v1/messages/batch"),
        ("GET", "/v1/messages/m1"),
        ("GET", "/v1/messages/m1/journal"),
        ("GET", "/v1/plugins"),
    ] {
        for authorization in [
            "",
            "Bearer wrong",
            "Bearer s3cre",
            "Bearer s3cret2",
            "Basic s3cret",
        ] {
            check(&host, method, path, authorization, 401);
        }
    }
    assert!(!host.log().contains("s3cret"));
    for path in ["/livez", "/readyz"] {
        check(&host, "GET", path, "", 200);
    }
    check(&host, "GET", "/v1/plugins", "Bearer s3cret", 200);
    check(&host, "GET", "/v1/messages/m1", "bearer s3cret", 404);

    let (code, _, error) = ended(host.cli(["get", "m1"]).unwrap());
    assert_eq!(code, 1);
    assert_has(&error, &["unauthorized", "--token", "WHARF_TOKEN"]);
    let send = ["send", "--id", "m1", "--attr", "to=a", "--token", "s3cret"];
    let (code, sent, error) = ended(host.cli_with_input(send, b"x").unwrap());
    assert_eq!((code, sent.as_str()), (0, "m1\n"), "{error}");
    sink.wait_for_count(crate::support::SOON, 1).unwrap();
}

/// Goal (A8): what can be reached from outside needs a token.
#[test]
fn without_one_only_loopback_is_listened_on() {
    let sink = Sink::start().unwrap();
    let open = host(&channel("a", &sink.url("/"), "")).env("WHARF_API_LISTEN", "0.0.0.0:0");
    let open = open.shipped("http").build().unwrap();
    for command in [&["serve"][..], &["config", "check"]] {
        let (code, _, error) = ended(open.cli(command).unwrap());
        assert_eq!(code, 1);
        assert_has(&error, &["api.listen", "0.0.0.0:0", "api.token"]);
    }

    let closed = host(&channel("a", &sink.url("/"), "")).env("WHARF_API_LISTEN", "0.0.0.0:0");
    let closed = closed.env("WHARF_API_TOKEN", "t").shipped("http");
    let mut closed = closed.env("WHARF_TOKEN", "t").build().unwrap();
    let (code, said, error) = ended(closed.cli(["config", "check"]).unwrap());
    assert_eq!(code, 0, "{error}");
    assert_has(&said, &["0.0.0.0:0"]);
    closed.restart().unwrap();
    let body = message("m1", "a").to_string();
    let headers = [
        ("content-type", "application/json"),
        ("authorization", "Bearer t"),
    ];
    let answer = closed
        .http("POST", "/v1/messages", &headers, body.as_bytes())
        .unwrap();
    assert_eq!(answer.status, 202, "{}", answer.text());
    sink.wait_for_count(crate::support::SOON, 1).unwrap();
}

#[track_caller]
fn check(host: &Host, method: &str, path: &str, authorization: &str, status: u16) {
    let body = if method == "POST" {
        message("m1", "a").to_string()
    } else {
        String::new()
    };
    let mut headers = vec![("content-type", "application/json")];
    if !authorization.is_empty() {
        headers.push(("authorization", authorization));
    }
    let answer = host.http(method, path, &headers, body.as_bytes()).unwrap();
    assert_eq!(
        answer.status,
        status,
        "{method} {path} {authorization}: {}",
        answer.text()
    );
    if status == 401 {
        assert_eq!(answer.json().unwrap()["code"], "unauthorized");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    }
}
