use std::time::{Duration, Instant};

use serde_json::{Value, json};
use wharf_testkit::process::Host;
use wharf_testkit::sink::{Answer, Sink};

use crate::folder::{version, wait_until_loaded};
use crate::support::{
    JSON, SOON, assert_has, channel, channel_of, ended, guest, host, may_reach_this_machine,
    message, send, steps, text, wait_for,
};

/// Goal (L1): what was given up is in one list with its last error, whatever gave it up, and messages that no route
/// matched are in it too; nothing else is.
#[test]
fn what_was_given_up_is_listed_with_its_last_error() {
    let sink = Sink::start().unwrap();
    sink.script("/a", [Answer::status(503)]);
    let config = channel("a", &sink.url("/a"), "retry = { attempts = 1 }")
        + &channel_of("outcomes", "b", "");
    let host = host(&config)
        .shipped("http")
        .plugin("outcomes", guest("outcomes"))
        .start()
        .unwrap();
    for (id, to, outcome, status) in [
        ("dead", "a", "", "dead"),
        ("fine", "b", "delivered", "delivered"),
        ("refused", "b", "rejected", "rejected"),
        ("waiting", "b", "pending", "pending"),
        ("lost", "nobody", "", "unroutable"),
    ] {
        let attributes = json!({ "to": to, "outcome": outcome });
        send(&host, &json!({ "id": id, "attributes": attributes }));
        wait_for(&host, id, status);
    }
    let listed = |query: &str| -> Vec<String> {
        let path = format!("/v1/dead-letters{query}");
        let page = host.http("GET", &path, &[], b"").unwrap().json().unwrap();
        let entries = page["entries"].as_array().unwrap().iter();
        let word = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        let entries = entries.map(|entry| {
            ["message", "channel", "status", "cause", "code"]
                .map(|key| word(&entry[key]))
                .join(" ")
        });
        entries.collect()
    };
    let dead = "dead a dead attempts-spent http-503";
    let refused = "refused b rejected refused told-to-reject";
    let lost = "lost - unroutable no-route -";
    assert_eq!(listed(""), [dead, refused, lost]);
    assert_eq!(listed("?status=dead,unroutable"), [dead, lost]);
    assert_eq!(listed("?channel=b"), [refused]);
    assert_eq!(listed("?limit=1"), [dead]);
    let answer = host
        .http("GET", "/v1/dead-letters?status=pending", &[], b"")
        .unwrap();
    assert_eq!(answer.status, 400);
    assert_has(
        &answer.text(),
        &["invalid-field", "dead, rejected, shed, unroutable"],
    );

    let (code, said, error) = ended(host.cli(["dead-letter", "list"]).unwrap());
    assert_eq!((code, error.as_str()), (0, ""));
    assert_has(
        &said,
        &[
            "MESSAGE",
            "attempts-spent",
            "http-503: ",
            "told-to-reject: told to reject",
            "unroutable",
        ],
    );
}

/// Goal (D3): a redrive sends again what was sent, under the same key, with numbers that go on and a budget that
/// begins anew; by choice it converts again, and takes another key. A dry run changes nothing. Only what was given up
/// can be redriven.
#[test]
fn a_redrive_sends_the_same_or_converts_again() {
    let sink = Sink::start().unwrap();
    sink.otherwise(Answer::status(503));
    let shape = |n| version(&guest("outcomes"), "wrapped:", &format!("wrap--{n}:"));
    let more = "convert = [\"shape\"]\nretry = { attempts = 2, base = \"10ms\" }";
    let host = host(&channel("a", &sink.url("/"), more))
        .shipped("http")
        .plugin("shape", shape(0))
        .start()
        .unwrap();
    send(&host, &message("m1", "a"));
    wait_for(&host, "m1", "dead");
    host.put_plugin("shape", shape(1)).unwrap();
    wait_until_loaded(&host, "shape", &shape(1));

    // What a dry run says.
    let before = steps(&host, "m1");
    let (code, said, _) = ended(
        host.cli(["dead-letter", "redrive", "m1", "--dry-run"])
            .unwrap(),
    );
    assert_eq!(code, 0);
    assert_has(&said, &["a        would-change  dead"]);
    assert_eq!(steps(&host, "m1"), before);

    // The same again, which fails as often as it did before, and then another time.
    let (code, said, _) = ended(host.cli(["dead-letter", "redrive", "m1"]).unwrap());
    assert_eq!(code, 0);
    assert_has(&said, &["a        changed  queued"]);
    sink.wait_for_count(SOON, 4).unwrap();
    wait_for(&host, "m1", "dead");
    assert_eq!(
        steps(&host, "m1")[before.len()..],
        ["queued redriven", "retrying failed", "dead attempts-spent"]
    );
    sink.otherwise(Answer::status(200));
    let input = json!({ "channel": "a", "reconvert": true, "new_key": true });
    let (status, changed) = redrive(&host, "m1", &input);
    assert_eq!(status, 200, "{changed:#}");
    wait_for(&host, "m1", "delivered");
    let sent = sink.requests().into_iter().map(|request| {
        let key = request.header("webhook-id").unwrap().to_owned();
        (String::from_utf8(request.body.to_vec()).unwrap(), key)
    });
    let same = ("wrap--0:m1".to_owned(), "m1".to_owned());
    let other = ("wrap--1:m1".to_owned(), "m1~1".to_owned());
    assert_eq!(
        sent.collect::<Vec<_>>(),
        [same.clone(), same.clone(), same.clone(), same, other]
    );
    let numbers = crate::support::attempts(&host, "m1");
    let numbers: Vec<_> = numbers.iter().map(|one| one["number"].clone()).collect();
    assert_eq!(json!(numbers), json!([1, 2, 3, 4, 5]));

    // What was not given up is left as it is.
    send(&host, &message("lost", "nobody"));
    for (id, input, status, parts) in [
        (
            "m1",
            json!({}),
            409,
            &["not-redrivable", "delivered (a)"][..],
        ),
        ("m1", json!({ "dry_run": true }), 409, &["not-redrivable"]),
        (
            "m1",
            json!({ "channel": "b" }),
            409,
            &["not-redrivable", "no delivery to the channel", "b"],
        ),
        (
            "lost",
            json!({}),
            409,
            &["not-redrivable", "no route matches lost now either"],
        ),
        ("unknown", json!({}), 404, &["message-not-found"]),
        (
            "m1",
            json!({ "reconvrt": true }),
            400,
            &["invalid-field", "reconvrt"],
        ),
        ("m1", json!([]), 400, &["malformed-body"]),
    ] {
        let (found, answer) = redrive(&host, id, &input);
        assert_eq!(found, status, "{answer:#}");
        assert_has(&answer.to_string(), parts);
    }
    let (code, _, error) = ended(host.cli(["dead-letter", "redrive", "m1"]).unwrap());
    assert_eq!(code, 1);
    assert_has(&error, &["not-redrivable", "try: `wharf why ID`"]);
    assert_eq!(sink.count(), 5);
    let page = host
        .http("GET", "/v1/dead-letters", &[], b"")
        .unwrap()
        .json()
        .unwrap();
    assert_eq!(text(&page["entries"][0]["message"]), "lost");
}

/// Goal (L1): dead letters are redriven by status and channel, in pages, no faster than asked for; a dry run says how
/// many they are.
#[test]
fn many_are_sent_again_by_status_and_channel() {
    let sink = Sink::start().unwrap();
    sink.otherwise(Answer::status(503));
    let config = ["a", "b"].map(|name| {
        let retry = "retry = { attempts = 1 }";
        channel(name, &sink.url(&format!("/{name}")), retry)
    });
    let config = config.concat() + &channel_of("outcomes", "c", "");
    let host = host(&config)
        .shipped("http")
        .plugin("outcomes", guest("outcomes"))
        .start()
        .unwrap();
    let ids = |to: &str| (0..5).map(|n| format!("{to}{n}")).collect::<Vec<_>>();
    for id in ids("a").iter().chain(&ids("b")) {
        send(&host, &message(id, &id[..1]));
        wait_for(&host, id, "dead");
    }
    let refused = json!({ "id": "c0", "attributes": { "to": "c", "outcome": "rejected" } });
    send(&host, &refused);
    wait_for(&host, "c0", "rejected");
    send(&host, &message("lost", "nobody"));
    sink.otherwise(Answer::status(200));
    sink.forget();

    let cli = |args: &[&str]| {
        let args = [&["dead-letter", "redrive", "--all"], args].concat();
        let (code, said, error) = ended(host.cli(&args).unwrap());
        assert_eq!((code, error.as_str()), (0, ""), "{args:?}");
        said
    };
    assert_has(
        &cli(&["--dry-run"]),
        &["RESULT", "unroutable    1", "would-change  11"],
    );
    let said = cli(&["--channel", "a", "--dry-run", "--json"]);
    assert_eq!(
        serde_json::from_str::<Value>(&said).unwrap(),
        json!({ "would-change": 5 })
    );

    // In pages, as the API has them.
    let mut after = Value::Null;
    let mut pages = Vec::new();
    loop {
        let input = json!({ "channel": "a", "limit": 2, "after": after });
        let path = "/v1/dead-letters/redrive";
        let answer = host
            .http("POST", path, &[JSON], input.to_string().as_bytes())
            .unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
        let page = answer.json().unwrap();
        let deliveries = page["deliveries"].as_array().unwrap().iter();
        pages.push(
            deliveries
                .map(|one| text(&one["message"]).to_owned())
                .collect::<Vec<_>>(),
        );
        assert!(
            page["deliveries"]
                .as_array()
                .unwrap()
                .iter()
                .all(|one| one["result"] == "changed")
        );
        after = page["next"].clone();
        if after.is_null() {
            break;
        }
    }
    assert_eq!(pages.concat(), ids("a"));
    assert!(pages.iter().all(|page| page.len() <= 2), "{pages:?}");
    for id in ids("a") {
        wait_for(&host, &id, "delivered");
    }

    // Four a second are five in a second and more.
    let began = Instant::now();
    assert_has(&cli(&["--status", "dead", "--rate", "4"]), &["changed  5"]);
    assert!(began.elapsed() >= Duration::from_secs(1));
    for id in ids("b") {
        wait_for(&host, &id, "delivered");
    }
    assert_eq!(sink.count(), 10);
    assert_has(
        &cli(&["--dry-run"]),
        &["unroutable    1", "would-change  1"],
    );
    assert_eq!(crate::support::get(&host, "lost")["status"], "unroutable");

    for (input, parts) in [
        (
            json!({ "status": "delivered" }),
            &["status", "there are dead, rejected, shed, unroutable"][..],
        ),
        (json!({ "limit": 0 }), &["limit", "1 to 1000"]),
        (json!({ "after": "x" }), &["after", "`next`"]),
        (json!({ "reason": "x" }), &["reason"]),
    ] {
        let path = "/v1/dead-letters/redrive";
        let answer = host
            .http("POST", path, &[JSON], input.to_string().as_bytes())
            .unwrap();
        assert_eq!(answer.status, 400, "{input}");
        assert_has(&answer.text(), &["invalid-field"]);
        assert_has(&answer.text(), parts);
    }
    for args in [
        &["--all", "m1"][..],
        &[],
        &["m1", "--rate", "4"],
        &["--all", "--rate", "0"],
    ] {
        let args = [&["dead-letter", "redrive"], args].concat();
        assert_eq!(ended(host.cli(args).unwrap()).0, 2);
    }
}

/// Goal (C3): what no route matched is routed again by the routes that came later: from then on it is a message like
/// any other, under its id. What none matches still is left as it is.
#[test]
fn what_no_route_matched_is_routed_again() {
    let sink = Sink::start().unwrap();
    let first = channel("a", &sink.url("/a"), "");
    let mut host = host(&first).shipped("http").start().unwrap();
    for (id, to) in [("m1", "b"), ("fine", "a"), ("m2", "b"), ("lost", "nobody")] {
        send(&host, &message(id, to));
    }
    wait_for(&host, "fine", "delivered");
    let (status, answer) = redrive(&host, "m1", &json!({}));
    assert_eq!(status, 409);
    assert_has(
        &answer.to_string(),
        &["not-redrivable", "no route matches m1 now either"],
    );

    let second = first + &channel("b", &sink.url("/b"), "");
    host.write("wharf.toml", may_reach_this_machine(&second))
        .unwrap();
    host.restart().unwrap();
    let cli = |args: &[&str]| {
        let args = [&["dead-letter", "redrive"], args].concat();
        let (code, said, error) = ended(host.cli(&args).unwrap());
        assert_eq!((code, error.as_str()), (0, ""), "{args:?}");
        said
    };
    assert_has(
        &cli(&["m1", "--dry-run"]),
        &["b        would-change  unroutable"],
    );
    assert_eq!(steps(&host, "m1"), ["unroutable no-route"]);
    assert_has(&cli(&["m1"]), &["b        changed  queued"]);
    wait_for(&host, "m1", "delivered");
    let expected = ["unroutable no-route", "queued redriven", "delivered sent"];
    assert_eq!(steps(&host, "m1"), expected);
    let again = send(&host, &message("m1", "b"));
    assert_eq!(
        (&again["duplicate"], &again["deliveries"]),
        (&json!(true), &json!(1))
    );

    assert_has(
        &cli(&["--all", "--status", "unroutable", "--dry-run"]),
        &["unroutable    1", "would-change  1"],
    );
    assert_has(&cli(&["--all"]), &["changed     1", "unroutable  1"]);
    wait_for(&host, "m2", "delivered");
    host.restart().unwrap();
    let page = host.http("GET", "/v1/dead-letters", &[], b"").unwrap();
    let page = page.json().unwrap();
    let entries = page["entries"].as_array().unwrap();
    assert_eq!((entries.len(), text(&entries[0]["message"])), (1, "lost"));
    for id in ["m1", "m2"] {
        assert_eq!(steps(&host, id), expected);
    }
    let bodies = sink
        .requests()
        .into_iter()
        .map(|one| String::from_utf8(one.body.to_vec()).unwrap());
    assert_eq!(bodies.collect::<Vec<_>>(), ["fine", "m1", "m2"]);
}

fn redrive(host: &Host, id: &str, input: &Value) -> (u16, Value) {
    let path = format!("/v1/messages/{id}/redrive");
    let answer = host
        .http("POST", &path, &[JSON], input.to_string().as_bytes())
        .unwrap();
    (answer.status, answer.json().unwrap())
}
