use wharf_testkit::process::Host;
use wharf_testkit::sink::Sink;

use crate::support::{SOON, assert_has, channel, ended, host, message};

/// Goal (A8): with several tokens each opens what its scopes name and nothing else; what is refused
/// names the scope, and no text of a token gets into an answer or the log.
#[test]
fn each_token_opens_its_own_part() {
    let sink = Sink::start().unwrap();
    let tokens = r#"
        [[api.token]]
        name = "billing"
        token = { env = "BILLING" }
        scopes = ["send"]
        [[api.token]]
        name = "dashboard"
        token = "d4shb04rd"
        scopes = ["read"]
        [[api.token]]
        name = "oncall"
        token = "0nc4ll"
        scopes = ["operate"]
    "#;
    let config = channel("a", &sink.url("/"), "") + tokens;
    let host = host(&config)
        .shipped("http")
        .plugin("broken", *b"no component")
        .env("BILLING", "b1ll1ng")
        .start()
        .unwrap();

    for (method, path, scope) in [
        ("POST", "/v1/messages", "send"),
        ("POST", "/v1/messages/batch", "send"),
        ("GET", "/v1/messages/m1", "read"),
        ("GET", "/v1/messages/m1/journal", "read"),
        ("GET", "/v1/plugins", "read"),
        ("GET", "/v1/deliveries", "read"),
        ("GET", "/v1/dead-letters", "read"),
        ("GET", "/v1/channels", "read"),
        ("GET", "/v1/store", "read"),
        ("GET", "/v1/routes", "read"),
        ("POST", "/v1/messages/other/cancel", "operate"),
        ("POST", "/v1/messages/other/redrive", "operate"),
        ("POST", "/v1/dead-letters/redrive", "operate"),
        ("POST", "/v1/channels/other/pause", "operate"),
        ("POST", "/v1/channels/other/resume", "operate"),
        ("POST", "/v1/store/backup", "operate"),
        ("POST", "/v1/config/reload", "operate"),
        ("PUT", "/v1/routes", "operate"),
        ("POST", "/v1/updates", "operate"),
        ("POST", "/v1/channels/other/receipts", "receive"),
    ] {
        for (name, token, has) in [
            ("billing", "b1ll1ng", "send"),
            ("dashboard", "d4shb04rd", "read"),
            ("oncall", "0nc4ll", "operate"),
        ] {
            let answer = ask(&host, method, path, token);
            assert_eq!(answer.status == 403, scope != has, "{method} {path} {name}");
            if answer.status == 403 {
                let text = answer.text();
                assert_has(&text, &["\"forbidden\"", name, &format!("`{scope}`")]);
                assert!(!text.contains(token), "{text}");
            }
        }
        for wrong in ["", "b1ll1n", "b1ll1ngd4shb04rd"] {
            assert_eq!(ask(&host, method, path, wrong).status, 401, "{path}");
        }
    }
    sink.wait_for_count(SOON, 1).unwrap();

    // What is wrong with the host is for those who may read.
    for (token, told) in [
        ("", false),
        ("b1ll1ng", false),
        ("0nc4ll", false),
        ("d4shb04rd", true),
    ] {
        let health = ask(&host, "GET", "/readyz", token).text();
        assert_eq!(health.contains("broken"), told, "{token}: {health}");
    }

    let send = ["send", "--id", "m2", "--attr", "to=a", "--token", "b1ll1ng"];
    assert_eq!(ended(host.cli_with_input(send, b"x").unwrap()).0, 0);
    let (code, _, error) = ended(host.cli(["get", "m2", "--token", "b1ll1ng"]).unwrap());
    assert_eq!(code, 1);
    assert_has(&error, &["forbidden", "`read`", "try: use a token"]);
    assert_eq!(
        ended(host.cli(["get", "m2", "--token", "d4shb04rd"]).unwrap()).0,
        0
    );
    for token in ["b1ll1ng", "d4shb04rd", "0nc4ll"] {
        assert!(!host.log().contains(token));
    }
}

fn ask(host: &Host, method: &str, path: &str, token: &str) -> wharf_testkit::process::Answer {
    let authorization = format!("Bearer {token}");
    let content_type = match path {
        "/v1/messages/batch" => "application/x-ndjson",
        _ => "application/json",
    };
    let body = match method {
        "POST" => message("m1", "a").to_string(),
        _ => String::new(),
    };
    let mut headers = vec![("content-type", content_type)];
    if !token.is_empty() {
        headers.push(("authorization", &authorization));
    }
    host.http(method, path, &headers, body.as_bytes()).unwrap()
}
