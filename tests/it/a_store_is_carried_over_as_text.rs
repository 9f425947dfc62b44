use std::fs;

use wharf_testkit::process::Host;
use wharf_testkit::sink::{Answer, Sink};

use crate::support::{assert_has, channel, ended, get, host, journal, message, send, wait_for};

/// A store with something delivered, something that waits to be sent again, something dead, and something that no route
/// matched, of a host that is stopped.
fn stopped(good: &Sink, bad: &Sink) -> Host {
    let config = channel("good", &good.url("/"), "")
        + &channel("bad", &bad.url("/"), "retry.schedule = [\"1h\"]")
        + &channel("dead", &bad.url("/"), "retry.attempts = 1");
    bad.otherwise(Answer::status(503));
    let mut host = host(&config).shipped("http").start().unwrap();
    for (to, _) in STANDS {
        send(&host, &message(&format!("m-{to}"), to));
    }
    for (to, status) in STANDS {
        wait_for(&host, &format!("m-{to}"), status);
    }
    host.terminate().unwrap();
    host
}

const STANDS: [(&str, &str); 4] = [
    ("good", "delivered"),
    ("bad", "retrying"),
    ("dead", "dead"),
    ("nowhere", "unroutable"),
];

#[track_caller]
fn done(host: &Host, arguments: &[&str]) -> String {
    let (code, said, error) = ended(host.cli(arguments).unwrap());
    assert_eq!(code, 0, "{arguments:?}: {said}{error}");
    said
}

/// Goal: a host that is given an import has what the first one had: the same messages, statuses, due times and journal,
/// the same ids known; a second export is the same text.
#[test]
fn a_host_goes_on_from_an_import() {
    let (good, bad) = (Sink::start().unwrap(), Sink::start().unwrap());
    let mut host = stopped(&good, &bad);
    host.restart().unwrap();
    let look = |host: &Host| {
        STANDS.map(|(to, _)| {
            let id = format!("m-{to}");
            (get(host, &id), journal(host, &id))
        })
    };
    let before = look(&host);
    host.terminate().unwrap();

    done(&host, &["store", "export", "all.ndjson"]);
    let said = done(
        &host,
        &["store", "import", "all.ndjson", "--file", "new.redb"],
    );
    assert_has(&said, &["new.redb: 4 messages, 3 deliveries", "checked"]);
    let again = done(&host, &["store", "export", "-", "--file", "new.redb"]);
    assert_eq!(again, fs::read_to_string(host.path("all.ndjson")).unwrap());

    fs::rename(host.path("new.redb"), host.path("wharf.redb")).unwrap();
    host.restart().unwrap();
    assert_eq!(look(&host), before);
    let answer = send(&host, &message("m-good", "good"));
    assert_eq!(answer["duplicate"], true);
    send(&host, &message("m-new", "good"));
    wait_for(&host, "m-new", "delivered");
    // What was delivered before is not sent again.
    assert_eq!((good.count(), bad.count()), (2, 2));
}

/// Goal: what is wrong with an export is said by line and field, on the command line too, and leaves no file; a host that
/// runs is in the way of an export, which says what to do.
#[test]
fn bad_input_and_a_running_host_are_named() {
    let (good, bad) = (Sink::start().unwrap(), Sink::start().unwrap());
    let mut host = stopped(&good, &bad);
    let text = done(&host, &["store", "export", "-"]);
    let broken = text.replacen("\"status\":\"retrying\"", "\"status\":\"tired\"", 1);
    let imported = host.cli_with_input(
        ["store", "import", "-", "--file", "new.redb"],
        broken.as_bytes(),
    );
    let (code, _, error) = ended(imported.unwrap());
    assert_eq!(code, 1);
    let at = text
        .lines()
        .position(|line| line.contains("\"status\":\"retrying\""));
    let expected = format!(
        "line {}: delivery.status: unknown variant `tired`",
        at.unwrap() + 1
    );
    assert_has(&error, &[&expected, "try: "]);
    let contradiction = text.replacen("\"status\":\"retrying\"", "\"status\":\"rejected\"", 1);
    let imported = host.cli_with_input(
        ["store", "import", "-", "--file", "new.redb"],
        contradiction.as_bytes(),
    );
    let (code, _, error) = ended(imported.unwrap());
    assert_eq!(code, 1);
    assert_has(&error, &["the journal ends at", "does not fit together"]);
    assert!(!host.path("new.redb").exists());

    host.restart().unwrap();
    let (code, _, error) = ended(host.cli(["store", "export", "all.ndjson"]).unwrap());
    assert_eq!(code, 1);
    assert_has(&error, &["in use by another process", "wharf store backup"]);
    assert!(!host.path("all.ndjson").exists());
}
