use serde_json::{Value, json};
use wharf_testkit::process::{Answer, Host, HostBuilder, eventually};

use crate::support::{
    JSON, SOON, assert_has, channel_of, get, guest, host, journal, send, steps, text, wait_for,
};

/// A channel whose partner reports a line an update, and one whose partner uses our own form. Both do as a message says.
fn partners(more: &str) -> HostBuilder {
    let config = channel_of(
        "outcomes",
        "lines",
        &format!("receive = \"misbehave\"\n{more}"),
    ) + &channel_of("outcomes", "plain", more);
    host(&config)
        .plugin("outcomes", guest("outcomes"))
        .plugin("misbehave", guest("misbehave"))
}

fn message(id: &str, to: &str, outcome: &str) -> Value {
    json!({ "id": id, "payload": id, "attributes": {
        "to": to, "outcome": outcome, "sender": "SG", "sender_ref": format!("ref-{id}"),
    } })
}

fn report(host: &Host, body: &str) -> Answer {
    let path = "/v1/channels/lines/receipts";
    host.http(
        "POST",
        path,
        &[("content-type", "text/plain")],
        body.as_bytes(),
    )
    .unwrap()
}

#[track_caller]
fn reported(host: &Host, body: &str) {
    let answer = report(host, body);
    assert_eq!(answer.status, 202, "{}", answer.text());
}

fn update(host: &Host, path: &str, body: &Value) -> Answer {
    host.http("POST", path, &[JSON], body.to_string().as_bytes())
        .unwrap()
}

#[track_caller]
fn updated(host: &Host, body: &Value) {
    let answer = update(host, "/v1/updates", body);
    assert_eq!(answer.status, 202, "{}", answer.text());
}

fn number(host: &Host, name: &str) -> u64 {
    let text = host.http("GET", "/metrics", &[], b"").unwrap().text();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_else(|| panic!("no {name} in: {text}"))
        .trim()
        .parse::<f64>()
        .unwrap() as u64
}

#[track_caller]
fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let found = eventually(SOON, || holds().then_some(()));
    assert!(found.is_some(), "it never came: {what}");
}

fn parked(host: &Host) -> Vec<Value> {
    let answer = host.http("GET", "/v1/parked", &[], b"").unwrap();
    answer.json().unwrap()["parked"].as_array().unwrap().clone()
}

/// Goal (E3, E4, F1, F2): what a partner reports, in its own form or in ours, ends its delivery, found by the token, by the
/// message's id, or by sender and sender_ref. The same again is nothing; the opposite is a row of the journal, once, and
/// never the status.
#[test]
fn a_report_ends_its_delivery_and_the_opposite_is_a_conflict() {
    let mut host = partners("").start().unwrap();
    for (id, to) in [
        ("by-token", "lines"),
        ("by-id", "lines"),
        ("by-ref", "plain"),
        ("own", "plain"),
    ] {
        send(&host, &message(id, to, "pending"));
        wait_for(&host, id, "pending");
    }
    reported(
        &host,
        "token=token-by-token status=delivered\nid=by-id status=rejected code=no-such-person",
    );
    updated(
        &host,
        &json!({ "channel": "plain", "sender": "SG", "sender_ref": "ref-by-ref", "status": "provisional" }),
    );
    let own = json!({ "token": "token-own", "status": "delivered", "reference": "R-9" });
    assert_eq!(
        update(&host, "/v1/channels/plain/receipts", &own).status,
        202
    );
    for (id, status) in [
        ("by-token", "delivered"),
        ("by-id", "rejected"),
        ("by-ref", "provisional"),
        ("own", "delivered"),
    ] {
        wait_for(&host, id, status);
        let expected = [
            "queued accepted",
            "pending sent",
            &format!("{status} reported"),
        ];
        assert_eq!(steps(&host, id), expected, "{id}");
    }
    assert_eq!(
        journal(&host, "by-id")[2]["attempt"]["code"],
        "no-such-person"
    );
    assert_eq!(journal(&host, "own")[2]["attempt"]["reference"], "R-9");
    // It had it, and takes that back.
    updated(
        &host,
        &json!({ "channel": "plain", "id": "by-ref", "status": "rejected" }),
    );
    wait_for(&host, "by-ref", "rejected");
    assert_eq!(steps(&host, "by-ref").last().unwrap(), "rejected reverted");

    for _ in 0..2 {
        reported(
            &host,
            "token=token-by-token status=delivered\ntoken=token-by-token status=rejected",
        );
    }
    wait_until("all four are settled", || {
        number(&host, "wharf_updates_total{result=\"conflict\"}") == 1
            && number(&host, "wharf_updates_total{result=\"known\"}") == 3
    });
    for is_restarted in [false, true] {
        if is_restarted {
            host.restart().unwrap();
        }
        assert_eq!(get(&host, "by-token")["status"], "delivered");
        let rows = journal(&host, "by-token");
        assert_eq!(rows.len(), 4, "{rows:#?}");
        assert_eq!(
            (text(&rows[3]["cause"]), text(&rows[3]["to"])),
            ("conflict", "delivered")
        );
        assert_eq!(rows[3]["attempt"]["code"], "reported-rejected");
        assert_eq!(number(&host, "wharf_updates_waiting"), 0);
    }
}

/// Goal (E3, F1): a callback that comes before its delivery is recorded, or before its message, is applied after it, also
/// where the host is killed in between, and once.
#[test]
fn a_callback_that_comes_too_early_is_applied_once() {
    let mut host = partners("").start().unwrap();
    reported(
        &host,
        "token=token-early status=delivered\nid=early status=delivered",
    );
    assert_eq!(number(&host, "wharf_updates_waiting"), 2);
    host.kill_9().unwrap();
    host.restart().unwrap();
    assert_eq!(number(&host, "wharf_updates_waiting"), 2);
    send(&host, &message("early", "lines", "pending"));
    wait_for(&host, "early", "delivered");
    wait_until("both are settled", || {
        number(&host, "wharf_updates_waiting") == 0
    });
    host.kill_9().unwrap();
    host.restart().unwrap();
    let expected = ["queued accepted", "pending sent", "delivered reported"];
    assert_eq!(steps(&host, "early"), expected);
}

/// Goal (E3, F2): a report of what nobody knows is parked after the grace, one that names nothing at once, each with the
/// reason, and in the form in which it can be sent again.
#[test]
fn what_nobody_knows_is_parked_with_the_reason() {
    let host = partners("receipt-grace = \"1s\"").start().unwrap();
    reported(&host, "sender=SG status=rejected");
    wait_until("the one without a name is parked", || {
        parked(&host).len() == 1
    });
    assert_has(
        &parked(&host)[0].to_string(),
        &["it names no delivery", "updates/lines"],
    );
    reported(&host, "token=nobody status=delivered");
    updated(
        &host,
        &json!({ "channel": "plain", "sender": "SG", "sender_ref": "7", "status": "rejected" }),
    );
    wait_until("the others are parked", || parked(&host).len() == 3);
    let all = parked(&host);
    assert_has(
        &json!(all).to_string(),
        &["is known by its token", "with sender_ref"],
    );
    assert_eq!(number(&host, "wharf_updates_waiting"), 0);
    assert_eq!(number(&host, "wharf_updates_total{result=\"parked\"}"), 3);
}

/// Goal (E3): what cannot be read is refused with what is wrong, and nothing of it is stored.
#[test]
fn a_report_that_cannot_be_read_is_refused() {
    let host = partners("").start().unwrap();
    let refused = report(&host, "token=t status=delivered\nwhat is this");
    assert_eq!(refused.status, 422);
    assert_has(&refused.text(), &["receipt-refused", "no status in"]);
    let trap = [("content-type", "text/plain"), ("misbehave", "trap")];
    let failed = host.http(
        "POST",
        "/v1/channels/lines/receipts",
        &trap,
        b"id=m status=delivered",
    );
    let failed = failed.unwrap();
    assert_eq!(failed.status, 503);
    assert_has(&failed.text(), &["receiver-failed", "send it again"]);
    wait_until("it is logged", || host.log().contains("a receiver faulted"));
    for (body, field) in [
        (json!({ "channel": "plain", "id": "m" }), "status"),
        (
            json!({ "channel": "plain", "id": "m", "status": "dead" }),
            "status",
        ),
        (json!({ "id": "m", "status": "delivered" }), "channel"),
        (
            json!({ "channel": "plain", "id": "a b", "status": "delivered" }),
            "id",
        ),
        (
            json!({ "channel": "plain", "token": "t".repeat(5000), "status": "delivered" }),
            "token",
        ),
    ] {
        let answer = update(&host, "/v1/updates", &body);
        assert_eq!(answer.status, 400, "{}", answer.text());
        assert_eq!(answer.json().unwrap()["field"], field);
    }
    let unknown = json!({ "channel": "nobody", "id": "m", "status": "delivered" });
    assert_eq!(update(&host, "/v1/updates", &unknown).status, 404);
    assert_eq!(number(&host, "wharf_updates_waiting"), 0);
}

/// Goal (A8, E3): a partner's token reports and does nothing else; the journal says whose it was.
#[test]
fn a_partners_token_only_reports() {
    let tokens = r#"
        [[api.token]]
        name = "partner"
        token = "p4rtn3r"
        scopes = ["receive"]
        [[api.token]]
        name = "us"
        token = "us"
        scopes = ["send", "read", "operate"]
    "#;
    let config = channel_of("outcomes", "plain", "") + tokens;
    let host = host(&config)
        .plugin("outcomes", guest("outcomes"))
        .start()
        .unwrap();
    let ask = |method: &str, path: &str, token: &str, body: &str| {
        let token = format!("Bearer {token}");
        let headers = [JSON, ("authorization", token.as_str())];
        host.http(method, path, &headers, body.as_bytes()).unwrap()
    };
    let sent = message("m", "plain", "pending").to_string();
    assert_eq!(ask("POST", "/v1/messages", "p4rtn3r", &sent).status, 403);
    assert_eq!(ask("POST", "/v1/messages", "us", &sent).status, 202);
    let body = json!({ "id": "m", "status": "delivered" }).to_string();
    let receipts = "/v1/channels/plain/receipts";
    for (path, token, status) in [
        (receipts, "us", 403),
        ("/v1/updates", "p4rtn3r", 403),
        (receipts, "p4rtn3r", 202),
    ] {
        assert_eq!(
            ask("POST", path, token, &body).status,
            status,
            "{path} {token}"
        );
    }
    assert_eq!(ask("GET", "/v1/messages/m", "p4rtn3r", "").status, 403);
    let view = || ask("GET", "/v1/messages/m", "us", "").json().unwrap();
    wait_until("it is delivered", || view()["status"] == "delivered");
    let rows = ask("GET", "/v1/messages/m/journal", "us", "").text();
    assert_has(&rows, &["\"reported-by\"", "\"partner\""]);
}

/// Goal (F3): while updates run, a message, the list, the journal and the metrics say the same in the end, and at no time
/// something that was never true.
#[test]
fn every_view_shows_the_same_while_updates_run() {
    let host = partners("").start().unwrap();
    let count = 40;
    let id = |number: usize| format!("m-{number}");
    for number in 0..count {
        send(&host, &message(&id(number), "lines", "pending"));
    }
    for number in 0..count {
        wait_for(&host, &id(number), "pending");
    }
    for number in 0..count {
        let status = ["delivered", "rejected"][number % 2];
        reported(&host, &format!("token=token-m-{number} status={status}"));
        // What one view says is what the journal has as its last row by then, or had before.
        let seen = get(&host, &id(number));
        let rows = steps(&host, &id(number));
        let status = format!("{} ", text(&seen["status"]));
        assert!(
            rows.iter().any(|row| row.starts_with(&status)),
            "{seen}: {rows:?}"
        );
    }
    for number in 0..count {
        wait_for(&host, &id(number), ["delivered", "rejected"][number % 2]);
    }
    let listed = |status: &str| {
        let path = format!("/v1/deliveries?status={status}&limit=1000");
        let answer = host.http("GET", &path, &[], b"").unwrap().json().unwrap();
        answer["entries"].as_array().unwrap().len()
    };
    let counted =
        |status: &str| number(&host, &format!("wharf_deliveries{{status=\"{status}\"}}")) as usize;
    for status in ["delivered", "rejected"] {
        assert_eq!(
            (listed(status), counted(status)),
            (count / 2, count / 2),
            "{status}"
        );
    }
    assert_eq!((listed("pending"), counted("pending")), (0, 0));
    assert_eq!(
        number(&host, "wharf_updates_total{result=\"applied\"}") as usize,
        count
    );
}
