use serde_json::{Value, json};
use wharf_testkit::process::{Answer, Host, eventually};
use wharf_testkit::sink::Sink;

use crate::support::{
    SOON, assert_has, channel, ended, host, may_reach_this_machine, message, post, send, text,
    wait_for,
};

/// Goal (A3): an ended message is removed once its retention is over, and its id is known for the de-duplication window:
/// sent again it is answered as the first time and not delivered again, with other content it is a conflict, and whoever
/// asks for it is told that it is gone. After the window it is new. What is a dead letter, or waits, is kept.
#[test]
fn then_forgotten() {
    let sink = Sink::start().unwrap();
    let config = |retention: &str| {
        let store = format!("[store]\n{retention}\n");
        let channels = channel("a", &sink.url("/"), "")
            + &channel("refusing", &sink.url("/no"), "config.reject-on = [400]")
            + &channel("later", &sink.url("/"), "");
        store + &channels
    };
    sink.script("/no", [wharf_testkit::sink::Answer::status(400)]);
    let mut host = host(&config("retention = \"1h\""))
        .shipped("http")
        .start()
        .unwrap();
    let first = send(&host, &message("m1", "a"));
    let shown = wait_for(&host, "m1", "delivered");
    send(&host, &message("dead", "refusing"));
    wait_for(&host, "dead", "rejected");
    let mut waits = message("waits", "later");
    waits["deliver_after"] = json!("2099-01-01T00:00:00Z");
    send(&host, &waits);

    let restart = |host: &mut Host, retention: &str| {
        host.terminate().unwrap();
        host.write("wharf.toml", may_reach_this_machine(&config(retention)))
            .unwrap();
        host.restart().unwrap();
    };
    restart(&mut host, "retention = \"0s\"");
    let gone = wait_until_gone(&host, "m1");
    assert_eq!(gone["status"], 410);
    assert_has(text(&gone["detail"]), &["m1", text(&shown["accepted_at"])]);
    assert_eq!(ask(&host, "m1/journal").status, 410);
    let (code, _, said) = ended(host.cli(["why", "m1"]).unwrap());
    assert_eq!(code, 1);
    assert_has(&said, &["m1", "message-removed"]);

    let again = send(&host, &message("m1", "a"));
    assert_eq!(
        (&first["duplicate"], &again["duplicate"]),
        (&json!(false), &json!(true))
    );
    assert_eq!(again["deliveries"], first["deliveries"]);
    let mut other = message("m1", "a");
    other["payload"] = json!("other");
    assert_eq!(post(&host, other.to_string().as_bytes()).status, 409);
    for kept in ["dead", "waits"] {
        assert_eq!(ask(&host, kept).status, 200);
    }
    assert_eq!(sink.count(), 2);

    restart(
        &mut host,
        "retention = \"0s\"\ndeduplication-window = \"0s\"",
    );
    let is_unknown = || (ask(&host, "m1").status == 404).then_some(());
    assert!(eventually(SOON, is_unknown).is_some(), "{}", host.log());
    let new = send(&host, &message("m1", "a"));
    assert_eq!(new["duplicate"], false);
    sink.wait_for_count(SOON, 3).unwrap();
    for kept in ["dead", "waits"] {
        assert_eq!(ask(&host, kept).status, 200);
    }
}

fn ask(host: &Host, path: &str) -> Answer {
    let path = format!("/v1/messages/{path}");
    host.http("GET", &path, &[], b"").unwrap()
}

/// Waits until the message is removed, and shows the problem that says so.
#[track_caller]
fn wait_until_gone(host: &Host, id: &str) -> Value {
    let gone = || {
        let problem = ask(host, id).json().unwrap();
        (problem["code"] == "message-removed").then_some(problem)
    };
    eventually(SOON, gone).unwrap_or_else(|| panic!("{id} is there: {}", host.log()))
}
