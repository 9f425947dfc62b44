use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use wharf_testkit::process::{exchange, shipped};
use wharf_testkit::sink::{Answer, Received, Sink};

use crate::folder::{digest, version, wait_until_healthy, wait_until_only_these_are_in_memory};
use crate::support::{SOON, attempts, channel_of, get, guest, host, message, steps};

/// Versions of each of the two plugins.
const VERSIONS: usize = 6;

/// Goal: the converter and the channel are swapped again and again while messages flow, and no
/// message notices: each is delivered at its first attempt, and what the receiver got is of exactly
/// the versions that the journal names, the converter's by the body and the channel's by a header.
#[test]
fn no_delivery_fails_and_none_is_of_half_a_version() {
    let sink = Sink::start().unwrap();
    // Long enough that attempts are in flight whenever a version comes.
    sink.otherwise(Answer::status(200).after(Duration::from_millis(5)));
    let (wrap, post) = (guest("outcomes"), shipped("http"));
    let wrap: Vec<_> = (0..VERSIONS)
        .map(|n| version(&wrap, "wrapped:", &body_mark(n)))
        .collect();
    let post: Vec<_> = (0..VERSIONS)
        .map(|n| version(&post, "webhook-id", &header_mark(n)))
        .collect();
    let of_digest: BTreeMap<String, usize> = [&wrap, &post]
        .into_iter()
        .flat_map(|versions| versions.iter().enumerate())
        .map(|(n, component)| (digest(component), n))
        .collect();

    let more = format!(
        "config.url = \"{}\"\nconvert = [\"wrap\"]\nparallelism = 8",
        sink.url("/")
    );
    let host = host(&channel_of("post", "a", &more))
        .plugin("wrap", &*wrap[0])
        .plugin("post", &*post[0])
        .start()
        .unwrap();

    let done = AtomicBool::new(false);
    let address = host.address();
    let sent = std::thread::scope(|scope| {
        let sender = scope.spawn(|| {
            let mut sent = 0;
            while !done.load(Ordering::Relaxed) {
                let batch: String = (sent..sent + 5)
                    .map(|n| format!("{}\n", message(&format!("m{n}"), "a")))
                    .collect();
                let headers = [("content-type", "application/x-ndjson")];
                let path = "/v1/messages/batch";
                let answer = exchange(address, "POST", path, &headers, batch.as_bytes()).unwrap();
                assert_eq!(answer.status, 200, "{}", answer.text());
                sent += 5;
                // As fast as they are delivered, so that the last one does not take for ever.
                let room = |requests: &[Received]| requests.len() + 50 > sent;
                sink.wait_until(SOON, room).unwrap();
            }
            sent
        });
        // The swaps of both are interleaved; each is waited for in what the receiver gets.
        for n in 0..VERSIONS {
            host.put_plugin("wrap", &wrap[n]).unwrap();
            sink.wait_until(SOON, |requests| requests.iter().any(|r| marks(r).0 == n))
                .unwrap();
            host.put_plugin("post", &post[n]).unwrap();
            sink.wait_until(SOON, |requests| requests.iter().any(|r| marks(r).1 == n))
                .unwrap();
        }
        done.store(true, Ordering::Relaxed);
        sender.join().unwrap()
    });
    sink.wait_for_count(SOON, sent as u64).unwrap();

    let mut requests: BTreeMap<String, Received> = BTreeMap::new();
    for request in sink.requests() {
        let (_, id) = std::str::from_utf8(&request.body)
            .unwrap()
            .split_once(':')
            .unwrap();
        let again = requests.insert(id.to_owned(), request.clone());
        assert!(again.is_none(), "{id} came twice");
    }
    let mut seen = BTreeMap::new();
    for n in 0..sent {
        let id = format!("m{n}");
        crate::support::wait_for(&host, &id, "delivered");
        assert_eq!(steps(&host, &id), ["queued accepted", "delivered sent"]);
        let attempts = attempts(&host, &id);
        let runs = attempts[0]["hooks"].as_array().unwrap();
        let names: Vec<_> = runs.iter().map(|run| run["hook"].clone()).collect();
        assert_eq!(names, [json!("converter wrap"), json!("channel post")]);
        let journalled = |run: &Value| of_digest[run["digest"].as_str().unwrap()];
        let versions = (journalled(&runs[0]), journalled(&runs[1]));
        assert_eq!(marks(&requests[&id]), versions, "{id}: {}", get(&host, &id));
        *seen.entry(versions).or_insert(0) += 1;
    }
    // Every version has served, and the two never skipped one.
    let expected: Vec<_> = (0..VERSIONS)
        .flat_map(|n| [(n, n.saturating_sub(1)), (n, n)])
        .collect();
    let mut expected = expected;
    expected.dedup();
    assert_eq!(
        seen.keys().copied().collect::<Vec<_>>(),
        expected,
        "{seen:?}"
    );
    wait_until_healthy(&host);
    let last = [&*wrap[VERSIONS - 1], &*post[VERSIONS - 1]];
    wait_until_only_these_are_in_memory(&host, &last);
}

fn body_mark(version: usize) -> String {
    format!("wrap-{version:02}:")
}

fn header_mark(version: usize) -> String {
    format!("webhook-{version:02}")
}

/// The version of the converter and that of the channel that made a request.
fn marks(request: &Received) -> (usize, usize) {
    let of_body = (0..VERSIONS).find(|n| request.body.starts_with(body_mark(*n).as_bytes()));
    let of_header = (0..VERSIONS).find(|n| request.header(&header_mark(*n)).is_some());
    (of_body.unwrap(), of_header.unwrap())
}
