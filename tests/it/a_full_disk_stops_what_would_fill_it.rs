use serde_json::json;
use wharf_testkit::process::Host;
use wharf_testkit::sink::Sink;

use crate::support::{
    assert_has, channel, ended, get, health, host, may_reach_this_machine, message, post, send,
    wait_for,
};

/// More than any disk has.
const NEVER_FREE: &str = "1000000TiB";

/// Goal (A5): under the first mark no message is accepted (503 with `retry-after`, alone and in a batch), and what is
/// stored is delivered; under the second nothing is sent either. Health and metrics say so, and with room again
/// everything goes on: nothing is lost.
#[test]
fn first_accepting_then_sending() {
    let sink = Sink::start().unwrap();
    let config = |accept: &str, dispatch: &str| {
        let store =
            format!("[store]\naccept-free = \"{accept}\"\ndispatch-free = \"{dispatch}\"\n");
        may_reach_this_machine(&(store + &channel("a", &sink.url("/"), "")))
    };
    let mut host = host(&channel("a", &sink.url("/"), ""))
        .shipped("http")
        .start()
        .unwrap();
    let restart = |host: &mut Host, accept: &str, dispatch: &str| {
        host.write("wharf.toml", config(accept, dispatch)).unwrap();
        host.restart().unwrap();
    };

    restart(&mut host, NEVER_FREE, NEVER_FREE);
    assert_refused(&host);
    assert_eq!(degraded(&host).len(), 1);
    assert!(
        degraded(&host)[0].contains("none is sent"),
        "{:?}",
        degraded(&host)
    );

    // What was accepted before waits.
    restart(&mut host, "0", "0");
    host.cli(["channel", "pause", "a"]).unwrap();
    send(&host, &message("m1", "a"));
    restart(&mut host, NEVER_FREE, NEVER_FREE);
    host.cli(["channel", "resume", "a"]).unwrap();
    let metrics = host.http("GET", "/metrics", &[], b"").unwrap().text();
    let mut lines = metrics.lines();
    let free = lines.find_map(|line| line.strip_prefix("wharf_disk_free_bytes "));
    let free: f64 = free.expect("it is measured").parse().unwrap();
    assert!(free > 0.0, "{metrics}");
    assert_eq!(get(&host, "m1")["status"], "queued");
    let (_, why, _) = ended(host.cli(["why", "m1"]).unwrap());
    assert_has(&why, &["but the host: ", "less than store.dispatch-free"]);
    assert_eq!(sink.count(), 0);

    // Under the first mark it goes.
    restart(&mut host, NEVER_FREE, "0");
    wait_for(&host, "m1", "delivered");
    assert_refused(&host);
    assert!(
        degraded(&host)[0].contains("no message is accepted"),
        "{:?}",
        degraded(&host)
    );

    restart(&mut host, "0", "0");
    send(&host, &message("m2", "a"));
    wait_for(&host, "m2", "delivered");
    assert_eq!(degraded(&host), Vec::<String>::new());
    assert_eq!(sink.count(), 2);
}

#[track_caller]
fn assert_refused(host: &Host) {
    let one = post(host, message("refused", "a").to_string().as_bytes());
    assert_eq!(one.status, 503, "{}", one.text());
    assert_eq!(one.json().unwrap()["code"], "disk-low");
    assert!(one.header("retry-after").is_some());
    let lines = format!("{}\n", json!({ "id": "refused" }));
    let headers = [("content-type", "application/x-ndjson")];
    let batch = host
        .http("POST", "/v1/messages/batch", &headers, lines.as_bytes())
        .unwrap();
    assert_eq!(batch.status, 503, "{}", batch.text());
    let absent = host.http("GET", "/v1/messages/refused", &[], b"").unwrap();
    assert_eq!(absent.status, 404);
}

/// Why health says that it is degraded.
fn degraded(host: &Host) -> Vec<String> {
    let reasons = || health(host).1;
    reasons()
        .into_iter()
        .filter(|(name, _)| name == "disk")
        .map(|(_, why)| why)
        .collect()
}
