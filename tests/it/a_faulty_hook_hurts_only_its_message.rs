use std::collections::BTreeMap;

use serde_json::{Value, json};
use wharf_testkit::process::Host;
use wharf_testkit::sink::Sink;

use crate::folder::version;
use crate::support::{
    SOON, attempts, channel, channel_of, guest, health, host, send, steps, text, wait_for,
};

/// How a guest breaks a limit, the word for it, and what the journal says.
const FAULTS: [(&str, &str, &str); 9] = [
    (
        "trap",
        "trap",
        "trapped: wasm `unreachable` instruction executed",
    ),
    ("recurse", "trap", "trapped: call stack exhausted"),
    ("spin", "timeout", "ran longer than its limit of 2s"),
    ("sleep", "timeout", "ran longer than its limit of 2s"),
    ("endless-log", "timeout", "ran longer than its limit of 2s"),
    (
        "hog",
        "memory",
        "needed more memory than its limit of 32 MiB",
    ),
    (
        "giant",
        "output",
        "gave more than the output limit of 1 MiB",
    ),
    (
        "bad-text",
        "invalid",
        "gave data that the contract does not have: ",
    ),
    ("exit", "exit", "exited with code 1 instead of returning"),
];

const LIMITS: &str = "[plugins.misbehave]\ntimeout = \"2s\"\nmemory-max = \"32MiB\"\noutput-max = \"1MiB\"\n\
                      log-lines-per-second = 100\nallow-http = [\"http://127.0.0.1:*\"]\n";

/// Goal (J1, J2): in enricher, converter and request-channel everything that a guest can do wrong (trap, recurse or
/// loop without end, wait for ever, log without end, eat memory, give too much or what is no value, leave) is told apart,
/// counted, and journalled with the plugin's name, the limit and its value. An enricher's fault fails no delivery; the others
/// use the budget. Messages before and after it in the same channel do not notice.
#[test]
fn the_others_do_not_notice() {
    let sink = Sink::start().unwrap();
    let retry = "retry = { schedule = [\"10ms\"], jitter = 0.0 }";
    let config = [
        channel(
            "enriched",
            &sink.url("/enriched"),
            &format!("enrich = [\"misbehave\"]\n{retry}"),
        ),
        channel(
            "converted",
            &sink.url("/converted"),
            &format!("convert = [\"misbehave\"]\n{retry}"),
        ),
        channel_of("misbehave", "sent", retry),
        LIMITS.to_owned(),
    ];
    let builder = host(&config.concat()).shipped("http");
    let host = builder
        .plugin("misbehave", guest("misbehave"))
        .start()
        .unwrap();

    // All at once, so that good and bad are in the same pools at the same time.
    let channels = ["enriched", "converted", "sent"];
    for channel in channels {
        for (mode, ..) in FAULTS {
            let url = sink.url(&format!("/{channel}"));
            tell(
                &host,
                &format!("{channel}-before-{mode}"),
                channel,
                "none",
                &url,
            );
            tell(&host, &format!("{channel}-{mode}"), channel, mode, &url);
            tell(
                &host,
                &format!("{channel}-after-{mode}"),
                channel,
                "none",
                &url,
            );
        }
    }
    for channel in channels {
        for (mode, kind, words) in FAULTS {
            for place in ["before", "after"] {
                let id = format!("{channel}-{place}-{mode}");
                wait_for(&host, &id, "delivered");
                assert_eq!(
                    steps(&host, &id),
                    ["queued accepted", "delivered sent"],
                    "{id}"
                );
            }
            check(&host, channel, mode, kind, words);
        }
    }

    // What faulted was never sent, but from the enricher's channel.
    let requests = sink
        .wait_until(SOON, |requests| requests.len() == 7 * FAULTS.len())
        .unwrap();
    let faulty = |path: &str| {
        let faulty = |id: &str| {
            FAULTS
                .iter()
                .any(|(mode, ..)| id == format!("{}-{mode}", &path[1..]))
        };
        let ids = requests
            .iter()
            .filter(|r| r.path == path)
            .map(|r| String::from_utf8_lossy(&r.body));
        ids.filter(|id| faulty(id)).count()
    };
    assert_eq!(
        [faulty("/enriched"), faulty("/converted"), faulty("/sent")],
        [FAULTS.len(), 0, 0]
    );
    assert_eq!(health(&host).0, "ok");
    // The enricher once, the others at both attempts.
    let page = host.http("GET", "/metrics", &[], b"").unwrap().text();
    let mut counted: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, kind, _) in FAULTS {
        *counted.entry(kind).or_default() += 1 + 2 + 2;
    }
    for (kind, count) in counted {
        let line =
            format!("wharf_plugin_faults_total{{plugin=\"misbehave\",kind=\"{kind}\"}} {count}");
        assert!(
            page.lines().any(|found| found == line),
            "no {line:?} in {page}"
        );
    }
    let log = host.log();
    let limited = log
        .lines()
        .filter(|line| line.contains("logs faster than its limit"));
    assert!(
        limited
            .into_iter()
            .any(|line| line.contains("lines_per_second_max=100"))
    );
}

/// Goal (J2): the same of a channel that does its own I/O, which may wait for as long as its attempt and computes in turns
/// with the others.
#[test]
fn a_channel_of_its_own_hurts_only_its_message() {
    let more = "timeout = \"3s\"\nretry = { schedule = [\"10ms\"], jitter = 0.0 }";
    let config = channel_of("misbehave", "sent", more) + LIMITS;
    // Under another name the host does not know its request-channel.
    let own = version(&guest("misbehave"), "request-channel", "request-chanxel");
    let host = host(&config).plugin("misbehave", own).start().unwrap();
    for (mode, ..) in FAULTS {
        tell(&host, &format!("sent-before-{mode}"), "sent", "none", "");
        tell(&host, &format!("sent-{mode}"), "sent", mode, "");
        tell(&host, &format!("sent-after-{mode}"), "sent", "none", "");
    }
    for (mode, kind, words) in FAULTS {
        for place in ["before", "after"] {
            let id = format!("sent-{place}-{mode}");
            wait_for(&host, &id, "delivered");
            let expected = ["queued accepted", "delivered sent"];
            assert_eq!(steps(&host, &id), expected, "{id}");
        }
        let id = format!("sent-{mode}");
        if kind != "timeout" {
            check(&host, "sent", mode, kind, words);
            continue;
        }
        // Which of the two limits it meets first depends on how many compute at the same time.
        wait_for(&host, &id, "dead");
        for attempt in attempts(&host, &id) {
            let reason = text(&attempt["reason"]);
            let computed = "plugin misbehave: computed for longer than its limit of 2s";
            let waited = "plugin misbehave: ran longer than its limit of 3s";
            let is_sleep = mode == "sleep";
            assert!(
                reason == waited || reason == computed && !is_sleep,
                "{id}: {reason}"
            );
        }
    }
    assert_eq!(health(&host).0, "ok");
}

/// Goal (J2): what a request-channel asks for or gives beyond the limits of the contract is a fault like any other,
/// named with the limit; no other message of the channel notices.
#[test]
fn a_channel_that_lies_is_found_out() {
    let sink = Sink::start().unwrap();
    let retry = "retry = { schedule = [\"10ms\"], jitter = 0.0 }";
    let config = channel_of("misbehave", "sent", retry)
        + "[plugins.misbehave]\nallow-http = [\"http://127.0.0.1:*\"]\n";
    let builder = host(&config).plugin("misbehave", guest("misbehave"));
    let host = builder.start().unwrap();
    for (mode, kind, words) in [
        (
            "big-state",
            "state-too-large",
            "asked to keep 65537 bytes of state, the limit is 64 KiB",
        ),
        (
            "more-requests",
            "too-many-requests-asked",
            "asked for more exchanges in one attempt than the limit of 4",
        ),
        (
            "long-token",
            "token-too-long",
            "gave a token of 4097 bytes, the limit is 4 KiB",
        ),
    ] {
        tell(&host, &format!("sent-{mode}"), "sent", mode, &sink.url("/"));
        check(&host, "sent", mode, kind, words);
        let after = format!("after-{mode}");
        tell(&host, &after, "sent", "none", &sink.url("/"));
        wait_for(&host, &after, "delivered");
    }
    // Four of each of two attempts, and what was sent afterwards.
    assert_eq!(sink.count(), 2 * 4 + 3);
}

/// Goal (J2): what a hook refuses in its own way is no fault: an enricher's no is noted, a
/// converter's and a channel's are final.
#[test]
fn a_no_is_not_a_fault() {
    let sink = Sink::start().unwrap();
    let config = [
        channel("enriched", &sink.url("/"), "enrich = [\"misbehave\"]"),
        channel("converted", &sink.url("/"), "convert = [\"misbehave\"]"),
        channel_of("misbehave", "sent", ""),
    ];
    let builder = host(&config.concat()).shipped("http");
    let host = builder
        .plugin("misbehave", guest("misbehave"))
        .start()
        .unwrap();
    for (to, step) in [
        ("enriched", "delivered sent"),
        ("converted", "rejected conversion-refused"),
        ("sent", "rejected refused"),
    ] {
        tell(&host, to, to, "refuse", &sink.url("/"));
        wait_for(&host, to, step.split(' ').next().unwrap());
        assert_eq!(steps(&host, to), ["queued accepted", step]);
    }
    let note = json!(["enricher misbehave failed", "told to refuse"]);
    assert_eq!(attempts(&host, "enriched")[0]["notes"][0], note);
    assert_eq!(attempts(&host, "converted")[0]["code"], "told-to");
    assert_eq!(sink.count(), 1);
}

fn tell(host: &Host, id: &str, to: &str, mode: &str, url: &str) {
    // A channel with a url of its own has no need of an endpoint.
    let mut attributes = json!({ "to": to, "misbehave": mode });
    if to == "sent" {
        attributes["endpoint"] = Value::from(url);
    }
    send(
        host,
        &json!({ "id": id, "attributes": attributes, "payload": id }),
    );
}

#[track_caller]
fn check(host: &Host, channel: &str, mode: &str, kind: &str, words: &str) {
    let id = format!("{channel}-{mode}");
    if channel == "enriched" {
        wait_for(host, &id, "delivered");
        assert_eq!(
            steps(host, &id),
            ["queued accepted", "delivered sent"],
            "{id}"
        );
        let note = attempts(host, &id)[0]["notes"][0].take();
        assert_eq!(note[0], "enricher misbehave fault", "{id}");
        assert!(text(&note[1]).starts_with(words), "{id}: {note}");
        return;
    }
    wait_for(host, &id, "dead");
    let expected = [
        "queued accepted",
        "retrying plugin-fault",
        "dead attempts-spent",
    ];
    assert_eq!(steps(host, &id), expected, "{id}");
    for attempt in attempts(host, &id) {
        assert_eq!(attempt["code"], format!("plugin-{kind}"), "{id}");
        let expected = format!("plugin misbehave: {words}");
        assert!(text(&attempt["reason"]).starts_with(&expected), "{attempt}");
        assert_eq!(attempt["effect"], "unknown", "{id}");
    }
}
