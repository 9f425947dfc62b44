use serde_json::{Value, json};

use crate::support::{assert_has, channel_of, ended, get, host, send, text};

const ROUTES: &str = r#"
    [[route]]
    name = "orders"
    match = { type = "order.*", "/country" = "SG" }
    channels = ["a"]
    [[route]]
    name = "urgent"
    match = { "/urgent" = { equals = true } }
    channels = ["b", "a"]
    mode = "failover"
    failover-after = 2
    stop = true
    [[route]]
    name = "archived"
    match = { type = true }
    channels = ["b"]
    [[route]]
    name = "rest"
    catch-all = true
    channels = ["c"]
"#;

/// Goal (C5): without a host, from `wharf.toml` alone, it is said which routes match, which do not and why; and a host of
/// that configuration does what was said.
#[test]
fn what_is_explained_is_what_happens() {
    let channels: String = ["a", "b", "c"]
        .map(|name| format!("[[channel]]\nname = \"{name}\"\nplugin = \"absent\"\n"))
        .concat();
    let host = host(&(channels + ROUTES)).start().unwrap();
    let order = json!({ "type": "order.created" });
    let check = |id: &str, attributes: &Value, payload: &Value, parts: &[&str]| {
        let message = json!({ "id": id, "attributes": attributes, "payload_json": payload });
        host.write("message.json", message.to_string()).unwrap();
        let (code, out, error) = ended(host.cli(["route", "explain", "message.json"]).unwrap());
        assert_eq!(code, 0, "{error}");
        assert_has(&out, parts);

        let arguments = ["route", "explain", "message.json", "--json"];
        let (_, explained, _) = ended(host.cli(arguments).unwrap());
        let explained: Value = serde_json::from_str(&explained).unwrap();
        let planned = explained["deliveries"].as_array().unwrap().clone();
        let (in_reserve, at_once): (Vec<_>, Vec<_>) = planned
            .into_iter()
            .partition(|one| one.get("after_failures").is_some());
        send(&host, &message);
        let view = get(&host, id);
        let shown = |all: &[Value]| -> Vec<(String, String)> {
            let own = |one: &Value| {
                (
                    text(&one["channel"]).to_owned(),
                    text(&one["route"]).to_owned(),
                )
            };
            all.iter().map(own).collect()
        };
        let of = |field: &str| shown(view[field].as_array().map_or(&[][..], Vec::as_slice));
        assert_eq!(of("deliveries"), shown(&at_once), "{id}");
        assert_eq!(of("in_reserve"), shown(&in_reserve), "{id}");
    };
    check(
        "m1",
        &order,
        &json!({ "country": "SG", "urgent": true }),
        &[
            "m1 would have 2 deliveries",
            "  channel a, by route orders\n",
            "  channel b, by route urgent\n",
            "    then channel a, by route urgent, after 2 definite failures\n",
            "route orders matches\n  yes  /country is \"SG\": there is \"SG\"\n  yes  type begins with \"order.\": there is \"order.created\"",
            "route archived is left out: a route before it matches and stops",
            "route rest is left out",
        ],
    );
    check(
        "m2",
        &order,
        &json!({ "country": "DE", "urgent": "true" }),
        &[
            "m2 would have 1 delivery\n  channel b, by route archived",
            "route orders does not match\n  no   /country is \"SG\": there is \"DE\"",
            "route urgent does not match\n  no   /urgent is true: there is \"true\"",
            "route rest is not needed",
        ],
    );
    check(
        "m3",
        &json!({}),
        &json!([]),
        &[
            "m3 would have 1 delivery\n  channel c, by route rest",
            "no   type is there: there is nothing",
            "route rest matches\n  it asks nothing",
        ],
    );
}

/// Goal: what is no message, and a configuration that is broken, say what to do.
#[test]
fn what_cannot_be_explained_says_why() {
    let host = host(&channel_of("absent", "a", "")).build().unwrap();
    host.write("message.json", r#"{"id":"m","payload":"x","atributes":{}}"#)
        .unwrap();
    let explain = |file: &str| ended(host.cli(["route", "explain", file]).unwrap());
    let (code, _, error) = explain("message.json");
    assert_eq!(code, 1);
    assert_has(
        &error,
        &["message.json: there is no field \"atributes\"", "\n  try: "],
    );
    let (code, _, error) = explain("absent.json");
    assert_eq!(code, 1);
    assert_has(&error, &["cannot read absent.json"]);

    host.write("message.json", r#"{"id":"m","payload":"x"}"#)
        .unwrap();
    let (_, out, _) = explain("message.json");
    assert_has(&out, &["m would be unroutable: no route matches it"]);
    host.write("wharf.toml", "[[route]]\nchannels = ['b']")
        .unwrap();
    let (code, _, error) = explain("message.json");
    assert_eq!(code, 1);
    assert_has(&error, &["there is no channel \"b\"", "wharf config check"]);
}
