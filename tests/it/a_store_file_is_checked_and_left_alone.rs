use std::fs;

use wharf_testkit::process::Host;
use wharf_testkit::sink::Sink;

use crate::support::{assert_has, channel, ended, host, message, send, wait_for};

fn with_messages(sink: &Sink) -> Host {
    let host = host(&channel("a", &sink.url("/"), ""))
        .shipped("http")
        .start()
        .unwrap();
    for number in 0..20 {
        send(&host, &message(&format!("m{number}"), "a"));
    }
    for number in 0..20 {
        wait_for(&host, &format!("m{number}"), "delivered");
    }
    host
}

/// What a check of the store ends with, while no byte of the file changes.
#[track_caller]
fn check(host: &Host) -> (i32, String, String) {
    let before = fs::read(host.path("wharf.redb")).unwrap();
    let checked = ended(host.cli(["store", "check"]).unwrap());
    let after = fs::read(host.path("wharf.redb")).unwrap();
    assert!(before == after, "the check changed the file");
    checked
}

/// Goal: a check says all that is wrong, changes nothing of a file that was closed, killed or damaged, and is no start:
/// the next one finds what the last stop left.
#[test]
fn a_check_changes_nothing() {
    let sink = Sink::start().unwrap();
    let mut host = with_messages(&sink);
    let (code, _, error) = ended(host.cli(["store", "check"]).unwrap());
    assert_eq!(code, 1);
    assert_has(&error, &["in use by another process", "wharf store backup"]);

    host.kill_9().unwrap();
    let (code, said, error) = check(&host);
    assert_eq!(code, 0, "{error}");
    assert_has(&said, &["wharf.redb: fine: 20 messages, 20 deliveries"]);
    let json = ended(host.cli(["store", "check", "--json"]).unwrap());
    assert_has(&json.1, &["\"ok\": true", "\"messages\": 20"]);
    host.restart().unwrap();
    assert_has(&host.log(), &["clean_stop=false"]);

    host.terminate().unwrap();
    assert_eq!(check(&host).0, 0);
    let (code, _, error) = ended(host.cli(["store", "stat"]).unwrap());
    assert_eq!(code, 0, "{error}");

    // A page whose checksum is wrong: which one, the check has to find out.
    let whole = fs::read(host.path("wharf.redb")).unwrap();
    let mut found = 0;
    for page in 1..whole.len() / 4096 {
        let mut damaged = whole.clone();
        damaged[page * 4096 + 8] ^= 0xff;
        fs::write(host.path("wharf.redb"), &damaged).unwrap();
        let (code, _, error) = check(&host);
        if code != 0 {
            assert_eq!(code, 1);
            assert_has(&error, &["is damaged", "put a backup in its place"]);
            found += 1;
        }
    }
    assert!(found > 5, "{found} damaged pages were found");
}

/// Goal: compacting says what it gave back, keeps what is stored, and takes a file that no host runs on.
#[test]
fn compacting_says_what_it_gave_back() {
    let sink = Sink::start().unwrap();
    let mut host = with_messages(&sink);
    let (code, _, error) = ended(host.cli(["store", "compact"]).unwrap());
    assert_eq!(code, 1);
    assert_has(&error, &["in use by another process"]);
    host.terminate().unwrap();
    let before = fs::metadata(host.path("wharf.redb")).unwrap().len();
    let (code, said, error) = ended(host.cli(["store", "compact", "--json"]).unwrap());
    assert_eq!(code, 0, "{error}");
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    let after = fs::metadata(host.path("wharf.redb")).unwrap().len();
    assert_eq!(said["before_bytes"], before);
    assert_eq!(said["after_bytes"], after);
    assert!(after <= before);
    assert_eq!(check(&host).0, 0);
    host.restart().unwrap();
    assert_has(&host.log(), &["clean_stop=true"]);
    wait_for(&host, "m0", "delivered");
}
