use std::net::TcpListener;
use std::process::Stdio;

use wharf_testkit::process::Host;
use wharf_testkit::sink::Sink;

use crate::support::{SOON, assert_has, channel, ended, host, message, wait_for};

/// Goal: exit codes are 0, 1 and 2; an error names what is wrong and ends with what to try.
#[test]
fn errors_help_and_exit_codes_tell() {
    let sink = Sink::start().unwrap();
    let mut host = host(&channel("a", &sink.url("/"), ""))
        .shipped("http")
        .start()
        .unwrap();
    check_fails(
        &host,
        &["get", "nope"],
        "",
        1,
        &["message-not-found", "try: check the id"],
    );
    check_fails(&host, &["journal", "a.b"], "", 1, &["invalid-id", "try: "]);
    check_fails(
        &host,
        &["send", "--file", "none.json"],
        "",
        1,
        &["none.json", "try: "],
    );
    check_fails(
        &host,
        &["send", "--id", "a.b"],
        "x",
        1,
        &["invalid-id", "try: "],
    );
    check_fails(
        &host,
        &["get", "x", "--url", "http://127.0.0.1:1"],
        "",
        1,
        &["http://127.0.0.1:1", "try: start a host"],
    );
    let foreign = sink.url("");
    check_fails(
        &host,
        &["get", "x", "--url", &foreign],
        "",
        1,
        &["no wharf answer", "try: "],
    );
    check_fails(&host, &["sned"], "", 2, &["sned", "send", "--help"]);
    check_fails(&host, &["send", "--attr", "novalue"], "", 2, &["key=value"]);
    check_fails(
        &host,
        &["send", "--ndjson", "--id", "x"],
        "",
        2,
        &["--ndjson"],
    );
    check_fails(&host, &["get"], "", 2, &["<ID>"]);
    check_fails(
        &host,
        &["serve", "--log", "a=b=c"],
        "",
        2,
        &["--log", "try: "],
    );

    // One store, one host; one port, one listener.
    check_fails(&host, &["serve"], "", 1, &["wharf.redb", "try: "]);
    let address = host.address().to_string();
    let second = ["serve", "--store", "other.redb", "--listen", &address];
    check_fails(&host, &second, "", 1, &["cannot listen", &address, "try: "]);

    let first = ended(
        host.cli_with_input(["send", "--id", "m1", "--attr", "to=a"], b"x")
            .unwrap(),
    );
    assert_eq!(first.0, 0, "{}", first.2);
    check_fails(
        &host,
        &["send", "--id", "m1"],
        "y",
        1,
        &["id-conflict", "m1", "try: "],
    );
    wait_for(&host, "m1", "delivered");
    host.terminate().unwrap();
    check_fails(
        &host,
        &["why", "m1"],
        "",
        1,
        &["no answer", "try: start a host with `wharf serve`"],
    );
}

/// Goal: a reader that has closed the pipe is no failure, and does not keep the rest of a batch from
/// being sent. A connection that breaks is one, and is not taken for the other.
#[test]
fn a_closed_pipe_is_no_failure_and_a_broken_connection_is() {
    let sink = Sink::start().unwrap();
    let host = host(&channel("a", &sink.url("/"), ""))
        .shipped("http")
        .start()
        .unwrap();
    let batch: String = (0..1200)
        .map(|n| format!("{}\n", message(&format!("m{n}"), "a")))
        .collect();
    host.write("batch.ndjson", batch).unwrap();
    for args in [
        &["send", "--ndjson", "--file", "batch.ndjson"][..],
        &["why", "m1"],
        &["get", "m1", "--json"],
        &["plugin", "list"],
        &["config", "check"],
        &["--help"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = host.command();
        command
            .args(args)
            .stdin(Stdio::null())
            .stdout(writer)
            .stderr(Stdio::piped());
        let output = command.spawn().unwrap().wait_with_output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), &*error), (Some(0), ""), "{args:?}");
    }
    sink.wait_for_count(SOON, 1200).unwrap();

    // Too large for the host, which says so; and a receiver that hangs up in the middle.
    let large = "x".repeat(8 << 20);
    check_fails(&host, &["send"], &large, 1, &["payload-too-large", "try: "]);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let hangs_up = std::thread::spawn(move || drop(listener.accept().unwrap()));
    check_fails(
        &host,
        &["send", "--url", &url],
        &large,
        1,
        &["no answer", &url, "try: "],
    );
    hangs_up.join().unwrap();
}

#[track_caller]
fn check_fails(host: &Host, args: &[&str], input: &str, code: i32, parts: &[&str]) {
    let (found, said, error) = ended(host.cli_with_input(args, input.as_bytes()).unwrap());
    assert_eq!((found, said.as_str()), (code, ""), "{args:?}: {error}");
    assert_has(&error, parts);
}
