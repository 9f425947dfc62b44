use wharf_testkit::process::eventually;
use wharf_testkit::sink::{Answer, Sink};

use crate::support::{SOON, channel, host, message};

/// Goal: `/metrics` says how many deliveries stand where, what attempts came to, how long hooks and commits took and
/// what went wrong in plugins, with names of the configuration as its only labels; and it is told to readers alone.
#[test]
fn deliveries_attempts_hooks_and_faults() {
    let sink = Sink::start().unwrap();
    sink.script("/a", [503, 200].map(Answer::status));
    let config = format!(
        "{}{}",
        channel("a", &sink.url("/a"), "retry = { base = \"10ms\" }"),
        channel(
            "b",
            &sink.url("/b"),
            "convert = [{ plugin = \"misbehave\", config = { misbehave = \"trap\" } }]\n\
             retry = { attempts = 1 }"
        )
    );
    let host = host(&format!("[api]\ntoken = {{ env = \"TOKEN\" }}\n{config}"))
        .shipped("http")
        .plugin("misbehave", crate::support::guest("misbehave"))
        .env("TOKEN", "s3cret")
        .env("WHARF_TOKEN", "s3cret")
        .start()
        .unwrap();
    let authorization = [("authorization", "Bearer s3cret")];
    for (id, to) in [("m1", "a"), ("m2", "b"), ("m3", "nobody")] {
        let headers = [authorization[0], ("content-type", "application/json")];
        let body = message(id, to).to_string();
        let answer = host.http("POST", "/v1/messages", &headers, body.as_bytes());
        assert_eq!(answer.unwrap().status, 202);
    }

    let page = || {
        let answer = host.http("GET", "/metrics", &authorization, b"").unwrap();
        assert_eq!(answer.status, 200);
        let kind = answer.header("content-type").unwrap();
        assert!(kind.starts_with("application/openmetrics-text"), "{kind}");
        answer.text()
    };
    let wanted = [
        r#"wharf_deliveries{status="delivered"} 1.0"#,
        r#"wharf_deliveries{status="dead"} 1.0"#,
        r#"wharf_messages_without_deliveries{standing="unroutable"} 1.0"#,
        r#"wharf_channel_deliveries{channel="b",status="dead"} 1.0"#,
        r#"wharf_channel_deliveries{channel="a",status="dead"} 0.0"#,
        r#"wharf_attempts_total{channel="a",status="retrying"} 1"#,
        r#"wharf_attempts_total{channel="a",status="delivered"} 1"#,
        r#"wharf_attempts_total{channel="b",status="dead"} 1"#,
        r#"wharf_attempt_duration_seconds_count{channel="a"} 2"#,
        r#"wharf_plugin_faults_total{plugin="misbehave",kind="trap"} 1"#,
        r#"wharf_hook_call_duration_seconds_count{plugin="misbehave",hook="converter"} 1"#,
    ];
    let has = |page: &str, line: &str| page.lines().any(|found| found == line);
    let all = eventually(SOON, || {
        Some(page()).filter(|page| wanted.iter().all(|line| has(page, line)))
    });
    let missing = || {
        let page = page();
        let missing: Vec<_> = wanted.iter().filter(|line| !has(&page, line)).collect();
        format!("{missing:#?}\n{page}")
    };
    let text = all.unwrap_or_else(|| panic!("{}", missing()));
    assert!(text.contains("wharf_store_commit_duration_seconds_bucket"));
    assert!(!text.contains("m1"), "an id is no label");
    assert_eq!(host.http("GET", "/metrics", &[], b"").unwrap().status, 401);
}
