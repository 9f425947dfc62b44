use serde_json::{Value, json};
use wharf_testkit::process::Host;

use crate::support::{assert_has, channel_of, ended, guest, host, send, text, wait_for};

/// Goal: an operator finds deliveries by status and channel, in the order of acceptance, each with where it stands and
/// why; a long list comes in pages that together are the whole.
#[test]
fn by_status_and_channel_and_in_pages() {
    let retry = "retry = { schedule = [\"1h\"] }";
    let config = channel_of("outcomes", "a", retry) + &channel_of("outcomes", "b", retry);
    let host = host(&config)
        .plugin("outcomes", guest("outcomes"))
        .start()
        .unwrap();
    let outcomes = [
        ("delivered", "delivered"),
        ("retry", "retrying"),
        ("rejected", "rejected"),
        ("pending", "pending"),
    ];
    let mut all = Vec::new();
    for round in 0..3 {
        for to in ["a", "b"] {
            for (outcome, status) in outcomes {
                let id = format!("{to}-{outcome}-{round}");
                send(
                    &host,
                    &json!({ "id": id, "attributes": { "to": to, "outcome": outcome } }),
                );
                wait_for(&host, &id, status);
                all.push(id);
            }
        }
    }
    let of = |part: &str| -> Vec<&str> {
        let ids = all.iter().map(String::as_str);
        ids.filter(|id| id.contains(part)).collect()
    };

    assert_eq!(ids(&list(&host, "")), of(""));
    assert_eq!(ids(&list(&host, "?status=retrying")), of("-retry-"));
    assert_eq!(ids(&list(&host, "?channel=b")), of("b-"));
    let both = list(&host, "?status=rejected,delivered&channel=a");
    let expected: Vec<_> = of("a-")
        .into_iter()
        .filter(|id| id.contains("rejected") || id.contains("delivered"))
        .collect();
    assert_eq!(ids(&both), expected);
    assert_eq!(ids(&list(&host, "?channel=gone")), Vec::<&str>::new());

    let rejected = list(&host, "?status=rejected&limit=1");
    let entry = &rejected["entries"][0];
    let shown = [
        "message", "channel", "route", "status", "cause", "code", "reason",
    ];
    assert_eq!(
        shown.map(|key| text(&entry[key])),
        [
            "a-rejected-0",
            "a",
            "to-a",
            "rejected",
            "refused",
            "told-to-reject",
            "told to reject"
        ]
    );
    assert_eq!(entry["attempts"], 1);
    let retrying = &list(&host, "?status=retrying&limit=1")["entries"][0];
    assert!(
        text(&retrying["due"]) > text(&retrying["changed_at"]),
        "{retrying}"
    );

    for (query, whole) in [("", of("")), ("&status=pending", of("-pending-"))] {
        for limit in [1, 5, 24] {
            let mut found = Vec::new();
            let mut after = String::new();
            loop {
                let page = list(&host, &format!("?limit={limit}{query}{after}"));
                let entries = page["entries"].as_array().unwrap();
                assert!(entries.len() <= limit, "{page:#}");
                found.extend(ids(&page).into_iter().map(str::to_owned));
                match page["next"].as_str() {
                    Some(next) => after = format!("&after={next}"),
                    None => break,
                }
            }
            assert_eq!(found, whole, "{limit} a page");
        }
    }

    for (query, parts) in [
        (
            "?status=dead,lost",
            &["status", "there is no \\\"lost\\\"", "retrying"][..],
        ),
        ("?limit=0", &["limit", "1 to 1000"]),
        ("?after=x", &["after", "`next`"]),
        ("?chanel=a", &["chanel", "there are status, channel"]),
    ] {
        let answer = host
            .http("GET", &format!("/v1/deliveries{query}"), &[], b"")
            .unwrap();
        assert_eq!(answer.status, 400, "{query}");
        assert_has(&answer.text(), &["invalid-field"]);
        assert_has(&answer.text(), parts);
    }

    // The command line shows the same, and how to go on.
    let args = [
        "delivery",
        "list",
        "--status",
        "pending",
        "--channel",
        "a",
        "--limit",
        "2",
    ];
    let (code, said, error) = ended(host.cli(args).unwrap());
    assert_eq!(code, 0, "{error}");
    let lines: Vec<_> = said
        .lines()
        .map(|line| line.split("  ").next().unwrap())
        .collect();
    assert_eq!(lines, ["MESSAGE", "a-pending-0", "a-pending-1"]);
    let next = error
        .trim()
        .strip_prefix("there may be more: --after ")
        .unwrap();
    let rest = [&args[..], &["--after", next, "--json"]].concat();
    let (_, said, error) = ended(host.cli(rest).unwrap());
    let page: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((ids(&page), error.as_str()), (vec!["a-pending-2"], ""));
}

fn list(host: &Host, query: &str) -> Value {
    let answer = host
        .http("GET", &format!("/v1/deliveries{query}"), &[], b"")
        .unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json().unwrap()
}

fn ids(page: &Value) -> Vec<&str> {
    let entries = page["entries"].as_array().unwrap();
    entries
        .iter()
        .map(|entry| text(&entry["message"]))
        .collect()
}
