use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use wharf_testkit::process::{exchange, shipped};
use wharf_testkit::sink::{Answer, Received, Sink};

use crate::folder::{digest, version, wait_until_healthy, wait_until_only_these_are_in_memory};
use crate::support::{SOON, attempts, channel_of, guest, host, message, steps, text, wait_for};

/// Versions of each of the two plugins.
const VERSIONS: usize = 6;

/// A converter that changes nothing and takes two milliseconds.
const PAUSE: &str = "{ plugin = \"pause\", config = { misbehave = \"nap\" } }";

/// What runs in an attempt, as the journal has it.
const HOOKS: [&str; 5] = [
    "converter wrap",
    "converter pause",
    "converter wrap",
    "channel post",
    "annotator wrap",
];

/// Goal: a plugin of the chain and the channel are swapped again and again while messages flow, and no message notices:
/// each is delivered at its first attempt, and is all of one set of versions, those that the journal names. The chain has
/// the one before and after a converter that takes its time, and as the annotator, so that many an attempt is between two of
/// its steps when a version comes; of the channel both ends of its exchange, before the receiver's answer and after it,
/// leave their mark.
#[test]
fn no_delivery_fails_and_none_is_of_half_a_version() {
    let sink = Sink::start().unwrap();
    // Long enough that attempts are in flight whenever a version comes.
    sink.otherwise(Answer::status(200).after(Duration::from_millis(5)));
    let versions = |component: &[u8], texts: [(&str, Mark); 2]| -> Vec<Vec<u8>> {
        let numbered = |n| {
            texts
                .iter()
                .fold(component.to_vec(), |component, (text, mark)| {
                    version(&component, text, &mark(n))
                })
        };
        (0..VERSIONS).map(numbered).collect()
    };
    let wrap = versions(
        &guest("outcomes"),
        [("wrapped:", body_mark), ("annotated", note_mark)],
    );
    let post = versions(
        &shipped("http"),
        [("webhook-id", header_mark), ("http-status", status_mark)],
    );
    let of_digest: BTreeMap<String, usize> = [&wrap, &post]
        .into_iter()
        .flat_map(|versions| versions.iter().enumerate())
        .map(|(n, component)| (digest(component), n))
        .collect();

    let more = format!(
        "config.url = \"{}\"\nconvert = [\"wrap\", {PAUSE}, \"wrap\"]\nannotate = [\"wrap\"]\nparallelism = 8",
        sink.url("/")
    );
    let host = host(&channel_of("post", "a", &more))
        .plugin("wrap", &*wrap[0])
        .plugin("pause", guest("misbehave"))
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
            sink.wait_until(SOON, |requests| requests.iter().any(|r| of_body(r).0 == n))
                .unwrap();
            host.put_plugin("post", &post[n]).unwrap();
            sink.wait_until(SOON, |requests| requests.iter().any(|r| of_header(r) == n))
                .unwrap();
        }
        done.store(true, Ordering::Relaxed);
        sender.join().unwrap()
    });
    sink.wait_for_count(SOON, sent as u64).unwrap();

    let mut requests: BTreeMap<String, Received> = BTreeMap::new();
    for request in sink.requests() {
        let body = std::str::from_utf8(&request.body).unwrap();
        let (_, id) = body.rsplit_once(':').unwrap();
        let again = requests.insert(id.to_owned(), request.clone());
        assert!(again.is_none(), "{id} came twice");
    }
    let mut seen = BTreeMap::new();
    for n in 0..sent {
        let id = format!("m{n}");
        wait_for(&host, &id, "delivered");
        assert_eq!(steps(&host, &id), ["queued accepted", "delivered sent"]);
        let attempt = attempts(&host, &id).remove(0);
        let runs = attempt["hooks"].as_array().unwrap();
        let names: Vec<_> = runs.iter().map(|run| text(&run["hook"])).collect();
        assert_eq!(names, HOOKS);
        let run = |place: usize| of_digest.get(text(&runs[place]["digest"])).copied();
        let noted: Vec<_> = attempt["notes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|note| text(&note[0]).to_owned())
            .collect();

        let (outer, inner) = of_body(&requests[&id]);
        assert_eq!(inner, outer, "{id}: {attempt:#}");
        let (wrap, post) = (inner, of_header(&requests[&id]));
        assert_eq!(noted, [status_mark(post), note_mark(wrap)], "{id}");
        let journalled = [0, 2, 3, 4].map(run);
        assert_eq!(journalled, [wrap, wrap, post, wrap].map(Some), "{id}");
        *seen.entry((wrap, post)).or_insert(0) += 1;
    }
    // Every version has served, and the two never skipped one.
    let mut expected: Vec<_> = (0..VERSIONS)
        .flat_map(|n| [(n, n.saturating_sub(1)), (n, n)])
        .collect();
    expected.dedup();
    let found: Vec<_> = seen.keys().copied().collect();
    assert_eq!(found, expected, "{seen:?}");
    wait_until_healthy(&host);
    let last = [
        &*wrap[VERSIONS - 1],
        &*guest("misbehave"),
        &*post[VERSIONS - 1],
    ];
    wait_until_only_these_are_in_memory(&host, &last);
}

/// What a version has in the place of a text, as long as that.
type Mark = fn(usize) -> String;

fn body_mark(version: usize) -> String {
    format!("wrap-{version:02}:")
}

fn note_mark(version: usize) -> String {
    format!("annota-{version:02}")
}

fn header_mark(version: usize) -> String {
    format!("webhook-{version:02}")
}

fn status_mark(version: usize) -> String {
    format!("http-sta-{version:02}")
}

/// The versions that wrapped a request, from its outside to its inside: the last converter's first.
fn of_body(request: &Received) -> (usize, usize) {
    let text = std::str::from_utf8(&request.body).unwrap();
    let numbered = |mark: &str| (0..VERSIONS).find(|n| body_mark(*n).starts_with(mark));
    let mut marks = text.split(':').map(|mark| numbered(mark).unwrap());
    (marks.next().unwrap(), marks.next().unwrap())
}

/// The version of the channel that made a request.
fn of_header(request: &Received) -> usize {
    let found = (0..VERSIONS).find(|n| request.header(&header_mark(*n)).is_some());
    found.unwrap()
}
