use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use wharf_testkit::process::{eventually, exchange};
use wharf_testkit::sink::{Answer, Sink};

use crate::support::{SOON, channel, get, host, journal, send, steps, wait_for};

/// Goal (A1): the answer comes after the commit. A host that dies right after it has the message,
/// both deliveries and their first journal rows, and then delivers.
#[test]
fn what_was_answered_is_on_disk() {
    let sink = Sink::start().unwrap();
    sink.otherwise(Answer::silence());
    let config = format!(
        "{}{}[[route]]\nname = \"both\"\nmatch = {{ to = \"both\" }}\nchannels = [\"a\", \"b\"]\n",
        channel("a", &sink.url("/a"), ""),
        channel("b", &sink.url("/b"), "")
    );
    let mut host = host(&config).shipped("http").start().unwrap();
    let message = json!({ "id": "m1", "attributes": { "to": "both" }, "payload": "kept" });
    let answer = send(&host, &message);
    assert_eq!(
        (&answer["status"], &answer["deliveries"]),
        (&json!("accepted"), &json!(2))
    );
    host.kill_9().unwrap();

    // Nobody answers yet, so nothing but the accept can be in the journal.
    host.restart().unwrap();
    let view = get(&host, "m1");
    let route = |n: usize| {
        (
            view["deliveries"][n]["channel"].clone(),
            view["deliveries"][n]["route"].clone(),
        )
    };
    assert_eq!(
        [route(0), route(1)],
        [(json!("a"), json!("both")), (json!("b"), json!("both"))]
    );
    assert_eq!(steps(&host, "m1"), ["queued accepted", "queued accepted"]);
    assert!(
        journal(&host, "m1")
            .iter()
            .all(|row| row["at"] == view["accepted_at"])
    );

    host.kill_9().unwrap();
    sink.otherwise(Answer::status(200));
    host.restart().unwrap();
    wait_for(&host, "m1", "delivered");
}

const MESSAGES: usize = 5000;
const BATCH: usize = 50;
const PARALLELISM: usize = 16;
/// How far the sender runs ahead of the receiver, so that it is still sending when the host dies.
const LEAD: usize = 1000;

/// Goal (A1, A6, D3): kill -9 in the middle of 5,000 messages, twice. Every message that was
/// answered 202 is delivered; a batch is stored as a whole or not at all; what arrives twice was in
/// flight at a kill, and has the same id and bytes.
#[test]
fn five_thousand_messages_survive_two_kills() {
    let sink = Sink::builder().keep(2 * MESSAGES).start().unwrap();
    let config = channel("a", &sink.url("/"), &format!("parallelism = {PARALLELISM}"));
    let mut host = host(&config)
        .shipped("http")
        .env("WHARF_LOG", "warn")
        .start()
        .unwrap();

    // The first kill comes while messages are accepted and delivered.
    let (address, killed) = (host.address(), AtomicBool::new(false));
    let answered = std::thread::scope(|scope| {
        let sender = scope.spawn(|| send_until_killed(address, &sink, &killed));
        sink.wait_for_count(SOON, 1500).unwrap();
        host.kill_9().unwrap();
        killed.store(true, Ordering::Release);
        sender.join().unwrap()
    });
    assert!(
        (1..MESSAGES / BATCH).contains(&answered),
        "{answered} batches were answered"
    );

    // What was answered is known; the batch that was not is there as a whole or not at all.
    host.restart().unwrap();
    for batch in 0..MESSAGES / BATCH {
        let lines = post_batch(host.address(), batch).unwrap();
        let duplicates = lines
            .iter()
            .filter(|line| line["accepted"]["duplicate"] == true)
            .count();
        let expected: &[usize] = match batch {
            batch if batch < answered => &[BATCH],
            batch if batch == answered => &[0, BATCH],
            _ => &[0],
        };
        assert!(
            expected.contains(&duplicates),
            "batch {batch} of {answered}: {duplicates}"
        );
    }

    // The second kill comes while only deliveries are made.
    sink.wait_for_count(SOON, 3500).unwrap();
    host.kill_9().unwrap();
    host.restart().unwrap();
    let arrived = |requests: &[_]| bodies_by_id(requests).len() == MESSAGES;
    let requests = eventually(SOON * 2, || {
        Some(sink.requests()).filter(|all| arrived(all))
    });
    let requests = requests.unwrap_or_else(|| {
        panic!(
            "only {} of {MESSAGES} arrived",
            bodies_by_id(&sink.requests()).len()
        )
    });
    let last = format!("m{}", MESSAGES - 1);
    wait_for(&host, &last, "delivered");
    assert!(host.terminate().unwrap().success());

    let duplicates = sink.requests().len() - MESSAGES;
    // At each kill: what was being sent, and as much again that was sent and not yet recorded.
    let in_flight = 2 * PARALLELISM;
    assert!(duplicates <= 2 * in_flight, "{duplicates} arrived twice");
    for (id, bodies) in bodies_by_id(&requests) {
        assert_eq!(bodies, BTreeSet::from([id.clone()]), "{id}");
    }
}

fn bodies_by_id(requests: &[wharf_testkit::sink::Received]) -> BTreeMap<String, BTreeSet<String>> {
    let mut all = BTreeMap::<_, BTreeSet<_>>::new();
    for request in requests {
        let id = request.header("webhook-id").unwrap().to_owned();
        all.entry(id)
            .or_default()
            .insert(String::from_utf8(request.body.to_vec()).unwrap());
    }
    all
}

/// How many batches were answered before the host died.
fn send_until_killed(address: SocketAddr, sink: &Sink, killed: &AtomicBool) -> usize {
    for batch in 0..MESSAGES / BATCH {
        let room = || (sink.count() as usize + LEAD >= batch * BATCH).then_some(());
        eventually(SOON, || {
            room().or(killed.load(Ordering::Acquire).then_some(()))
        });
        if post_batch(address, batch).is_none() {
            return batch;
        }
    }
    MESSAGES / BATCH
}

/// The answers to the lines of a batch; none where the host died before it had answered.
fn post_batch(address: SocketAddr, batch: usize) -> Option<Vec<Value>> {
    let body: String = (batch * BATCH..(batch + 1) * BATCH)
        .map(|n| format!("{}\n", crate::support::message(&format!("m{n}"), "a")))
        .collect();
    let headers = [("content-type", "application/x-ndjson")];
    let answer = exchange(
        address,
        "POST",
        "/v1/messages/batch",
        &headers,
        body.as_bytes(),
    )
    .ok()?;
    let lines: Vec<Value> = answer
        .text()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(lines.iter().all(|line| line["status"] == 202), "{lines:?}");
    Some(lines)
}
