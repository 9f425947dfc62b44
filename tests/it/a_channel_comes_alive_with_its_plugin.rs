use wharf_testkit::process::{Host, eventually, shipped};
use wharf_testkit::sink::Sink;

use crate::folder::{
    log_lines, reason, version, wait_for_file, wait_until_healthy, wait_until_loaded,
    wait_until_only_these_are_in_memory,
};
use crate::support::{SOON, assert_has, channel, guest, host, message, send, steps, wait_for};

/// Goal: a channel and a hook whose plugins are missing or bad at the start begin to work when good
/// files come, with what has waited for them and without a restart; the hook hears of what happened
/// before, and of nothing twice when it is swapped later.
#[test]
fn what_waited_is_delivered_and_told() {
    let sink = Sink::start().unwrap();
    let config = channel("a", &sink.url("/"), "convert = [\"shape\"]")
        + "[hooks]\npost-event = [\"audit\"]\n";
    let host = host(&config)
        .plugin("shape", "no component")
        .plugin("audit", guest("old-draft"))
        .start()
        .unwrap();
    assert_has(
        &reason(&host, "channel a"),
        &["\"http\"", "its deliveries wait"],
    );
    assert_has(
        &reason(&host, "post-event audit"),
        &["was refused", "another draft"],
    );
    send(&host, &message("m1", "a"));
    assert_eq!(steps(&host, "m1"), ["queued accepted"]);

    // One is not enough.
    host.put_plugin("http", shipped("http")).unwrap();
    wait_for_file(&host, "http", |file| file["state"] == "loaded");
    assert_eq!(steps(&host, "m1"), ["queued accepted"]);
    host.put_plugin("shape", guest("outcomes")).unwrap();
    wait_for(&host, "m1", "delivered");
    assert_eq!(steps(&host, "m1"), ["queued accepted", "delivered sent"]);
    assert_eq!(&*sink.requests().pop().unwrap().body, b"wrapped:m1");

    let audit = shipped("audit");
    host.put_plugin("audit", &audit).unwrap();
    wait_until_told(&host, "audit", "m1", "delivered");
    wait_until_healthy(&host);

    // Another version, whose lines can be told apart, hears of what comes next and of nothing else.
    let louder = version(&audit, "transition", "TRANSITION");
    host.put_plugin("audit", &louder).unwrap();
    wait_until_loaded(&host, "audit", &louder);
    send(&host, &message("m2", "a"));
    wait_until_told(&host, "audit", "m2", "delivered");
    for id in ["m1", "m2"] {
        let message = format!("message_id={id}");
        for status in ["queued", "delivered"] {
            let told = log_lines(
                &host,
                &["post-event audit", &message, &format!("to={status}")],
            );
            assert_eq!(told.len(), 1, "{id} {status}: {told:#?}");
        }
    }
    let running = [&*shipped("http"), &*guest("outcomes"), &*louder];
    wait_until_only_these_are_in_memory(&host, &running);
}

fn wait_until_told(host: &Host, hook: &str, id: &str, status: &str) {
    let parts = [
        format!("post-event {hook}"),
        format!("message_id={id}"),
        format!("to={status}"),
    ];
    let parts: Vec<_> = parts.iter().map(String::as_str).collect();
    let told = eventually(SOON, || (!log_lines(host, &parts).is_empty()).then_some(()));
    assert!(told.is_some(), "nothing of {parts:?} in {}", host.log());
}
