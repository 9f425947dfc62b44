use serde_json::{Value, json};
use wharf_testkit::process::{Host, eventually};
use wharf_testkit::sink::{Answer, Sink};

use crate::support::{
    SOON, assert_has, ended, get, guest, health, host, journal, send, steps, text, wait_for,
};

const ROUTER: &str = r#"
    [hooks]
    router = "misbehave"
    [plugins.misbehave]
    timeout = "2s"
    memory-max = "32MiB"
"#;

fn channels(sink: &Sink) -> String {
    let channel = |name: &str| {
        let url = sink.url(&format!("/{name}"));
        format!("[[channel]]\nname = \"{name}\"\nplugin = \"http\"\nconfig.url = \"{url}\"\n")
    };
    ["a", "b"].map(channel).concat()
}

fn message(id: &str, attributes: &Value) -> Value {
    json!({ "id": id, "attributes": attributes, "payload": id })
}

fn deliveries(host: &Host, id: &str) -> Vec<String> {
    let view = get(host, id);
    let deliveries = view["deliveries"].as_array().unwrap().clone();
    let shown = deliveries.iter().map(|d| {
        let (channel, route) = (text(&d["channel"]), text(&d["route"]));
        format!("{channel} by {route}: {}", text(&d["status"]))
    });
    shown.collect()
}

/// Goal (C4): a router decides in the place of rules, on the message alone. Whatever it does instead of deciding (traps,
/// spins, hogs, breaks the contract, says no, names a channel that is none) makes that message unroutable with the reason,
/// and no other; it is listed, explained, and routed again once something can decide.
#[test]
fn a_router_decides_and_its_failure_is_an_unroutable_message() {
    let sink = Sink::start().unwrap();
    let config = channels(&sink) + ROUTER;
    let mut host = host(&config)
        .shipped("http")
        .plugin("misbehave", guest("misbehave"))
        .start()
        .unwrap();

    assert_eq!(
        send(&host, &message("both", &json!({ "to": "b,a" })))["deliveries"],
        2
    );
    wait_for(&host, "both", "delivered");
    let by_router = ["b by misbehave: delivered", "a by misbehave: delivered"];
    assert_eq!(deliveries(&host, "both"), by_router);
    sink.script("/a", [Answer::status(404), Answer::status(200)]);
    let one_by_one = json!({ "to": "a,b", "after": "1" });
    assert_eq!(
        send(&host, &message("one-by-one", &one_by_one))["deliveries"],
        1
    );
    wait_for(&host, "one-by-one", "delivered");
    let expected = ["a by misbehave: superseded", "b by misbehave: delivered"];
    assert_eq!(deliveries(&host, "one-by-one"), expected);

    let cases = [
        (json!({ "misbehave": "trap" }), "plugin-trap", "trapped"),
        (
            json!({ "misbehave": "spin" }),
            "plugin-timeout",
            "limit of 2s",
        ),
        (json!({ "misbehave": "hog" }), "plugin-memory", "memory"),
        (
            json!({ "misbehave": "refuse" }),
            "router-error",
            "told to refuse",
        ),
        (json!({ "misbehave": "bad-text" }), "plugin-invalid", ""),
        (
            json!({ "to": "a,c" }),
            "router-decision",
            "not configured: \"c\"",
        ),
        (
            json!({ "to": "a,a" }),
            "router-decision",
            "names channel \"a\" twice",
        ),
        (
            json!({ "to": "a,b", "after": "0" }),
            "router-decision",
            "outside of 1 to 1000",
        ),
        (json!({}), "router-none", "the router named no channel"),
    ];
    for (number, (attributes, code, reason)) in cases.iter().enumerate() {
        let id = format!("bad-{number}");
        assert_eq!(
            send(&host, &message(&id, attributes))["status"],
            "unroutable",
            "{code}"
        );
        let rows = journal(&host, &id);
        assert_eq!(rows.len(), 1, "{rows:#?}");
        let said = &rows[0]["attempt"];
        assert_eq!(
            (&rows[0]["to"], &said["code"]),
            (&json!("unroutable"), &json!(code))
        );
        assert_has(text(&said["reason"]), &[reason]);
        assert_eq!(text(&said["hooks"][0]["hook"]), "router misbehave");
        let cause = if *code == "router-none" {
            "no-route"
        } else {
            "router-failed"
        };
        assert_eq!(rows[0]["cause"], cause);
        // The next message is another one's.
        let good = format!("good-{number}");
        assert_eq!(
            send(&host, &message(&good, &json!({ "to": "a" })))["deliveries"],
            1
        );
    }
    let (_, why, _) = ended(host.cli(["why", "bad-3"]).unwrap());
    assert_has(
        &why,
        &[
            "bad-3 is unroutable",
            "the router sent it nowhere: told to refuse",
        ],
    );
    let listed = host
        .http("GET", "/v1/dead-letters?status=unroutable", &[], b"")
        .unwrap();
    let listed = listed.json().unwrap()["entries"]
        .as_array()
        .unwrap()
        .clone();
    let reasons: Vec<_> = listed
        .iter()
        .map(|entry| text(&entry["code"]).to_owned())
        .collect();
    assert_eq!(reasons, cases.map(|(_, code, _)| code));
    let (code, _, error) = ended(host.cli(["dead-letter", "redrive", "bad-3"]).unwrap());
    assert_eq!(code, 1);
    assert_has(
        &error,
        &["the router sends bad-3 nowhere now either: told to refuse"],
    );

    // Rules in its place route them again.
    let rules = channels(&sink) + "[[route]]\nname = \"rules\"\nchannels = [\"b\"]\n";
    host.write("wharf.toml", crate::support::may_reach_this_machine(&rules))
        .unwrap();
    host.restart().unwrap();
    let (code, _, error) = ended(host.cli(["dead-letter", "redrive", "bad-3"]).unwrap());
    assert_eq!(code, 0, "{error}");
    wait_for(&host, "bad-3", "delivered");
    assert_eq!(deliveries(&host, "bad-3"), ["b by rules: delivered"]);
    let expected = [
        "unroutable router-failed",
        "queued redriven",
        "delivered sent",
    ];
    assert_eq!(steps(&host, "bad-3"), expected);
}

/// Goal (C4, C5): a router whose plugin is missing loses nothing, and decides once it comes; and it can be asked without a
/// host.
#[test]
fn a_missing_router_loses_nothing() {
    let sink = Sink::start().unwrap();
    let config = channels(&sink) + ROUTER;
    let host = host(&config).shipped("http").start().unwrap();
    let to_a = json!({ "to": "a" });
    assert_eq!(
        send(&host, &message("early", &to_a))["status"],
        "unroutable"
    );
    assert_eq!(
        journal(&host, "early")[0]["attempt"]["code"],
        "router-unavailable"
    );
    let (status, reasons) = health(&host);
    assert_eq!(status, "degraded");
    assert!(
        reasons.iter().any(|(name, _)| name == "router"),
        "{reasons:?}"
    );
    host.write("message.json", message("m", &to_a).to_string())
        .unwrap();
    let (code, _, error) = ended(host.cli(["route", "explain", "message.json"]).unwrap());
    assert_eq!(code, 1);
    assert_has(
        &error,
        &["the router \"misbehave\" cannot be loaded", "try: "],
    );

    host.put_plugin("misbehave", guest("misbehave")).unwrap();
    let is_ready = eventually(SOON, || (health(&host).0 == "ok").then_some(()));
    assert!(is_ready.is_some(), "{:?}", health(&host));
    let (code, ..) = ended(host.cli(["dead-letter", "redrive", "early"]).unwrap());
    assert_eq!(code, 0);
    wait_for(&host, "early", "delivered");
    let explain = || ended(host.cli(["route", "explain", "message.json"]).unwrap()).1;
    assert_has(
        &explain(),
        &[
            "m would have 1 delivery\n  channel a, by route misbehave",
            "the router misbehave decided",
        ],
    );
    let refused = json!({ "misbehave": "refuse" });
    host.write("message.json", message("m", &refused).to_string())
        .unwrap();
    assert_has(
        &explain(),
        &[
            "m would be unroutable",
            "the router misbehave: told to refuse",
        ],
    );
}
