use serde_json::{Value, json};
use wharf_testkit::process::Host;
use wharf_testkit::sink::Sink;

use crate::support::{attempts, channel, guest, host, send, steps, text, wait_for};

/// The converters of the chains, by the channel that has them: `json-map` needs JSON and gives an object, `outcomes`
/// wraps the body, `misbehave` passes it on unless it is told otherwise.
const CHAINS: [(&str, &str); 4] = [
    (
        "two",
        r#"[{ plugin = "json-map", config = { map = { n = "/n" } } }, "outcomes"]"#,
    ),
    (
        "turned",
        r#"["outcomes", { plugin = "json-map", config = { map = { n = "/n" } } }]"#,
    ),
    ("three", r#"["outcomes", "misbehave", "outcomes"]"#),
    ("same", r#"["outcomes", "outcomes", "outcomes"]"#),
];

/// Goal (J1): a chain of two or three converters, the same one several times too: each takes what the one before
/// gave, in the order of the configuration. One that refuses in the middle, or traps there, ends the attempt: nothing is
/// sent, the journal has the converters up to it and no further; a refusal is final, a trap spends the budget, and
/// each time it starts from the message again.
#[test]
fn each_takes_what_the_last_one_gave() {
    let sink = Sink::start().unwrap();
    let config: String = CHAINS
        .iter()
        .map(|(name, chain)| {
            let retry = "retry = { schedule = [\"10ms\"], jitter = 0.0 }";
            channel(
                name,
                &sink.url(&format!("/{name}")),
                &format!("convert = {chain}\n{retry}"),
            )
        })
        .collect();
    let builder = host(&config).shipped("http").shipped("json-map");
    let host = builder
        .plugin("outcomes", guest("outcomes"))
        .plugin("misbehave", guest("misbehave"))
        .start()
        .unwrap();

    let delivered = |id: &str, to: &str, body: &str, hooks: &[&str]| {
        tell(&host, id, to, "none");
        wait_for(&host, id, "delivered");
        assert_eq!(sink.requests().pop().unwrap().body, body, "{id}");
        assert_eq!(ran(&attempts(&host, id)[0]), hooks, "{id}");
    };
    let (map, wrap) = ("converter json-map", "converter outcomes");
    delivered(
        "two",
        "two",
        r#"wrapped:{"n":7}"#,
        &[map, wrap, "channel http"],
    );
    let pass = "converter misbehave";
    let three = [wrap, pass, wrap, "channel http"];
    delivered("three", "three", r#"wrapped:wrapped:{"n":7}"#, &three);
    let same = [wrap, wrap, wrap, "channel http"];
    delivered("same", "same", r#"wrapped:wrapped:wrapped:{"n":7}"#, &same);
    let sent = sink.count();

    // The last of two refuses what the first made of it.
    tell(&host, "turned", "turned", "none");
    wait_for(&host, "turned", "rejected");
    let attempt = attempts(&host, "turned").remove(0);
    assert_eq!(
        (&attempt["code"], ran(&attempt)),
        (&json!("not-json"), vec![wrap, map])
    );

    // In the middle of three.
    tell(&host, "refuses", "three", "refuse");
    wait_for(&host, "refuses", "rejected");
    assert_eq!(
        steps(&host, "refuses"),
        ["queued accepted", "rejected conversion-refused"]
    );
    let attempt = attempts(&host, "refuses").remove(0);
    assert_eq!(
        (&attempt["code"], ran(&attempt)),
        (&json!("told-to"), vec![wrap, pass])
    );
    assert!(attempt.get("body_sha256").is_none(), "{attempt}");

    tell(&host, "traps", "three", "trap");
    wait_for(&host, "traps", "dead");
    let expected = [
        "queued accepted",
        "retrying plugin-fault",
        "dead attempts-spent",
    ];
    assert_eq!(steps(&host, "traps"), expected);
    for attempt in attempts(&host, "traps") {
        assert_eq!(
            (&attempt["code"], ran(&attempt)),
            (&json!("plugin-trap"), vec![wrap, pass])
        );
        assert!(
            text(&attempt["reason"]).starts_with("plugin misbehave: trapped: "),
            "{attempt}"
        );
    }
    assert_eq!(sink.count(), sent, "none of them was sent");
    delivered("after", "three", r#"wrapped:wrapped:{"n":7}"#, &three);
}

fn ran(attempt: &Value) -> Vec<&str> {
    let hooks = attempt["hooks"].as_array().unwrap();
    hooks.iter().map(|run| text(&run["hook"])).collect()
}

fn tell(host: &Host, id: &str, to: &str, mode: &str) {
    let attributes = json!({ "to": to, "misbehave": mode });
    send(
        host,
        &json!({ "id": id, "attributes": attributes, "payload_json": { "n": 7 } }),
    );
}
