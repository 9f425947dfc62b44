use serde_json::{Value, json};
use wharf_testkit::process::Host;

use crate::support::{attempts, channel_of, ended, get, guest, host, send, steps, wait_for};

/// Goal (D2): each typed outcome of a channel, and a trap, becomes the status that it means, with
/// its code, effect and facts; the same after a restart. Pending and provisional are stored and
/// wait: what falls due for a poll is not sent again.
#[test]
fn each_outcome_has_its_status() {
    let retry = "retry.schedule = [\"20ms\"]\nretry.jitter = 0.0";
    let config = channel_of("outcomes", "a", retry);
    let mut host = host(&config)
        .plugin("outcomes", guest("outcomes"))
        .start()
        .unwrap();
    let taken = json!({ "reference": "partner-7", "notes": [["desk", "4"]] });
    let open = json!({ "reference": "partner-7", "notes": [["desk", "4"], ["queue", "9"]] });
    let waits = json!({ "notes": [["queue", "9"]] });
    let retried = json!({ "code": "told-to-retry", "reason": "told to retry", "effect": "none" });
    let refused = json!({ "code": "told-to-reject", "reason": "told to reject" });
    let trapped = json!({ "code": "plugin-trap", "effect": "unknown" });
    let cases = [
        ("delivered", "delivered", vec!["delivered sent"], taken),
        ("provisional", "provisional", vec!["provisional sent"], open),
        ("pending", "pending", vec!["pending sent"], waits),
        (
            "retry",
            "dead",
            vec!["retrying failed", "dead attempts-spent"],
            retried,
        ),
        ("rejected", "rejected", vec!["rejected refused"], refused),
        (
            "trap",
            "dead",
            vec!["retrying plugin-fault", "dead attempts-spent"],
            trapped,
        ),
    ];
    for (outcome, ..) in &cases {
        let attributes = json!({ "to": "a", "outcome": outcome });
        send(
            &host,
            &json!({ "id": outcome, "attributes": attributes, "payload": "x" }),
        );
    }
    for (outcome, status, ..) in &cases {
        wait_for(&host, outcome, status);
    }
    for is_restarted in [false, true] {
        if is_restarted {
            host.restart().unwrap();
        }
        for (outcome, status, journalled, facts) in &cases {
            check(&host, outcome, status, journalled, facts);
        }
    }
    assert_eq!(
        host.http("GET", "/readyz", &[], b"")
            .unwrap()
            .json()
            .unwrap()["status"],
        "ok"
    );

    let (_, why, _) = ended(host.cli(["why", "pending"]).unwrap());
    assert!(why.contains("it waits for the receiver's word"), "{why}");
    let (_, why, _) = ended(host.cli(["why", "trap"]).unwrap());
    assert!(why.contains("plugin outcomes: trapped"), "{why}");
    assert!(
        host.log().contains("told to trap"),
        "the log has what the plugin printed"
    );
}

#[track_caller]
fn check(host: &Host, outcome: &str, status: &str, journalled: &[&str], facts: &Value) {
    assert_eq!(get(host, outcome)["status"], *status, "{outcome}");
    let expected: Vec<_> = [&["queued accepted"], journalled].concat();
    assert_eq!(steps(host, outcome), expected);
    let attempts = attempts(host, outcome);
    assert_eq!(attempts.len(), journalled.len(), "{outcome}");
    for attempt in attempts {
        for (fact, value) in facts.as_object().unwrap() {
            assert_eq!(attempt[fact], *value, "{outcome}: {fact}");
        }
    }
}
