use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use wharf_testkit::process::{Host, eventually};
use wharf_testkit::sink::{self, Gate, Sink};

use crate::support::{
    JSON, SOON, assert_has, channel, ended, get, health, host, may_reach_this_machine, message,
    post_batch, send, text, wait_for,
};

/// Lines of a batch: some milliseconds of reading and planning.
const LINES: usize = 1000;
/// Changes of the routes while batches are sent.
const SWAPS: usize = 40;

fn configure(host: &Host, config: &str) {
    host.write("wharf.toml", may_reach_this_machine(config))
        .unwrap();
}

/// Asks over the API, and shows the status and the answer.
fn ask(host: &Host, method: &str, path: &str, body: &Value) -> (u16, Value) {
    let body = match method {
        "GET" => String::new(),
        _ => body.to_string(),
    };
    let answer = host.http(method, path, &[JSON], body.as_bytes()).unwrap();
    (answer.status, answer.json().unwrap())
}

#[track_caller]
fn reload(host: &Host) -> Value {
    let (status, view) = ask(host, "POST", "/v1/config/reload", &json!({}));
    assert_eq!(status, 200, "{view}");
    view
}

/// Goal (C): SIGHUP and the API have the configuration read again. Channels come, change and go, and what was accepted
/// before keeps its plan; what takes a restart is named, and not taken over.
#[test]
fn channels_come_change_and_go() {
    let sink = Sink::start().unwrap();
    let a = channel("a", &sink.url("/a"), "");
    let mut host = host(&a).shipped("http").start().unwrap();
    send(&host, &message("m1", "a"));
    wait_for(&host, "m1", "delivered");

    // One comes, by SIGHUP.
    let with_b = a.clone() + &channel("b", &sink.url("/b"), "");
    configure(&host, &with_b);
    host.hang_up().unwrap();
    let came = eventually(SOON, || {
        let channels = ask(&host, "GET", "/v1/channels", &json!({})).1;
        (channels["channels"].as_array().unwrap().len() == 2).then_some(())
    });
    assert!(came.is_some());
    assert_eq!(send(&host, &message("m2", "b"))["deliveries"], 1);
    wait_for(&host, "m2", "delivered");
    assert!(host.log().contains("configuration reloaded"));

    // One changes, while an attempt of it runs: that ends as it began.
    let gate = Gate::default();
    sink.script("/a", [sink::Answer::status(200).behind(&gate)]);
    send(&host, &message("m3", "a"));
    sink.wait_for_count(SOON, 3).unwrap();
    configure(&host, &with_b.replace("/a\"", "/elsewhere\""));
    let view = reload(&host);
    assert_eq!(view, json!({ "changed": ["channel a changed"] }));
    send(&host, &message("m4", "a"));
    wait_for(&host, "m4", "delivered");
    gate.open();
    wait_for(&host, "m3", "delivered");
    let paths: Vec<_> = sink
        .requests()
        .into_iter()
        .map(|request| request.path)
        .collect();
    assert_eq!(paths, ["/a", "/b", "/a", "/elsewhere"]);

    // One is paused and goes; what waits for it is kept and named, and what comes for it is unroutable.
    let (code, ..) = ended(
        host.cli(["channel", "pause", "b", "--reason", "a test"])
            .unwrap(),
    );
    assert_eq!(code, 0);
    send(&host, &message("m5", "b"));
    configure(&host, &(a.clone() + "[api]\ndrain-timeout = \"7s\"\n"));
    let (code, out, error) = ended(host.cli(["config", "reload"]).unwrap());
    assert_eq!(code, 0);
    let expected = [
        "channel a changed",
        "channel b removed",
        "routes: 1 instead of 2",
    ];
    assert_eq!(out.lines().collect::<Vec<_>>(), expected);
    assert_has(&error, &["take a restart: api.drain-timeout"]);
    assert_eq!(send(&host, &message("m6", "b"))["status"], "unroutable");
    assert_eq!(get(&host, "m5")["status"], "queued");
    let (_, reasons) = health(&host);
    let names: Vec<_> = reasons.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["channel b"], "{reasons:?}");

    // It comes back as it went: paused. Resumed, it has what waited for it.
    configure(&host, &with_b);
    reload(&host);
    let (_, channels) = ask(&host, "GET", "/v1/channels", &json!({}));
    let b = &channels["channels"][1];
    assert_eq!(
        (&b["status"], &b["reason"]),
        (&json!("paused"), &json!("a test"))
    );
    let (code, ..) = ended(host.cli(["channel", "resume", "b"]).unwrap());
    assert_eq!(code, 0);
    wait_for(&host, "m5", "delivered");
    assert_eq!(health(&host), ("ok".to_owned(), vec![]));
    // Nothing of it undoes itself.
    host.restart().unwrap();
    send(&host, &message("m7", "b"));
    wait_for(&host, "m7", "delivered");
}

/// Goal: everything is checked before anything changes. A broken file, a channel that would not work any more, or another
/// router: what ran goes on, and it is said why.
#[test]
fn what_cannot_be_used_changes_nothing() {
    let sink = Sink::start().unwrap();
    let a = channel("a", &sink.url("/a"), "");
    let host = host(&a).shipped("http").shipped("audit").start().unwrap();
    let refused = |config: &str, parts: &[&str]| {
        configure(&host, config);
        let (status, problem) = ask(&host, "POST", "/v1/config/reload", &json!({}));
        assert_eq!((status, &problem["code"]), (422, &json!("config-invalid")));
        assert_has(text(&problem["detail"]), parts);
    };
    let b = channel("b", &sink.url("/b"), "");
    refused(
        &(a.clone() + &b + "[[route]]\nchannels = [\"c\"]"),
        &["wharf.toml: 1 problem", "there is no channel \"c\""],
    );
    refused("[[route]", &["line 1"]);
    let audited = a.replace("plugin = \"http\"", "plugin = \"audit\"");
    refused(
        &(audited + &b),
        &[
            "channel a cannot go on like this",
            "has no hook `request-channel`",
        ],
    );
    refused(
        "[hooks]\nrouter = \"audit\"",
        &["hooks.router has changed", "restart the host"],
    );
    // Also by SIGHUP, where the log says so.
    host.hang_up().unwrap();
    let told = || {
        host.log()
            .matches("the configuration was not reloaded")
            .count()
            == 5
    };
    assert!(
        eventually(SOON, || told().then_some(())).is_some(),
        "{}",
        host.log()
    );
    let (_, channels) = ask(&host, "GET", "/v1/channels", &json!({}));
    assert_eq!(channels["channels"].as_array().unwrap().len(), 1);
    send(&host, &message("m", "a"));
    wait_for(&host, "m", "delivered");
    assert_eq!(health(&host).0, "ok");

    // The API writes no file that it was not given.
    let routes = json!({ "routes": [{ "channels": ["a"] }] });
    let (status, problem) = ask(&host, "PUT", "/v1/routes", &routes);
    assert_eq!((status, &problem["code"]), (409, &json!("routes-in-file")));
}

/// Goal: routes that are put over the API are on disk before they are answered, in a file of their own, and are all there
/// is. What is wrong changes neither; what is listed can be put.
#[test]
fn routes_are_put_over_the_api() {
    let sink = Sink::start().unwrap();
    let plain = |name: &str| {
        let url = sink.url(&format!("/{name}"));
        format!("[[channel]]\nname = \"{name}\"\nplugin = \"http\"\nconfig.url = \"{url}\"\n")
    };
    let config = plain("a") + &plain("b") + "[api]\nroutes-file = \"routes.toml\"\n";
    let mut host = host(&config).shipped("http").start().unwrap();
    assert_eq!(send(&host, &message("m1", "a"))["status"], "unroutable");
    let routes = json!({ "routes": [
        { "name": "typed", "channels": ["a", "b"], "mode": "failover", "failover-after": 3, "stop": true, "match": {
            "/n": 1.5, "/yes": { "equals": true }, "star": { "equals": "a*" }, "there": true, "type": "order.*",
            "who": ["x", "y"],
        } },
        { "name": "rest", "channels": ["b"], "catch-all": true },
    ] });
    let (status, view) = ask(&host, "PUT", "/v1/routes", &routes);
    assert_eq!(
        (status, view),
        (200, json!({ "changed": ["routes: 2 instead of 0"] }))
    );
    send(&host, &message("m2", "a"));
    wait_for(&host, "m2", "delivered");
    assert_eq!(get(&host, "m2")["deliveries"][0]["route"], "rest");

    // What is listed is what was put, now and after a restart.
    for is_restarted in [false, true] {
        if is_restarted {
            host.restart().unwrap();
        }
        assert_eq!(
            ask(&host, "GET", "/v1/routes", &json!({})),
            (200, routes.clone())
        );
    }
    let (_, listed, _) = ended(host.cli(["route", "list"]).unwrap());
    assert_has(
        &listed,
        &["a then b", "stop, failover after 3", "catch-all"],
    );
    let (_, listed, _) = ended(host.cli(["route", "list", "--json"]).unwrap());
    host.write("put.json", listed).unwrap();
    let (code, out, _) = ended(host.cli(["route", "put", "put.json"]).unwrap());
    assert_eq!(
        (code, out.trim()),
        (0, "nothing of it changes while the host runs")
    );

    let on_disk = || std::fs::read_to_string(host.path("routes.toml")).unwrap();
    let before = on_disk();
    for (bad, code, part) in [
        (
            json!({ "routes": [{ "channels": ["c"] }] }),
            "config-invalid",
            "no channel \"c\"",
        ),
        (
            json!({ "routes": [{ "channels": ["a"], "chanels": [] }] }),
            "invalid-field",
            "chanels",
        ),
        (
            json!({ "routes": [{ "channels": ["a"], "match": { "x": null } }] }),
            "invalid-field",
            "routes",
        ),
        (
            json!({ "routes": [{ "channels": ["a"], "match": { "x": 1 } }] }),
            "config-invalid",
            "match.x",
        ),
    ] {
        let (_, problem) = ask(&host, "PUT", "/v1/routes", &bad);
        assert_eq!(problem["code"], code, "{problem}");
        assert_has(text(&problem["detail"]), &[part]);
    }
    let empty = host.http("PUT", "/v1/routes", &[JSON], b"").unwrap();
    assert_eq!(empty.status, 400, "{}", empty.text());
    // A channel of the file that does not run yet.
    let with_c = plain("c") + &config;
    configure(&host, &with_c);
    let to_c = json!({ "routes": [{ "channels": ["c"] }] });
    let (status, problem) = ask(&host, "PUT", "/v1/routes", &to_c);
    assert_eq!(status, 422);
    assert_has(
        text(&problem["detail"]),
        &["\"c\" is configured and does not run yet"],
    );
    assert_eq!(on_disk(), before);
    assert_eq!(ask(&host, "GET", "/v1/routes", &json!({})), (200, routes));
    reload(&host);
    assert_eq!(ask(&host, "PUT", "/v1/routes", &to_c).0, 200);
    // Edited by hand, it is read like any other.
    host.write("routes.toml", "[[route]]\nchannels = [\"a\"]\n")
        .unwrap();
    assert_eq!(
        reload(&host),
        json!({ "changed": ["routes: 1 instead of 1"] })
    );
}

/// Goal: a message, and a batch, is planned by all of the old routes or by all of the new ones, however often they change
/// meanwhile. Batches are large, so that many of them are being read when routes change.
#[test]
fn no_message_sees_half_of_a_change() {
    let names = ["a", "b", "c", "d"];
    let channel = |name: &str| format!("[[channel]]\nname = \"{name}\"\nplugin = \"absent\"\n");
    let config = names.map(channel).concat() + "[api]\nroutes-file = \"routes.toml\"\n";
    let host = host(&config).start().unwrap();
    let sets = [["a", "b"], ["c", "d"]];
    let put = |set: [&str; 2]| {
        let routes = set.map(|name| json!({ "channels": [name] }));
        let (status, view) = ask(&host, "PUT", "/v1/routes", &json!({ "routes": routes }));
        assert_eq!(status, 200, "{view}");
    };
    put(sets[0]);
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for sender in ["x", "y"] {
            let (host, is_done) = (&host, &is_done);
            scope.spawn(move || {
                for batch in 0.. {
                    let ids = (0..LINES).map(|n| format!("{sender}-{batch}_{n}"));
                    let lines: Vec<_> = ids.map(|id| message(&id, "x")).collect();
                    assert_eq!(post_batch(host, &lines).len(), LINES);
                    if is_done.load(Ordering::Relaxed) {
                        break;
                    }
                }
            });
        }
        for turn in 0..SWAPS {
            put(sets[(turn + 1) % 2]);
        }
        is_done.store(true, Ordering::Relaxed);
    });

    let mut batches: BTreeMap<String, BTreeMap<String, Vec<String>>> = BTreeMap::new();
    let mut after = String::new();
    loop {
        let path = format!("/v1/deliveries?status=queued&limit=1000{after}");
        let (_, page) = ask(&host, "GET", &path, &json!({}));
        for entry in page["entries"].as_array().unwrap() {
            let id = text(&entry["message"]);
            let (batch, _) = id.split_once('_').unwrap();
            let messages = batches.entry(batch.to_owned()).or_default();
            let channels = messages.entry(id.to_owned()).or_default();
            channels.push(text(&entry["channel"]).to_owned());
        }
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    let mut met = [0, 0];
    for (batch, messages) in &batches {
        assert_eq!(messages.len(), LINES, "{batch}");
        let first = messages.values().next().unwrap();
        let set = sets.iter().position(|set| first == set);
        let set = set.unwrap_or_else(|| panic!("{batch} goes to {first:?}"));
        met[set] += 1;
        for (id, channels) in messages {
            assert_eq!(channels, &sets[set], "{id}");
        }
    }
    assert!(met[0] > 0 && met[1] > 0, "{met:?}");
}
