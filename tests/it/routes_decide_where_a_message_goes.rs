use serde_json::{Value, json};
use wharf_testkit::process::Host;
use wharf_testkit::sink::Sink;

use crate::support::{
    assert_has, data, ended, get, host, journal, may_reach_this_machine, send, steps, text,
    wait_for,
};

/// Goal (C1, C3 in part): all matching routes apply, each channel gets one delivery by the first
/// route that names it, `stop` ends the search; conditions look at attributes and into the payload.
/// What nothing matches is kept, journalled and shown as unroutable, also after a restart; a catch-all takes it instead.
#[test]
fn every_match_applies_and_no_match_is_kept() {
    let sink = Sink::start().unwrap();
    let channel = |name: &str| {
        let url = sink.url(&format!("/{name}"));
        format!("[[channel]]\nname = \"{name}\"\nplugin = \"http\"\nconfig.url = \"{url}\"\n")
    };
    let config: String = ["all", "issues", "opened", "octo", "numbered"]
        .map(channel)
        .concat();
    let routes = r#"
        [[route]]
        name = "comments"
        match = { type = ["issue_comment", "commit_comment"], receiver = "SG*" }
        channels = ["issues", "all"]
        stop = true
        [[route]]
        name = "issues"
        match = { type = "issue*" }
        channels = ["issues"]
        [[route]]
        name = "opened"
        match = { "/action" = "opened", receiver = false }
        channels = ["opened", "issues"]
        [[route]]
        match = { "/repository/full_name" = ["Octocoders/Hello-World", "Codertocat/Hello-World"], "/issue" = true }
        channels = ["octo"]
        [[route]]
        name = "numbered"
        match = { "/issue/number" = 1, "/issue/locked" = { equals = false }, "/number" = false }
        channels = ["numbered"]
    "#;
    let config = config + routes;
    let mut host = host(&config).shipped("http").start().unwrap();

    let issue = json!({ "type": "issues" });
    let expected = [
        "issues by issues",
        "opened by opened",
        "octo by route-4",
        "numbered by numbered",
    ];
    check(&host, "issue", &issue, "issues.opened.json", &expected);
    // The first condition that does not hold is enough.
    let received = json!({ "type": "issues", "receiver": "SG" });
    let expected = [
        "issues by issues",
        "octo by route-4",
        "numbered by numbered",
    ];
    check(
        &host,
        "received",
        &received,
        "issues.opened.json",
        &expected,
    );
    let comment = json!({ "type": "issue_comment", "receiver": "SG-1" });
    check(
        &host,
        "comment",
        &comment,
        "issue_comment.created.json",
        &["issues by comments", "all by comments"],
    );
    let pull = json!({ "type": "pull_request" });
    check(
        &host,
        "pull",
        &pull,
        "pull_request.opened.json",
        &["opened by opened", "issues by opened"],
    );
    check(&host, "push", &json!({ "type": "push" }), "push.json", &[]);
    // A pointer into what is no JSON finds nothing.
    let text = json!({ "id": "text", "payload": "{\"action\": \"opened\"" });
    assert_eq!(send(&host, &text)["status"], "unroutable");

    for is_restarted in [false, true] {
        if is_restarted {
            host.restart().unwrap();
        }
        for id in ["push", "text"] {
            let view = get(&host, id);
            assert_eq!(
                (&view["status"], &view["deliveries"]),
                (&json!("unroutable"), &json!([]))
            );
            assert_eq!(steps(&host, id), ["unroutable no-route"]);
            assert!(journal(&host, id)[0].get("delivery").is_none());
        }
    }
    let (code, why, _) = ended(host.cli(["why", "push"]).unwrap());
    assert_eq!(code, 0);
    assert_has(&why, &["push is unroutable", "no route matched"]);
    assert_eq!(sink.count(), 4 + 3 + 2 + 2);

    let catch_all = "[[route]]\nname = \"rest\"\ncatch-all = true\nchannels = [\"all\"]\n";
    let config = may_reach_this_machine(&(config + catch_all));
    host.write("wharf.toml", config).unwrap();
    host.restart().unwrap();
    let push = json!({ "type": "push" });
    check(&host, "caught", &push, "push.json", &["all by rest"]);
    let pull = ["opened by opened", "issues by opened"];
    check(
        &host,
        "not-caught",
        &json!({}),
        "pull_request.opened.json",
        &pull,
    );
}

#[track_caller]
fn check(host: &Host, id: &str, attributes: &Value, payload: &str, expected: &[&str]) {
    let payload: Value =
        serde_json::from_str(&data(&format!("github-webhooks/{payload}"))).unwrap();
    let answer = send(
        host,
        &json!({ "id": id, "attributes": attributes, "payload_json": payload }),
    );
    assert_eq!(answer["deliveries"], expected.len(), "{id}");
    let deliveries = get(host, id)["deliveries"].as_array().unwrap().clone();
    let shown = deliveries
        .iter()
        .map(|d| format!("{} by {}", text(&d["channel"]), text(&d["route"])));
    assert_eq!(shown.collect::<Vec<_>>(), expected, "{id}");
    if !expected.is_empty() {
        wait_for(host, id, "delivered");
    }
}
