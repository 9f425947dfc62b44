use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt as _;

use serde_json::{Value, json};
use wharf_testkit::process::{Host, eventually};
use wharf_testkit::sink::{Answer, Sink};

use crate::support::{
    SOON, assert_has, channel, ended, guest, health, host, message, post_batch, steps, wait_for,
};

const SIGABRT: i32 = 6;

/// Goal (D8): a message with which the process ends each time that it is attempted is tried alone in the end, and then
/// given up: the host comes up without it, all others are delivered, and nothing is lost. An operator can have it sent
/// again.
///
/// The process is killed as soon as the receiver has the message: to the store that is the message killing it, and the
/// host needs no way to be told to die.
#[test]
fn and_all_others_are_delivered() {
    let sink = Sink::start().unwrap();
    sink.script("/killer", [Answer::silence()]);
    let grant = format!("[plugins.http]\nallow-http = [\"{}\"]\n", sink.url(""));
    let config = channel("a", &sink.url("/a"), "parallelism = 4")
        + &channel("b", &sink.url("/b"), "")
        + &grant;
    let mut host = host(&config).shipped("http").start().unwrap();
    let killer = json!({
        "id": "killer", "payload": "killer",
        "attributes": { "to": "a", "endpoint": sink.url("/killer") },
    });
    let mut others = Vec::new();
    let mut send_others = |host: &Host, first: Option<&Value>| {
        let round = others.len();
        let new: Vec<_> = (round..round + 12).map(|n| format!("m{n}")).collect();
        let to = |n: usize| if n.is_multiple_of(3) { "b" } else { "a" };
        let messages = new.iter().enumerate().map(|(n, id)| message(id, to(n)));
        let messages: Vec<_> = first.cloned().into_iter().chain(messages).collect();
        let answers = post_batch(host, &messages);
        assert!(
            answers.iter().all(|line| line["status"] == 202),
            "{answers:?}"
        );
        others.extend(new);
        others.clone()
    };
    let kills = |count: usize| {
        let came = |all: &[wharf_testkit::sink::Received]| {
            all.iter().filter(|one| one.path == "/killer").count() == count
        };
        sink.wait_until(SOON, came).unwrap();
    };

    // The first time it is one of many; the second time the claims are on disk before they are attempted; the third
    // time it is tried alone.
    send_others(&host, Some(&killer));
    for count in 1..=3 {
        kills(count);
        if count < 3 {
            send_others(&host, None);
        }
        host.kill_9().unwrap();
        host.restart().unwrap();
    }

    let view = wait_for(&host, "killer", "dead");
    assert_eq!(view["deliveries"][0]["attempts"], 0);
    assert_eq!(
        steps(&host, "killer"),
        ["queued accepted", "dead crashed-host"]
    );
    let others = send_others(&host, None);
    for id in &others {
        wait_for(&host, id, "delivered");
    }
    let requests = sink.requests();
    let bodies = requests
        .iter()
        .map(|one| String::from_utf8(one.body.to_vec()).unwrap());
    let came: BTreeSet<_> = bodies.collect();
    let sent = others.iter().cloned().chain(["killer".to_owned()]);
    assert_eq!(came, sent.collect());
    kills(3);
    let (_, said, _) = ended(host.cli(["dead-letter", "list"]).unwrap());
    assert_has(&said, &["killer", "crashed-host"]);

    // It is not forgotten: whoever has found out why may send it again.
    sink.script("/killer", [Answer::status(200)]);
    assert_eq!(
        ended(host.cli(["dead-letter", "redrive", "killer"]).unwrap()).0,
        0
    );
    wait_for(&host, "killer", "delivered");
    assert!(host.terminate().unwrap().success());
}

/// Goal (D8): a guest that makes the host abort ends the process at each start, alone in the end, until its message is
/// dead with `crashed-host`; what waited beside it is delivered.
#[test]
fn a_guest_that_aborts_the_host_is_given_up() {
    let sink = Sink::start().unwrap();
    let convert = "convert = [\"misbehave\"]\nparallelism = 4";
    let config = channel("a", &sink.url("/a"), convert) + &channel("b", &sink.url("/b"), "");
    let mut host = host(&config)
        .shipped("http")
        .plugin("misbehave", guest("misbehave"))
        .env("WHARF_TEST_ABORT_ON_LOG", "abort the host")
        .start()
        .unwrap();
    let killer = json!({ "id": "killer", "attributes": { "to": "a", "misbehave": "abort-host" } });
    let others: Vec<_> = (0..12).map(|n| format!("m{n}")).collect();
    let to = |n: usize| if n.is_multiple_of(3) { "b" } else { "a" };
    let messages = others.iter().enumerate().map(|(n, id)| message(id, to(n)));
    let messages: Vec<_> = std::iter::once(killer).chain(messages).collect();
    // The process may be gone before it has answered; what it took is on disk all the same.
    let lines: String = messages.iter().map(|line| format!("{line}\n")).collect();
    let headers = [("content-type", "application/x-ndjson")];
    drop(host.http("POST", "/v1/messages/batch", &headers, lines.as_bytes()));

    // The first time nothing was claimed on disk, then it was one of several, then it is alone.
    let mut starts_count = 1;
    while !is_given_up(&host) {
        let status = host.wait().unwrap();
        assert_eq!(status.signal(), Some(SIGABRT), "{status}: {}", host.log());
        starts_count += 1;
        // It may abort again before it is ready.
        while host.restart().is_err() {
            starts_count += 1;
            assert!(starts_count <= 4, "{}", host.log());
            drop(host.wait());
        }
    }
    assert_eq!(starts_count, 4);
    for id in &others {
        wait_for(&host, id, "delivered");
    }
    wait_for(&host, "killer", "dead");
    assert_eq!(
        steps(&host, "killer"),
        ["queued accepted", "dead crashed-host"]
    );
    assert_eq!(health(&host).1, []);
}

/// Once the killer is dead, or the host has ended.
#[track_caller]
fn is_given_up(host: &Host) -> bool {
    let look = || match host.http("GET", "/v1/messages/killer", &[], b"") {
        Ok(answer) => (answer.json().ok()?["status"] == "dead").then_some(true),
        Err(_) => Some(false),
    };
    eventually(SOON, look).unwrap_or_else(|| panic!("it neither ends nor goes on: {}", host.log()))
}
