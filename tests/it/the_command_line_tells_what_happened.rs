use serde_json::{Value, json};
use wharf_testkit::sink::{Answer, Sink};

use crate::support::{SOON, assert_has, channel, ended, host, wait_for};

/// Goal: `send` takes a file, standard input or a batch; `get`, `why`, `journal` and `plugin list`
/// tell people and scripts the same; data goes to stdout, the rest to stderr.
#[test]
fn people_and_scripts_are_told_the_same() {
    let sink = Sink::start().unwrap();
    sink.script("/", [503, 200].map(Answer::status));
    let retry = "retry = { schedule = [\"20ms\"], jitter = 0.0 }";
    let config = channel("a", &sink.url("/"), retry);
    let host = host(&config).shipped("http").start().unwrap();

    let send = [
        "send",
        "--id",
        "m1",
        "--attr",
        "to=a",
        "-H",
        "x-a=b=c",
        "--content-type",
        "x/y",
        "--ordering-key",
        "k",
        "--file",
        "-",
    ];
    let (code, said, error) = ended(host.cli_with_input(send, b"\xff\x00").unwrap());
    assert_eq!((code, said.as_str(), error.as_str()), (0, "m1\n", ""));
    wait_for(&host, "m1", "delivered");
    let request = sink.requests().remove(0);
    assert_eq!(
        (&request.body[..], request.header("x-a")),
        (&b"\xff\x00"[..], Some("b=c"))
    );
    assert_eq!(request.header("content-type"), Some("x/y"));
    let (_, said, error) = ended(host.cli_with_input(send, b"\xff\x00").unwrap());
    assert_eq!(said, "m1\n");
    assert_has(&error, &["accepted before"]);
    let (_, _, error) = ended(host.cli_with_input(["send", "--id", "m2"], b"x").unwrap());
    assert_has(&error, &["unroutable"]);

    // For scripts: what the API says.
    let (_, said, _) = ended(
        host.cli_with_input([&send[..], &["--json"]].concat(), b"\xff\x00")
            .unwrap(),
    );
    let expected = json!({ "id": "m1", "duplicate": true, "status": "accepted", "deliveries": 1 });
    assert_eq!(serde_json::from_str::<Value>(&said).unwrap(), expected);
    let json = |args: &[&str]| -> Value {
        let (code, said, error) = ended(host.cli(args).unwrap());
        assert_eq!((code, error.as_str()), (0, ""), "{args:?}");
        serde_json::from_str(&said).unwrap()
    };
    let (message, journal) = (
        json(&["get", "m1", "--json"]),
        json(&["journal", "m1", "--json"]),
    );
    assert_eq!(message, crate::support::get(&host, "m1"));
    assert_eq!(
        journal["rows"],
        Value::from(crate::support::journal(&host, "m1"))
    );
    assert_eq!(
        json(&["why", "m1", "--json"]),
        json!({ "message": message, "journal": journal["rows"] })
    );
    let plugins = json(&["plugin", "list", "--json"]);
    assert_eq!(plugins["plugins"][0]["hooks"], json!(["request-channel"]));

    // For people: the same, to be read.
    for (args, parts) in [
        (
            ["get", "m1"],
            &[
                "m1  delivered",
                "2 bytes",
                "attribute to = a",
                "header    x-a: b=c",
                "to-a",
            ][..],
        ),
        (
            ["journal", "m1"],
            &[
                "queued → retrying",
                "retrying → delivered",
                "#2",
                "answered 503",
            ],
        ),
        (
            ["why", "m1"],
            &[
                "http-503",
                "the receiver may have acted on it",
                "http-status = 200",
            ],
        ),
        (
            ["plugin", "list"],
            &["http", "request-channel", "signed as a standard webhook"],
        ),
    ] {
        let (code, said, _) = ended(host.cli(args).unwrap());
        assert_eq!(code, 0);
        assert_has(&said, parts);
    }

    // A batch over the size of one request: every line is answered under its own number.
    let line = |n: usize| match n {
        700 => "{\"id\":7}\n".to_owned(),
        n => format!("{}\n", crate::support::message(&format!("b{n}"), "a")),
    };
    let batch: String = (0..1200).map(line).collect();
    let (code, said, error) = ended(
        host.cli_with_input(["send", "--ndjson"], batch.as_bytes())
            .unwrap(),
    );
    assert_eq!((code, said.lines().count()), (1, 1199));
    assert_has(
        &error,
        &["line 701: id", "1 of the batch were refused", "try: "],
    );
    sink.wait_for_count(SOON, 1199).unwrap();
}
