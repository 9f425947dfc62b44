use serde_json::{Value, json};
use wharf_testkit::process::{Host, eventually};
use wharf_testkit::sink::Sink;

use crate::support::{SOON, channel, guest, health, host, post_batch, wait_for};

/// Goal (J3): an event that a post-event hook never takes does not keep back the others: the batch is halved until it is
/// found, and it is parked with its cause once the hook takes another one. A hook that takes nothing loses nothing. What
/// is parked is kept over a restart.
#[test]
fn the_others_are_told() {
    let sink = Sink::start().unwrap();
    let hooks = r#"
        [hooks]
        post-event = [
            "misbehave",
            { plugin = "misbehave", name = "closed", config = { misbehave = "refuse" } },
            "audit",
        ]
    "#;
    let mut host = host(&(channel("a", &sink.url("/"), "") + hooks))
        .shipped("http")
        .shipped("audit")
        .plugin("misbehave", guest("misbehave"))
        .start()
        .unwrap();
    let lines: Vec<_> = (0..50)
        .map(|n| {
            let attributes = match n {
                20 => json!({ "to": "a", "misbehave": "trap" }),
                _ => json!({ "to": "a" }),
            };
            json!({ "id": format!("m{n}"), "attributes": attributes })
        })
        .collect();
    post_batch(&host, &lines);
    for n in 0..50 {
        wait_for(&host, &format!("m{n}"), "delivered");
    }

    // Both transitions of that message, and no other.
    let parked = wait_for_parked(&host, 2);
    let of = |key: &str| -> Vec<&Value> { parked.iter().map(|one| &one["content"][key]).collect() };
    assert_eq!(of("message_id"), ["m20", "m20"]);
    assert_eq!(of("to_status"), ["queued", "delivered"]);
    for one in &parked {
        assert_eq!(one["source"], "post-event/misbehave");
        assert!(one["reason"].as_str().unwrap().contains("trapped"), "{one}");
    }
    let names = || -> Vec<String> { health(&host).1.into_iter().map(|(name, _)| name).collect() };
    let only_closed = || (names() == ["post-event closed"]).then_some(());
    assert!(eventually(SOON, only_closed).is_some(), "{:?}", names());

    let metrics = host.http("GET", "/metrics", &[], b"").unwrap().text();
    assert!(metrics.contains("\nwharf_parked 2.0\n"), "{metrics}");

    host.kill_9().unwrap();
    host.restart().unwrap();
    assert_eq!(wait_for_parked(&host, 2), parked);
    let said = host.cli(["parked", "list"]).unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    assert_eq!(said.lines().count(), 3, "{said}");
    for part in ["post-event/misbehave", "trapped", "m20"] {
        assert!(said.contains(part), "{said}");
    }
}

/// What is parked, once that is so many.
#[track_caller]
fn wait_for_parked(host: &Host, count: usize) -> Vec<Value> {
    let parked = || {
        let answer = host.http("GET", "/v1/parked", &[], b"").unwrap();
        let parked = answer.json().unwrap()["parked"].as_array().unwrap().clone();
        (parked.len() >= count).then_some(parked)
    };
    let parked = eventually(SOON, parked).unwrap_or_else(|| panic!("{}", host.log()));
    assert_eq!(parked.len(), count, "{parked:?}");
    parked
}
