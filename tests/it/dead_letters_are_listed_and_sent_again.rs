use serde_json::{Value, json};
use wharf_testkit::process::Host;
use wharf_testkit::sink::{Answer, Sink};

use crate::folder::{version, wait_until_loaded};
use crate::support::{
    JSON, SOON, assert_has, channel, channel_of, ended, guest, host, message, send, steps, text,
    wait_for,
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
    let other = ("wrap--1:m1".to_owned(), "m1-1".to_owned());
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
        ("lost", json!({}), 409, &["not-redrivable", "unroutable"]),
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

fn redrive(host: &Host, id: &str, input: &Value) -> (u16, Value) {
    let path = format!("/v1/messages/{id}/redrive");
    let answer = host
        .http("POST", &path, &[JSON], input.to_string().as_bytes())
        .unwrap();
    (answer.status, answer.json().unwrap())
}
