use serde_json::{Value, json};
use wharf_testkit::process::{Answer, Host};
use wharf_testkit::sink::Sink;

use crate::support::{
    JSON, NDJSON, SOON, channel, host, message, post_batch_as, steps, text, wait_for,
};

/// Goal (A2, Idempotency-Key): the same key with the same content is the same message, however the
/// key is written and after a restart; with other content it is refused; and it never stands beside
/// an id.
#[test]
fn the_same_key_is_answered_like_the_first() {
    let sink = Sink::start().unwrap();
    let mut host = host(&channel("a", &sink.url("/"), ""))
        .shipped("http")
        .start()
        .unwrap();
    let order = json!({ "attributes": { "to": "a" }, "payload": "order 7" });
    let first = accepted(&send(&host, Some("order-7"), &order));
    assert_eq!(first["duplicate"], false);
    let id = text(&first["id"]);
    assert!(id.starts_with("ik_"), "{id}");

    let again = json!({ "id": id, "duplicate": true, "status": "accepted", "deliveries": 1 });
    for key in ["order-7", "\"order-7\""] {
        assert_eq!(accepted(&send(&host, Some(key), &order)), again, "{key}");
    }
    // The trace is no content; everything else is.
    let mut traced = order.clone();
    traced["traceparent"] = json!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    assert_eq!(accepted(&send(&host, Some("order-7"), &traced)), again);
    for (field, value) in [
        ("payload", json!("order 8")),
        ("attributes", json!({})),
        ("ordering_key", json!("k")),
    ] {
        let mut other = order.clone();
        other[field] = value;
        let answer = send(&host, Some("order-7"), &other);
        check_refused(&answer, 422, "idempotency-key-reused");
    }
    let new = accepted(&send(&host, Some("order-8"), &order));
    assert_eq!(new["duplicate"], false);

    for key in ["\"order-7", "order 7", "\"\"", "a,b"] {
        let answer = send(&host, Some(key), &order);
        check_refused(&answer, 400, "idempotency-key-malformed");
    }
    let twice = [
        JSON,
        ("idempotency-key", "order-7"),
        ("idempotency-key", "order-7"),
    ];
    let answer = host.http("POST", "/v1/messages", &twice, b"{}").unwrap();
    check_refused(&answer, 400, "idempotency-key-malformed");
    let answer = send(&host, Some("order-9"), &message("m1", "a"));
    check_refused(&answer, 400, "two-identities");
    let detail = answer.json().unwrap()["detail"].clone();
    assert!(
        text(&detail).contains("idempotency-key") && text(&detail).contains("its id"),
        "{detail}"
    );

    host.restart().unwrap();
    assert_eq!(accepted(&send(&host, Some("order-7"), &order)), again);
    wait_for(&host, id, "delivered");
    assert_eq!(steps(&host, id), ["queued accepted", "delivered sent"]);
    sink.wait_for_count(SOON, 2).unwrap();
    let requests = sink.requests();
    let ids = requests.iter().map(|r| r.header("webhook-id"));
    assert_eq!(ids.filter(|sent| *sent == Some(id)).count(), 1);
    assert_eq!(requests.len(), 2);
}

/// Goal: of many requests with one key at the same time, so within one group commit, one is new, and
/// the others wait for it and are answered like it: none is told to come again.
#[test]
fn one_of_many_requests_is_the_first() {
    let host = host("").start().unwrap();
    for round in 0..20 {
        let key = format!("race-{round}");
        let body = json!({ "payload": "x" });
        let answers: Vec<Value> = std::thread::scope(|scope| {
            let senders: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| accepted(&send(&host, Some(&key), &body))))
                .collect();
            let joined = senders.into_iter().map(|sender| sender.join().unwrap());
            joined.collect()
        });
        let new = answers.iter().filter(|a| a["duplicate"] == false).count();
        assert_eq!(new, 1, "{answers:?}");
        assert!(answers.iter().all(|a| a["id"] == answers[0]["id"]));
    }
}

/// Goal: in a batch the key and the line give an id to the lines that have none, also where the
/// batch is sent in other pieces; lines that have one keep it.
#[test]
fn a_key_and_the_lines_make_a_batch_safe_to_send_again() {
    let host = host("").start().unwrap();
    let line = |n: usize| match n {
        3 => r#"{"id":"own","payload":"3"}"#.to_owned(),
        n => format!(r#"{{"payload":"{n}"}}"#),
    };
    let piece = |first: usize, last: usize, key: &str| {
        let body: String = (first..=last).map(|n| line(n) + "\n").collect();
        let first = first.to_string();
        let headers = [
            NDJSON,
            ("idempotency-key", key),
            ("wharf-first-line", first.as_str()),
        ];
        post_batch_as(&host, &headers, body.as_bytes())
    };
    let all = piece(1, 5, "k");
    let ids: Vec<&str> = all.iter().map(|a| text(&a["accepted"]["id"])).collect();
    assert_eq!(ids[2], "own");
    assert!(all.iter().all(|a| a["accepted"]["duplicate"] == false));

    let pieces = [piece(1, 2, "k"), piece(3, 5, "k")].concat();
    for (line, (again, first)) in (1..).zip(pieces.iter().zip(&all)) {
        assert_eq!(again["line"], line);
        assert_eq!(again["accepted"]["id"], first["accepted"]["id"]);
        assert_eq!(again["accepted"]["duplicate"], true);
    }
    // Under another number a line is another message, and what was line 2 is not line 1.
    let moved = piece(2, 2, "k2");
    assert_eq!(moved[0]["accepted"]["duplicate"], false);
    let body = format!("{}\n{}\n", line(2), line(3));
    let headers = [NDJSON, ("idempotency-key", "k")];
    let reused = post_batch_as(&host, &headers, body.as_bytes());
    assert_eq!(reused[0]["status"], 422);
    assert_eq!(reused[0]["problem"]["code"], "idempotency-key-reused");
    assert_eq!(reused[1]["accepted"]["duplicate"], true);

    for bad in ["0", "-1", "x", "9007199254740993"] {
        let headers = [NDJSON, ("wharf-first-line", bad)];
        let answer = host.http("POST", "/v1/messages/batch", &headers, b"{}\n");
        let problem = answer.unwrap().json().unwrap();
        assert_eq!(problem["field"], "wharf-first-line", "{bad}: {problem}");
    }
}

/// Goal: a key belongs to the token that it came with.
#[test]
fn a_key_of_one_caller_is_not_that_of_another() {
    let token = |name: &str| {
        format!(
            "[[api.token]]\nname = \"{name}\"\ntoken = \"{name}-t\"\nscopes = [\"send\", \"read\"]\n"
        )
    };
    let config = token("billing") + &token("shop");
    let host = host(&config).start().unwrap();
    let send = |name: &str| {
        let authorization = format!("Bearer {name}-t");
        let headers = [
            JSON,
            ("idempotency-key", "k"),
            ("authorization", authorization.as_str()),
        ];
        accepted(&host.http("POST", "/v1/messages", &headers, b"{}").unwrap())
    };
    let (billing, shop) = (send("billing"), send("shop"));
    assert_eq!(billing["duplicate"], false);
    assert_eq!(shop["duplicate"], false);
    assert_ne!(billing["id"], shop["id"]);
    assert_eq!(send("shop")["duplicate"], true);
}

/// Goal: `api.require-idempotency` refuses what has neither an id nor a key, one by one in a batch.
#[test]
fn where_it_is_required_nothing_comes_without_identity() {
    let host = host("[api]\nrequire-idempotency = true\n").start().unwrap();
    let anonymous = json!({ "payload": "x" });
    let answer = send(&host, None, &anonymous);
    check_refused(&answer, 400, "idempotency-key-required");
    accepted(&send(&host, Some("k"), &anonymous));
    accepted(&send(&host, None, &message("m1", "a")));

    let body = format!("{anonymous}\n{}\n", message("m2", "a"));
    let lines = post_batch_as(&host, &[NDJSON], body.as_bytes());
    assert_eq!(lines[0]["problem"]["code"], "idempotency-key-required");
    assert_eq!(lines[1]["status"], 202);
    let headers = [NDJSON, ("idempotency-key", "b")];
    let lines = post_batch_as(&host, &headers, body.as_bytes());
    assert!(lines.iter().all(|line| line["status"] == 202), "{lines:?}");
}

fn send(host: &Host, key: Option<&str>, body: &Value) -> Answer {
    let mut headers = vec![JSON];
    headers.extend(key.map(|key| ("idempotency-key", key)));
    let body = body.to_string();
    host.http("POST", "/v1/messages", &headers, body.as_bytes())
        .unwrap()
}

#[track_caller]
fn accepted(answer: &Answer) -> Value {
    assert_eq!(answer.status, 202, "{}", answer.text());
    answer.json().unwrap()
}

#[track_caller]
fn check_refused(answer: &Answer, status: u16, code: &str) {
    let problem = answer.json().unwrap();
    let found = (answer.status, text(&problem["code"]));
    assert_eq!(found, (status, code), "{problem}");
    assert_eq!(problem["field"], "idempotency-key", "{problem}");
}
