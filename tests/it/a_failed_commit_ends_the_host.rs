use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use wharf_testkit::process::Host;
use wharf_testkit::sink::Sink;

use crate::support::{assert_has, channel, ended, host, post, wait_for};

/// What the file may grow by: some messages of the test.
const ROOM_BYTES: u64 = 1 << 20;

/// A write past the limit of a file's size is an error then, and no signal.
const SCRIPT: &str = "#!/bin/sh\ntrap '' XFSZ\nexec \"$BINARY\" \"$@\"\n";

/// Goal (A5): when the store's file cannot grow any more, a commit fails: its sender is told that it is unknown, the
/// process ends with its exit code and says what to do, and the file passes its check. With room again nothing is lost
/// that was answered 202, and what was unknown is sent again with the same id.
#[test]
fn what_was_answered_is_there_with_room_again() {
    let sink = Sink::start().unwrap();
    let config = channel("a", &sink.url("/"), "");
    let tools = host("").file("limited", SCRIPT).build().unwrap();
    let binary = tools.command().get_program().to_str().unwrap().to_owned();
    let script = tools.path("limited");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let mut host = host(&config)
        .shipped("http")
        .binary(&script)
        .env("BINARY", &binary)
        .start()
        .unwrap();

    let length = fs::metadata(host.path("wharf.redb")).unwrap().len();
    let pid = Pid::from_raw(host.pid() as i32).unwrap();
    let limit = Rlimit {
        current: Some(length + ROOM_BYTES),
        maximum: None,
    };
    prlimit(Some(pid), Resource::Fsize, limit).unwrap();

    let (mut answered, mut unknown) = (Vec::new(), Vec::new());
    let payload = "x".repeat(50_000);
    for number in 0.. {
        assert!(number < 1000, "the file is full long before");
        let id = format!("m{number}");
        let body = serde_json::json!({ "id": id, "attributes": { "to": "a" }, "payload": payload });
        let answer = post(&host, body.to_string().as_bytes());
        match answer.status {
            202 => answered.push(id),
            503 => {
                assert_eq!(answer.json().unwrap()["code"], "commit-unknown");
                assert!(answer.header("retry-after").is_some());
                unknown.push(body);
                break;
            }
            other => panic!("{other}: {}", answer.text()),
        }
    }
    let status = host.wait().unwrap();
    assert_eq!(status.code(), Some(1), "{status}");
    assert_has(
        &host.log(),
        &[
            "the store could not commit",
            "File too large",
            "error: a commit failed, so the process ends",
            "try: look for a full or failing disk",
        ],
    );
    let (code, said, error) = ended(host.cli(["store", "check"]).unwrap());
    assert_eq!(code, 0, "{said}{error}");

    host.restart().unwrap();
    assert!(!answered.is_empty());
    for body in &unknown {
        let answer = post(&host, body.to_string().as_bytes());
        assert_eq!(answer.status, 202, "{}", answer.text());
        answered.push(body["id"].as_str().unwrap().to_owned());
    }
    for id in &answered {
        wait_for(&host, id, "delivered");
    }
    let all = |host: &Host| host.http("GET", "/v1/store", &[], b"").unwrap();
    let stat = all(&host).json().unwrap();
    assert_eq!(stat["messages"], answered.len());
}
