use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};

use wharf_testkit::process::{Host, exchange};
use wharf_testkit::sink::Sink;

use crate::support::{JSON, assert_has, channel, ended, get, host, message, send, wait_for};

/// Goal: a copy of a running store is whole and of one moment while messages come and go: it passes its check, and a host
/// that is given it has all that was answered before it was asked for, and goes on.
#[test]
fn a_copy_is_whole_while_messages_come() {
    let sink = Sink::start().unwrap();
    let mut host = host(&channel("a", &sink.url("/"), ""))
        .shipped("http")
        .start()
        .unwrap();
    for number in 0..50 {
        send(&host, &message(&format!("before-{number}"), "a"));
    }
    let (address, is_copied) = (host.address(), AtomicBool::new(false));
    let (copied, sent_count) = std::thread::scope(|scope| {
        let sender = scope.spawn(|| {
            let mut count = 0;
            while !is_copied.load(Ordering::Relaxed) {
                let body = message(&format!("meanwhile-{count}"), "a").to_string();
                let answer = exchange(address, "POST", "/v1/messages", &[JSON], body.as_bytes());
                assert_eq!(answer.unwrap().status, 202);
                count += 1;
            }
            count
        });
        let copied = ended(host.cli(["store", "backup", "copy.redb"]).unwrap());
        is_copied.store(true, Ordering::Relaxed);
        (copied, sender.join().unwrap())
    });
    assert_eq!(copied.0, 0, "{}", copied.2);
    assert!(sent_count > 0);

    let (code, said, error) = ended(host.cli(["store", "check", "--file", "copy.redb"]).unwrap());
    assert_eq!(code, 0, "{said}{error}");
    assert_has(&said, &["copy.redb: fine: "]);
    // Nothing is overwritten, and nothing lies beside it.
    let (code, _, error) = ended(host.cli(["store", "backup", "copy.redb"]).unwrap());
    assert_eq!(code, 1);
    assert_has(
        &error,
        &["copy.redb is there already", "nothing is overwritten"],
    );
    assert_eq!(partial(&host), Vec::<String>::new());

    host.terminate().unwrap();
    fs::rename(host.path("copy.redb"), host.path("wharf.redb")).unwrap();
    host.restart().unwrap();
    for number in 0..50 {
        wait_for(&host, &format!("before-{number}"), "delivered");
    }
    send(&host, &message("after", "a"));
    wait_for(&host, "after", "delivered");
}

/// Goal: without a host the file itself is copied; what the host is told of it is told of the file.
#[test]
fn a_file_is_copied_without_a_host() {
    let sink = Sink::start().unwrap();
    let mut host = host(&channel("a", &sink.url("/"), ""))
        .shipped("http")
        .start()
        .unwrap();
    send(&host, &message("m1", "a"));
    wait_for(&host, "m1", "delivered");
    let running = stat(&host, &[]);
    assert_eq!(running["stop"], "running");
    assert_eq!(running["deliveries"]["delivered"], 1);
    host.kill_9().unwrap();
    let killed = stat(&host, &[]);
    assert_eq!(killed["stop"], "unclean");
    assert_eq!(killed["messages"], running["messages"]);
    let tables = killed["tables"].as_array().unwrap();
    for name in ["delivery", "journal", "order"] {
        assert!(tables.iter().any(|table| table["name"] == name), "{name}");
    }
    assert!(killed["free_bytes"].as_u64().unwrap() < killed["file_bytes"].as_u64().unwrap());
    assert!(stat(&host, &["--quick"])["free_bytes"].is_null());
    let (code, _, error) = ended(host.cli(["store", "backup", "copy.redb"]).unwrap());
    assert_eq!(code, 0, "{error}");
    let of_copy = stat(&host, &["--file", "copy.redb"]);
    assert_eq!(of_copy["stop"], "clean");
    assert_eq!(of_copy["last_row"], killed["last_row"]);
}

fn stat(host: &Host, more: &[&str]) -> serde_json::Value {
    let arguments = ["store", "stat", "--json"].iter().chain(more);
    let (code, said, error) = ended(host.cli(arguments).unwrap());
    assert_eq!(code, 0, "{error}");
    serde_json::from_str(&said).unwrap()
}

/// Goal: a copy takes room that is kept for messages from nobody, and a token that may operate.
#[test]
fn a_copy_takes_room_and_a_scope() {
    let sink = Sink::start().unwrap();
    let config = "[store]\naccept-free = \"1000000TiB\"\n\
                  [[api.token]]\nname = \"dashboard\"\ntoken = \"d4sh\"\nscopes = [\"read\"]\n\
                  [[api.token]]\nname = \"oncall\"\ntoken = \"0ncall\"\nscopes = [\"operate\"]\n";
    let host = host(&(channel("a", &sink.url("/"), "") + config))
        .shipped("http")
        .start()
        .unwrap();
    for (token, expected) in [
        ("d4sh", "has no scope `operate`"),
        ("0ncall", "are kept by store.accept-free"),
    ] {
        let asked = host.cli(["store", "backup", "copy.redb", "--token", token]);
        let (code, _, error) = ended(asked.unwrap());
        assert_eq!(code, 1);
        assert_has(&error, &[expected]);
    }
    assert!(!host.path("copy.redb").exists());
    assert_eq!(partial(&host), Vec::<String>::new());
}

/// Goal: what breaks off, or is not what was sent, leaves nothing behind that looks like a copy.
#[test]
fn a_broken_copy_leaves_nothing() {
    let host = host("").build().unwrap();
    let digest_of_nothing = "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:";
    for (body, length, digest, expected) in [
        ("half", 8, digest_of_nothing, "broke off after 4 of 8 bytes"),
        ("else", 4, digest_of_nothing, "its digest differs"),
        ("", 0, "", "that is no wharf answer"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let answered = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).unwrap();
            let digest = match digest {
                "" => String::new(),
                digest => format!("repr-digest: {digest}\r\n"),
            };
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n{digest}\r\n");
            stream.write_all((head + body).as_bytes()).unwrap();
        });
        let asked = host.cli(["store", "backup", "copy.redb", "--url", &url]);
        let (code, _, error) = ended(asked.unwrap());
        answered.join().unwrap();
        assert_eq!(code, 1);
        assert_has(&error, &[expected]);
        assert!(!host.path("copy.redb").exists());
        assert_eq!(partial(&host), Vec::<String>::new());
    }
}

/// Files in the folder that are none that anyone asked for.
fn partial(host: &Host) -> Vec<String> {
    let entries = fs::read_dir(host.folder()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.contains("partial")).collect()
}

/// What a message looks like is not changed by a look at the store.
#[test]
fn looking_changes_nothing_of_what_runs() {
    let sink = Sink::start().unwrap();
    let host = host(&channel("a", &sink.url("/"), ""))
        .shipped("http")
        .start()
        .unwrap();
    send(&host, &message("m1", "a"));
    let view = wait_for(&host, "m1", "delivered");
    stat(&host, &[]);
    ended(host.cli(["store", "backup", "copy.redb"]).unwrap());
    assert_eq!(get(&host, "m1"), view);
    let answer = host
        .http("GET", "/v1/store?sizes=perhaps", &[], b"")
        .unwrap();
    assert_eq!(answer.status, 400);
    assert_has(&answer.text(), &["sizes: it takes true or false"]);
}
