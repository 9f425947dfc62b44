use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::Stdio;

use nix::pty::openpty;
use serde_json::{Value, json};
use wharf_testkit::process::Host;
use wharf_testkit::sink::Sink;

use crate::support::{SOON, assert_has, channel, ended, get, host, message};

/// Goal: `wharf send --ndjson` sends what it has read while there is more to come, answers every line
/// under its own number, and tells by its exit code that some were refused.
#[test]
fn what_was_read_is_sent_before_the_rest() {
    let sink = Sink::start().unwrap();
    let host = host(&channel("a", &sink.url("/"), ""))
        .shipped("http")
        .start()
        .unwrap();
    let mut sending = host
        .command()
        .args(["send", "--ndjson"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = sending.stdin.take().unwrap();
    let mut output = BufReader::new(sending.stdout.take().unwrap()).lines();
    let lines = |from: usize, to: usize| -> String {
        let lines = (from..to).map(|n| message(&format!("b{n}"), "a"));
        lines.map(|line| format!("{line}\n")).collect()
    };
    // A whole piece and a beginning: the piece is answered, and delivered, while the input is open.
    input.write_all(lines(0, 600).as_bytes()).unwrap();
    for n in 0..500 {
        assert_eq!(output.next().unwrap().unwrap(), format!("b{n}"));
    }
    sink.wait_for_count(SOON, 500).unwrap();

    input.write_all(b"{\"id\":7}\n\n").unwrap();
    input.write_all(lines(602, 1200).as_bytes()).unwrap();
    input.write_all(b"nonsense").unwrap();
    drop(input);
    assert_eq!(output.count(), 1198 - 500);
    let mut error = String::new();
    let mut said = sending.stderr.take().unwrap();
    said.read_to_string(&mut error).unwrap();
    assert_eq!(sending.wait().unwrap().code(), Some(1));
    let numbered = ["line 601: id", "line 1201: the body is no JSON object"];
    assert_has(&error, &numbered);
    assert_has(&error, &["2 of the batch were refused", "try: "]);
    sink.wait_for_count(SOON, 1198).unwrap();
}

/// Goal: with a key a batch, and a message, can be sent again; the ids do not depend on the pieces.
#[test]
fn with_a_key_it_can_be_sent_again() {
    let host = host("").start().unwrap();
    let batch: String = (0..1200)
        .map(|n| format!("{{\"payload\":\"{n}\"}}\n"))
        .collect();
    let send = |batch: &str| {
        let args = [
            "send",
            "--ndjson",
            "--json",
            "--idempotency-key",
            "a \"b\" \\",
        ];
        let (code, said, error) = ended(host.cli_with_input(args, batch.as_bytes()).unwrap());
        assert_eq!((code, error.as_str()), (0, ""));
        let answers = said.lines().map(|line| serde_json::from_str(line).unwrap());
        answers.collect::<Vec<Value>>()
    };
    let first = send(&batch);
    let again = send(&batch);
    for (line, (first, again)) in (1..).zip(first.iter().zip(&again)) {
        assert_eq!(
            (&first["line"], &again["line"]),
            (&json!(line), &json!(line))
        );
        assert_eq!(first["accepted"]["id"], again["accepted"]["id"]);
        assert_eq!(first["accepted"]["duplicate"], false);
        assert_eq!(again["accepted"]["duplicate"], true);
    }
    assert_eq!(again.len(), 1200);

    let args = ["send", "--idempotency-key", "k"];
    let once = ended(host.cli_with_input(args, b"x").unwrap());
    let twice = ended(host.cli_with_input(args, b"x").unwrap());
    assert_eq!((once.0, &once.1), (0, &twice.1));
    assert_has(&twice.2, &["accepted before"]);
    let other = ended(host.cli_with_input(args, b"y").unwrap());
    assert_eq!(other.0, 1);
    assert_has(
        &other.2,
        &["idempotency-key-reused", "try: send what was sent"],
    );
    for args in [
        &["send", "--idempotency-key", "k", "--id", "m1"][..],
        &["send", "--idempotency-key", ""],
        &["send", "--idempotency-key", "é"],
        &["send", "--cloudevent", "--ndjson"],
        &["send", "--cloudevent", "--attr", "a=b"],
    ] {
        assert_eq!(ended(host.cli(args).unwrap()).0, 2, "{args:?}");
    }
}

/// Goal: `wharf send --cloudevent` sends an event as it is.
#[test]
fn an_event_is_sent_as_it_is() {
    let host = host("").start().unwrap();
    let event = json!({
        "specversion": "1.0", "id": "1", "source": "/s", "type": "t", "data": { "n": 1 }
    });
    host.write("event.json", event.to_string()).unwrap();
    let args = ["send", "--cloudevent", "--file", "event.json"];
    let (code, said, error) = ended(host.cli(args).unwrap());
    assert_eq!(code, 0, "{error}");
    let message = get(&host, said.trim());
    assert_eq!(
        message["attributes"],
        json!({ "id": "1", "source": "/s", "type": "t" })
    );
    let refused = ended(
        host.cli_with_input(["send", "--cloudevent"], b"{}")
            .unwrap(),
    );
    assert_eq!(refused.0, 1);
    assert_has(&refused.2, &["specversion: it is missing", "invalid-field"]);
}

/// Goal: how far it is, is drawn where standard error is a terminal, and nowhere else.
#[test]
fn progress_is_for_terminals() {
    let host = host("").start().unwrap();
    let batch: String = (0..1200)
        .map(|n| format!("{{\"payload\":\"{n}\"}}\n"))
        .collect();
    host.write("batch.ndjson", &batch).unwrap();
    let (code, said, error) = ended(send_file(&host).output().unwrap());
    assert_eq!((code, error.as_str()), (0, ""));
    assert_eq!(said.lines().count(), 1200);

    let terminal = openpty(None, None).unwrap();
    let (mut screen, slave) = (File::from(terminal.master), terminal.slave);
    let reader = std::thread::spawn(move || {
        let mut shown = Vec::new();
        // Linux ends it with an error once the other side is closed.
        let _ = screen.read_to_end(&mut shown);
        String::from_utf8_lossy(&shown).into_owned()
    });
    let mut command = send_file(&host);
    command.stdout(Stdio::piped()).stderr(slave);
    let sending = command.spawn().unwrap();
    // It holds the other side of the terminal.
    drop(command);
    let output = sending.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let ids = String::from_utf8(output.stdout).unwrap();
    assert_eq!(ids.lines().count(), 1200);
    let shown = reader.join().unwrap();
    assert_has(&shown, &["1,200 accepted"]);
    assert!(!shown.contains("refused"), "{shown}");
}

fn send_file(host: &Host) -> std::process::Command {
    let mut command = host.command();
    command.args(["send", "--ndjson", "--file", "batch.ndjson"]);
    command.env("TERM", "xterm").stdin(Stdio::null());
    command
}
