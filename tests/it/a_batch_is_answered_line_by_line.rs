use serde_json::{Value, json};
use wharf_testkit::process::Host;
use wharf_testkit::sink::Sink;

use crate::support::{SOON, channel, host, message, post_batch, send};

/// Goal (A2, A6): good, bad, duplicate and conflicting lines of one batch are each answered for
/// themselves, in order; what is good is delivered once.
#[test]
fn each_line_gets_its_own_answer() {
    let sink = Sink::start().unwrap();
    let host = host(&channel("a", &sink.url("/"), ""))
        .shipped("http")
        .start()
        .unwrap();
    send(&host, &message("before", "a"));

    let answers = post_batch(
        &host,
        &[
            message("one", "a"),
            json!({ "id": "b.d", "payload": "" }),
            message("one", "a"),
            json!({ "id": "one", "attributes": { "to": "a" }, "payload": "other" }),
            json!({ "id": "typo", "playload": "" }),
            message("before", "a"),
            message("lost", "nobody"),
            json!({ "attributes": { "to": "a" }, "payload": "made" }),
            message("two", "a"),
        ],
    );
    let shown: Vec<String> = answers.iter().map(shown).collect();
    let expected = [
        "1 202 new accepted",
        "2 400 invalid-id id",
        "3 202 duplicate accepted",
        "4 409 id-conflict id",
        "5 400 unknown-field playload",
        "6 202 duplicate accepted",
        "7 202 new unroutable",
        "8 202 new accepted",
        "9 202 new accepted",
    ];
    assert_eq!(shown, expected);

    // The id that was made is the one that arrives.
    let made = answers[7]["accepted"]["id"].as_str().unwrap();
    let requests = sink
        .wait_until(SOON, |requests| requests.len() == 4)
        .unwrap();
    let mut ids: Vec<_> = requests
        .iter()
        .map(|r| r.header("webhook-id").unwrap())
        .collect();
    ids.sort_unstable();
    let mut expected = ["before", "one", made, "two"];
    expected.sort_unstable();
    assert_eq!(ids, expected);

    // Blank lines are none; a line that is no JSON costs only itself; numbers count all lines.
    let body = format!("\n{}\n\nnonsense\r\n", message("three", "a"));
    let headers = [("content-type", "application/x-ndjson")];
    let answer = host
        .http("POST", "/v1/messages/batch", &headers, body.as_bytes())
        .unwrap();
    let text = answer.text();
    let answers: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let shown: Vec<String> = answers.iter().map(self::shown).collect();
    assert_eq!(shown, ["2 202 new accepted", "4 400 malformed-body "]);
    sink.wait_until(SOON, |requests| requests.len() == 5)
        .unwrap();
}

/// Goal (A6): a batch costs one commit, however many lines it has. That a crash leaves all of it or nothing is seen where
/// the host is killed (`a_crash_loses_nothing`).
#[test]
fn a_batch_is_one_commit() {
    // Nobody wants them, so that nothing but their accept is committed.
    let host = host("").start().unwrap();
    for lines_count in [2, 500, 10_000] {
        let line = |n| json!({ "id": format!("{lines_count}-{n}"), "payload": "x" });
        let mut lines: Vec<Value> = (1..lines_count).map(line).collect();
        lines.push(json!({ "playload": "x" }));
        let before = commits_count(&host);
        let answers = post_batch(&host, &lines);
        let new = answers.iter().filter(|line| line["status"] == 202).count();
        assert_eq!(new, lines_count - 1);
        assert_eq!(commits_count(&host) - before, 1, "for {lines_count} lines");
    }
}

fn commits_count(host: &Host) -> u64 {
    let page = host.http("GET", "/metrics", &[], b"").unwrap().text();
    let name = "wharf_store_commit_duration_seconds_count{} ";
    let line = page.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap().parse().unwrap()
}

fn shown(line: &Value) -> String {
    let (number, status) = (&line["line"], &line["status"]);
    match &line["accepted"] {
        Value::Null => {
            let problem = &line["problem"];
            let field = problem["field"].as_str().unwrap_or_default();
            format!(
                "{number} {status} {} {field}",
                problem["code"].as_str().unwrap()
            )
        }
        accepted => {
            let kind = if accepted["duplicate"] == true {
                "duplicate"
            } else {
                "new"
            };
            format!(
                "{number} {status} {kind} {}",
                accepted["status"].as_str().unwrap()
            )
        }
    }
}
