use std::collections::BTreeSet;

use serde_json::{Value, json};
use wharf_testkit::process::{Host, eventually};
use wharf_testkit::sink::{Answer, Sink};

use crate::support::{
    JSON, SOON, attempts, channel, channel_of, ended, guest, host, journal, message, post_batch,
    send, text, wait_for,
};

/// What a row of the journal, or a line of the plugin `audit`, says: message, status, cause, attempt.
type Told = (String, String, String, String);

/// Goal (J1): a post-event hook is told of every transition that is in the journal and of no other: however a delivery
/// ends or waits, and of a message without deliveries.
#[test]
fn of_every_end() {
    let sink = Sink::start().unwrap();
    sink.script("/retried", [503, 200].map(Answer::status));
    sink.script("/dead", [Answer::status(500)]);
    let retry = "retry = { schedule = [\"10ms\"], jitter = 0.0 }\n";
    let config = [
        channel("retried", &sink.url("/retried"), retry),
        channel("dead", &sink.url("/dead"), retry),
        channel_of("outcomes", "outcomes", retry),
        HOOKS.to_owned(),
    ];
    let builder = host(&config.concat()).shipped("http").shipped("audit");
    let builder = builder.plugin("outcomes", guest("outcomes"));
    let host = builder.start().unwrap();

    let tell = |id: &str, to: &str, more: Value| {
        let mut told = message(id, to);
        told["attributes"]["outcome"] = json!(id);
        for (key, value) in more.as_object().unwrap() {
            told[key] = value.clone();
        }
        send(&host, &told);
    };
    let cases = [
        ("delivered", "retried", "delivered"),
        ("dead", "dead", "dead"),
        ("rejected", "outcomes", "rejected"),
        ("trap", "outcomes", "dead"),
        ("pending", "outcomes", "pending"),
        ("provisional", "outcomes", "provisional"),
        ("nowhere", "nobody", "unroutable"),
    ];
    for (id, to, _) in cases {
        tell(id, to, json!({}));
    }
    tell(
        "late",
        "dead",
        json!({ "expires_at": "2020-01-01T00:00:00Z" }),
    );
    tell(
        "cancelled",
        "dead",
        json!({ "deliver_after": "2099-01-01T00:00:00Z" }),
    );
    let cancelled = host.http("POST", "/v1/messages/cancelled/cancel", &[JSON], b"");
    assert_eq!(cancelled.unwrap().status, 200);
    let more = [("late", "", "expired"), ("cancelled", "", "cancelled")];
    for (id, _, status) in cases.into_iter().chain(more) {
        wait_for(&host, id, status);
    }
    // And once more from its end.
    let redrive = ["dead-letter", "redrive", "rejected"];
    assert_eq!(ended(host.cli(redrive).unwrap()).0, 0);
    let again = eventually(SOON, || {
        (attempts(&host, "rejected").len() == 2).then_some(())
    });
    assert!(again.is_some());
    let ids = cases.into_iter().chain(more).map(|(id, ..)| id);
    let ids: Vec<_> = ids.map(str::to_owned).collect();
    let expected = journalled(&host, &ids);
    // Accepted; then once more for each but the one that stays nowhere, thrice where an attempt was repeated, and twice
    // after the redrive.
    assert_eq!(expected.len(), 9 + 8 + 3 + 2);
    wait_until_told(&host, &expected);
    assert_eq!(told(&host), expected);
}

/// Goal (J1): at least once, over crashes: of what was answered just before the host died, and of what it did just after.
#[test]
fn over_crashes() {
    let sink = Sink::start().unwrap();
    let config = channel("a", &sink.url("/"), "") + HOOKS;
    let builder = host(&config).shipped("http").shipped("audit");
    let mut host = builder.start().unwrap();
    let mut ids = Vec::new();
    // Twice only: what is in flight at one crash after the other is held to be their cause in the end.
    for round in 0..2 {
        let of_round: Vec<_> = (0..100).map(|n| format!("m{round}-{n}")).collect();
        let lines: Vec<_> = of_round.iter().map(|id| message(id, "a")).collect();
        ids.extend(of_round);
        for answer in post_batch(&host, &lines) {
            assert_eq!(answer["status"], 202, "{answer}");
        }
        // At the beginning, then in the midst of delivering and telling.
        sink.wait_for_count(SOON, round * 150).unwrap();
        host.kill_9().unwrap();
        host.restart().unwrap();
    }
    for id in &ids {
        wait_for(&host, id, "delivered");
    }
    wait_until_told(&host, &journalled(&host, &ids));
}

/// Goal (J1): events come in batches: many that are committed at once are few calls of the hook.
#[test]
fn in_batches() {
    let host = host(HOOKS).shipped("audit").start().unwrap();
    let ids: Vec<_> = (0..2000).map(|n| format!("m{n}")).collect();
    let lines: Vec<_> = ids.iter().map(|id| message(id, "nobody")).collect();
    post_batch(&host, &lines);
    let calls = || {
        let page = host.http("GET", "/metrics", &[], b"").unwrap().text();
        let name = r#"wharf_hook_call_duration_seconds_count{plugin="audit",hook="post-event"} "#;
        let line = page.lines().find_map(|line| line.strip_prefix(name));
        line.map_or(0, |count| count.parse::<usize>().unwrap())
    };
    wait_until_told(&host, &journalled(&host, &[ids[ids.len() - 1].clone()]));
    let calls = calls();
    assert!((1..=200).contains(&calls), "{calls} calls for 2000 events");
}

/// The log is the hook's only voice: none of its lines may be dropped.
const HOOKS: &str =
    "[plugins.audit]\nlog-lines-per-second = 100000\n[hooks]\npost-event = [\"audit\"]\n";

/// Every row of the journals of these messages.
fn journalled(host: &Host, ids: &[String]) -> BTreeSet<Told> {
    let rows = |id: &String| {
        let rows = journal(host, id).into_iter();
        let told = rows.map(|row| {
            let number = row["attempt"]["number"].as_u64();
            let number = number.map(|number| number.to_string());
            let (to, cause) = (text(&row["to"]).to_owned(), text(&row["cause"]).to_owned());
            (id.clone(), to, cause, number.unwrap_or_default())
        });
        told.collect::<Vec<_>>()
    };
    ids.iter().flat_map(rows).collect()
}

/// Every line of the plugin `audit` in the log.
fn told(host: &Host) -> BTreeSet<Told> {
    let log = host.log();
    let lines = log.lines().filter(|line| line.contains("post-event audit"));
    let told = lines.map(|line| {
        let field = |name: &str| {
            let value = line.split(' ').find_map(|part| part.strip_prefix(name));
            value.unwrap_or_default().trim_matches('"').to_owned()
        };
        (
            field("message_id="),
            field("to="),
            field("cause="),
            field("attempt="),
        )
    });
    told.collect()
}

#[track_caller]
fn wait_until_told(host: &Host, expected: &BTreeSet<Told>) {
    let all = eventually(SOON, || expected.is_subset(&told(host)).then_some(()));
    let missing = || {
        expected
            .difference(&told(host))
            .cloned()
            .collect::<Vec<_>>()
    };
    assert!(all.is_some(), "not told: {:#?}", missing());
}
