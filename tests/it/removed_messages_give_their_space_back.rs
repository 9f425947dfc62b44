use wharf_testkit::process::{Host, eventually};
use wharf_testkit::sink::Sink;

use crate::support::{SOON, channel, host, post_batch};

/// Messages of a round, and the size of each.
const MESSAGES: usize = 64;
const PAYLOAD_BYTES: usize = 64 << 10;

/// Several logs full.
const ROUNDS: usize = 16;

/// Goal: what retention removes is room for what comes next: the file does not grow with each round of messages, of which
/// nothing is left in the end.
#[test]
fn the_file_stops_growing() {
    let sink = Sink::start().unwrap();
    let store = "[store]\nretention = \"0s\"\ndeduplication-window = \"0s\"\njournal-retention = \"0s\"\n\
                 dead-letter-retention = \"0s\"\n";
    let host = host(&(store.to_owned() + &channel("a", &sink.url("/"), "")))
        .shipped("http")
        .start()
        .unwrap();
    let mut sizes = Vec::new();
    for round in 0..ROUNDS {
        let lines: Vec<_> = (0..MESSAGES)
            .map(|n| {
                let mut message = crate::support::message(&format!("m{round}-{n}"), "a");
                message["payload"] = "x".repeat(PAYLOAD_BYTES).into();
                message
            })
            .collect();
        post_batch(&host, &lines);
        let sent = ((round + 1) * MESSAGES) as u64;
        sink.wait_for_count(SOON, sent).unwrap();
        let is_empty =
            || has(&host, "wharf_store_content_bytes{of=\"messages\"} 0.0").then_some(());
        assert!(eventually(SOON, is_empty).is_some(), "{}", host.log());
        sizes.push(host.path("wharf.redb").metadata().unwrap().len());
    }
    // The file grows in steps, and by more than what is in it at a time; it never comes near to what was sent.
    let sent_bytes = (ROUNDS * MESSAGES * PAYLOAD_BYTES) as u64;
    let largest = sizes.iter().max().unwrap();
    assert!(largest * 2 < sent_bytes, "{sent_bytes} in all: {sizes:?}");
    let metrics = host.http("GET", "/metrics", &[], b"").unwrap().text();
    let pruned = format!(
        "wharf_pruned_total{{what=\"messages\"}} {}",
        ROUNDS * MESSAGES
    );
    assert!(metrics.lines().any(|line| line == pruned), "{metrics}");
}

fn has(host: &Host, line: &str) -> bool {
    let page = host.http("GET", "/metrics", &[], b"").unwrap().text();
    page.lines().any(|found| found == line)
}
