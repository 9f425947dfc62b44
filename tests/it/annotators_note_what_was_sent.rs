use serde_json::{Value, json};
use wharf_testkit::process::Host;
use wharf_testkit::sink::{Answer, Sink};

use crate::support::{
    assert_has, attempts, channel, channel_of, ended, guest, host, send, steps, text, wait_for,
};

const RETRY: &str = "retry = { schedule = [\"10ms\"], jitter = 0.0 }\n";

/// Goal (D1, J1): after the send, annotators see the wire form that was sent and how that ended, on every attempt,
/// and what they note is in the attempt's journal entry beside what the others noted; also where the channel
/// trapped. They are not asked where nothing was sent.
#[test]
fn their_pairs_are_in_the_journal() {
    let sink = Sink::start().unwrap();
    sink.script(
        "/retried",
        [
            Answer::status(503),
            Answer::status(201).header("location", "/9"),
        ],
    );
    let annotated =
        |more: &str| format!("annotate = [\"notes\"]\nconvert = [\"outcomes\"]\n{more}{RETRY}");
    let config = [
        channel("retried", &sink.url("/retried"), &annotated("")),
        channel_of("outcomes", "trapped", &annotated("")),
        channel_of("outcomes", "pending", &annotated("")),
        channel_of("outcomes", "refused", &annotated(""))
            .replace("\"outcomes\"]", "\"misbehave\"]"),
    ];
    let builder = host(&config.concat()).shipped("http");
    let host = builder
        .plugin("outcomes", guest("outcomes"))
        .plugin("misbehave", guest("misbehave"))
        .plugin("notes", guest("misbehave"))
        .start()
        .unwrap();
    let notes = |id: &str| -> Vec<Value> {
        attempts(&host, id)
            .iter_mut()
            .map(|attempt| attempt["notes"].take())
            .collect()
    };

    tell(&host, "retried", json!({}));
    wait_for(&host, "retried", "delivered");
    let noted = notes("retried");
    let sent = json!(["sent", "wrapped:retried"]);
    let first = json!([
        ["http-status", "503"],
        sent,
        ["ended", "retry http-503 Effect::Unknown"]
    ]);
    let second = json!([
        ["http-status", "201"],
        sent,
        ["ended", "delivered Some(\"/9\")"]
    ]);
    assert_eq!(noted, [first, second]);
    let hooks = attempts(&host, "retried").remove(1)["hooks"].take();
    assert_eq!(hooks[1]["hook"], "annotator notes");
    assert!(hooks[1]["duration_ms"].as_f64().unwrap() > 0.0);
    let (_, why, _) = ended(host.cli(["why", "retried"]).unwrap());
    assert_has(&why, &["annotator notes ", "sent = wrapped:retried"]);

    tell(&host, "trapped", json!({ "outcome": "trap" }));
    wait_for(&host, "trapped", "dead");
    let trapped = json!(["ended", "retry plugin-trap Effect::Unknown"]);
    assert_eq!(notes("trapped")[0][2], trapped);
    tell(&host, "pending", json!({ "outcome": "pending" }));
    wait_for(&host, "pending", "pending");
    assert_eq!(
        notes("pending")[0][2],
        json!(["ended", "pending token-pending"])
    );
    tell(&host, "refused", json!({ "misbehave": "refuse" }));
    wait_for(&host, "refused", "rejected");
    assert_eq!(notes("refused"), [Value::Null]);

    // What they noted is found again, page by page.
    let search = |query: &str| -> Value {
        let path = format!("/v1/journal?{query}");
        host.http("GET", &path, &[], b"").unwrap().json().unwrap()
    };
    let found = |found: &Value| -> Vec<(String, Value)> {
        let rows = found["rows"].as_array().unwrap().iter();
        rows.map(|row| {
            (
                text(&row["message"]).to_owned(),
                row["attempt"]["number"].clone(),
            )
        })
        .collect()
    };
    let row = |id: &str, attempt: u64| (id.to_owned(), json!(attempt));
    let failed = search("note=http-status%3D503");
    assert_eq!(found(&failed), [row("retried", 1)]);
    assert_eq!(failed["rows"][0]["channel"], "retried");
    let mut all = Vec::new();
    let mut after = "0".to_owned();
    loop {
        let page = search(&format!("note=sent&limit=2&after={after}"));
        all.extend(found(&page));
        match page.get("next") {
            Some(next) => after = text(next).to_owned(),
            None => break,
        }
    }
    let retried = [row("retried", 1), row("retried", 2)];
    let trapped = [row("trapped", 1), row("trapped", 2)];
    assert_eq!(all, [&retried[..], &trapped, &[row("pending", 1)]].concat());
    let (_, said, _) = ended(host.cli(["journal", "--note", "http-status=503"]).unwrap());
    assert_has(&said, &["MESSAGE", "retried", "queued → retrying"]);
}

/// Goal (J2): an annotator's error, trap, time-out or hunger changes no outcome: it is noted in the place of its
/// pairs, and the next annotator is asked all the same.
#[test]
fn what_goes_wrong_with_them_changes_nothing() {
    let sink = Sink::start().unwrap();
    let two = "annotate = [\"bad\", \"good\"]\n";
    let config = channel("a", &sink.url("/"), two)
        + "[plugins.bad]\ntimeout = \"1s\"\nmemory-max = \"32MiB\"\noutput-max = \"1MiB\"\n";
    let builder = host(&config).shipped("http");
    let host = builder
        .plugin("bad", guest("misbehave"))
        .plugin("good", guest("outcomes"))
        .start()
        .unwrap();
    for (mode, note, words) in [
        ("refuse", "annotator bad failed", "told to refuse"),
        ("trap", "annotator bad fault", "trapped: "),
        (
            "spin",
            "annotator bad fault",
            "ran longer than its limit of 1s",
        ),
        (
            "hog",
            "annotator bad fault",
            "needed more memory than its limit of 32 MiB",
        ),
        (
            "giant",
            "annotator bad fault",
            "gave more than the output limit of 1 MiB",
        ),
        (
            "bad-text",
            "annotator bad fault",
            "gave data that the contract does not have: ",
        ),
    ] {
        tell_to(&host, mode, "a", json!({ "misbehave": mode }));
        wait_for(&host, mode, "delivered");
        assert_eq!(steps(&host, mode), ["queued accepted", "delivered sent"]);
        let notes = attempts(&host, mode)[0]["notes"].take();
        assert_eq!(notes[1][0], note, "{mode}");
        assert!(text(&notes[1][1]).starts_with(words), "{mode}: {notes}");
        assert_eq!(notes[2], json!(["annotated", "1"]), "{mode}");
    }
}

fn tell(host: &Host, id: &str, attributes: Value) {
    tell_to(host, id, id, attributes);
}

fn tell_to(host: &Host, id: &str, to: &str, mut attributes: Value) {
    attributes["to"] = to.into();
    send(
        host,
        &json!({ "id": id, "attributes": attributes, "payload": id }),
    );
}
