use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value, json};
use wharf_testkit::process::Host;

use crate::support::{
    assert_has, attempts, channel_of, ended, get, health, host, message, post_batch, send, text,
    wait_for,
};

const GRANT: &str = "[plugins.file]\nfolders = [{ path = \"out\", at = \"/out\", write = true }]\n";

/// A host with a folder `out`, empty but for what a crash left in `torn.txt`.
fn started(config: &str) -> Host {
    let builder = host(config)
        .shipped("file")
        .file("out/torn.txt", "half a li");
    builder.start().unwrap()
}

fn archive(name: &str, config: &str) -> String {
    channel_of(
        "file",
        name,
        &format!(
            "config = {{ {config} }}\nretry = {{ base = \"1s\", factor = 1.0, attempts = 1000 }}"
        ),
    )
}

fn lines(host: &Host, path: &str) -> Vec<String> {
    let text = fs::read_to_string(host.path(path)).unwrap();
    assert!(text.ends_with('\n'), "{text:?}");
    text.lines().map(str::to_owned).collect()
}

/// Goal (J1): a channel that does its own I/O appends each message as one line, as JSON that the API takes again or
/// as it is, to a file of its granted folder, and is delivered once that is done; the journal has the file's name.
#[test]
fn a_line_a_message() {
    let config = [
        archive("json", r#"path = "/out/{channel}.ndjson""#),
        archive("raw", r#"path = "raw.txt", format = "raw", sync = false"#),
        archive("torn", r#"path = "/out/torn.txt", format = "raw""#),
        GRANT.to_owned(),
    ];
    let host = started(&config.concat());
    let order = json!({
        "id": "order", "attributes": { "to": "json", "type": "a" }, "ordering_key": "k",
        "headers": [["x-one", "1"]], "payload_json": { "total": 1.5 },
    });
    send(&host, &order);
    wait_for(&host, "order", "delivered");
    send(
        &host,
        &json!({ "id": "bytes", "attributes": { "to": "json" }, "payload_base64": "/wA=" }),
    );
    wait_for(&host, "bytes", "delivered");
    let written = lines(&host, "out/json.ndjson");
    let line: Value = serde_json::from_str(&written[0]).unwrap();
    let mut expected = order.clone();
    expected["headers"] = json!([["x-one", "1"], ["content-type", "application/json"]]);
    assert_eq!(line, expected);
    assert!(
        written[0].contains(r#""payload_json":{"total":1.5}"#),
        "{}",
        written[0]
    );
    assert_eq!(
        written[1],
        r#"{"id":"bytes","attributes":{"to":"json"},"payload_base64":"/wA="}"#
    );
    let attempt = attempts(&host, "order").remove(0);
    assert_eq!(attempt["reference"], "/out/json.ndjson");
    let run = &attempt["hooks"][0];
    assert_eq!(run["hook"], "channel file");
    assert!(run["duration_ms"].as_f64().unwrap() <= attempt["duration_ms"].as_f64().unwrap());

    // The lines are messages: sent again, they are known.
    let ndjson = fs::read(host.path("out/json.ndjson")).unwrap();
    let (code, said, error) = ended(host.cli_with_input(["send", "--ndjson"], &ndjson).unwrap());
    assert_eq!(code, 0, "{error}");
    assert_eq!(said.lines().count(), 2, "{said}");
    assert_eq!(lines(&host, "out/json.ndjson").len(), 2);

    for (id, payload, status) in [
        ("one", "one", "delivered"),
        ("two", "two\n", "delivered"),
        ("three", "thr\nee", "rejected"),
    ] {
        send(
            &host,
            &json!({ "id": id, "attributes": { "to": "raw" }, "payload": payload }),
        );
        wait_for(&host, id, status);
    }
    assert_eq!(lines(&host, "out/raw.txt"), ["one", "two"]);
    assert_eq!(attempts(&host, "three")[0]["code"], "line-break");

    // What a crash left is ended, not continued.
    send(&host, &message("whole", "torn"));
    wait_for(&host, "whole", "delivered");
    assert_eq!(lines(&host, "out/torn.txt"), ["half a li", "whole"]);
    assert_eq!(health(&host).0, "ok");
}

/// Goal (J1, J2): many attempts at once, of lines up to the largest that goes out whole, mix no two lines, and a
/// kill -9 in the midst of them loses none; a longer line is refused, or written in parts where that was asked for.
#[test]
fn lines_are_never_mixed() {
    let parts = r#"path = "/out/parts.txt", format = "raw", long-lines = "parts""#;
    let config = [
        archive(
            "a",
            r#"path = "/out/all.txt", format = "raw", sync = false"#,
        ),
        archive("parts", parts).replace("plugin =", "parallelism = 1\nplugin ="),
        GRANT.to_owned(),
    ];
    let mut host = started(&config.concat());
    let line = |n: usize, bytes: usize| {
        let letter = char::from(b'a' + (n % 26) as u8);
        format!("{n:04}{}", letter.to_string().repeat(bytes - 4))
    };
    let of = |n: usize| {
        line(
            n,
            if n.is_multiple_of(8) {
                (64 << 10) - 1
            } else {
                4096 + n
            },
        )
    };
    let messages: Vec<_> = (0..200)
        .map(|n| json!({ "id": format!("m{n}"), "attributes": { "to": "a" }, "payload": of(n) }))
        .collect();
    for answer in post_batch(&host, &messages) {
        assert_eq!(answer["status"], 202, "{answer}");
    }
    wait_for(&host, "m20", "delivered");
    host.kill_9().unwrap();
    host.restart().unwrap();
    for n in 0..200 {
        wait_for(&host, &format!("m{n}"), "delivered");
    }
    let written = lines(&host, "out/all.txt");
    let expected: BTreeSet<String> = (0..200).map(of).collect();
    // What was being written when the process died can be there in part, and was written again.
    let whole: BTreeSet<String> = written
        .iter()
        .filter(|l| expected.contains(*l))
        .cloned()
        .collect();
    let missing: Vec<&str> = expected.difference(&whole).map(|line| &line[..4]).collect();
    assert!(missing.is_empty(), "{missing:?}");
    for odd in written.iter().filter(|line| !expected.contains(*line)) {
        assert!(
            expected.iter().any(|line| line.starts_with(odd.as_str())),
            "{odd}"
        );
    }

    let long = line(0, 64 << 10);
    send(
        &host,
        &json!({ "id": "long", "attributes": { "to": "a" }, "payload": long }),
    );
    wait_for(&host, "long", "rejected");
    let attempt = attempts(&host, "long").remove(0);
    assert_eq!(attempt["code"], "line-too-long");
    assert_has(text(&attempt["reason"]), &["65537 bytes", "long-lines"]);
    let longer = line(1, 500_000);
    send(
        &host,
        &json!({ "id": "parts", "attributes": { "to": "parts" }, "payload": longer }),
    );
    wait_for(&host, "parts", "delivered");
    assert_eq!(lines(&host, "out/parts.txt"), [longer]);
}

/// Goal (D2): what is missing is said with the line of configuration that would grant it, the delivery waits, and
/// goes out once that is there.
#[test]
fn a_missing_grant_is_named() {
    let config = archive("a", r#"path = "/out/sub/a.ndjson""#);
    let retry = "[plugins.file]\nfolders = [{ path = \"out\", at = \"/out\" }]\n";
    let mut host = started(&config);
    send(&host, &message("m", "a"));
    let check = |host: &Host, code: &str, parts: &[&str]| {
        wait_for(host, "m", "retrying");
        let attempt = attempts(host, "m").pop().unwrap();
        assert_eq!(
            (&attempt["code"], &attempt["effect"]),
            (&json!(code), &json!("none"))
        );
        assert_has(text(&attempt["reason"]), parts);
    };
    check(
        &host,
        "no-folder",
        &[
            "folders = [{ path = \"out\", at = \"/out\", write = true }]",
            "[plugins.file]",
        ],
    );

    let again = |host: &mut Host, config: String| {
        let before = get(host, "m")["deliveries"][0]["attempts"].clone();
        host.write("wharf.toml", config).unwrap();
        host.restart().unwrap();
        let tried = wharf_testkit::process::eventually(crate::support::SOON, || {
            (get(host, "m")["deliveries"][0]["attempts"] != before).then_some(())
        });
        assert!(tried.is_some());
    };
    again(&mut host, format!("{config}{retry}"));
    check(&host, "open-failed", &["/out/sub/a.ndjson"]);
    again(&mut host, format!("{config}{GRANT}"));
    check(&host, "open-failed", &["no-entry", "must be made first"]);
    fs::create_dir(host.path("out/sub")).unwrap();
    wait_for(&host, "m", "delivered");
    assert_eq!(lines(&host, "out/sub/a.ndjson").len(), 1);
}
