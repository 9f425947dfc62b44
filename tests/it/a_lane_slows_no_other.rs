use serde_json::{Value, json};
use wharf_testkit::process::{Host, eventually};
use wharf_testkit::sink::{Answer, Gate, Sink};

use crate::support::{
    SOON, assert_has, attempts, channel_of, ended, get, guest, health, host, journal, message,
    post_batch, send, steps, text, wait_for,
};

/// A channel whose messages say where they go, and leave to go there.
fn config(more: &str, sinks: &[&Sink]) -> String {
    let grants: Vec<_> = sinks.iter().map(|sink| lane(sink)).collect();
    channel_of("http", "a", more) + &format!("[plugins.http]\nallow-http = {grants:?}\n")
}

/// A message that goes to this receiver.
fn bound(id: &str, sink: &Sink) -> Value {
    let mut message = message(id, "a");
    message["attributes"]["endpoint"] = json!(sink.url("/"));
    message
}

fn ids(name: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{name}-{n}")).collect()
}

fn send_all(host: &Host, ids: &[String], sink: &Sink) {
    let lines: Vec<_> = ids.iter().map(|id| bound(id, sink)).collect();
    let answers = post_batch(host, &lines);
    assert!(
        answers.iter().all(|answer| answer["error"].is_null()),
        "{answers:?}"
    );
}

/// The lane of a receiver, as the command line names it.
fn lane(sink: &Sink) -> String {
    format!("http://{}", sink.address())
}

fn shown(host: &Host, sink: &Sink) -> Option<Value> {
    let (_, listed, _) = ended(host.cli(["channel", "list", "--json"]).unwrap());
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let lanes = listed["channels"][0]["lanes"].as_array()?.clone();
    lanes.into_iter().find(|one| one["lane"] == lane(sink))
}

fn metrics(host: &Host) -> String {
    host.http("GET", "/metrics", &[], b"").unwrap().text()
}

fn why(host: &Host, id: &str) -> String {
    ended(host.cli(["why", id]).unwrap()).1
}

/// It waits, without an attempt, and nothing in its journal says otherwise.
#[track_caller]
fn wait_until_deferred(host: &Host, id: &str) {
    let is_deferred = || {
        let view = get(host, id)["deliveries"][0].clone();
        (view["due"].is_string() && view["status"] == "queued").then_some(())
    };
    let found = eventually(SOON, is_deferred);
    assert!(found.is_some(), "{id}: {:#}", get(host, id));
    assert_eq!(get(host, id)["deliveries"][0]["attempts"], 0, "{id}");
    assert_eq!(steps(host, id), ["queued accepted"], "{id}");
}

/// Goal (D5): a lane that never answers has a part of its channel's places and no more, however much is in front of what
/// goes elsewhere. What it does not take costs no attempt, and comes when it takes something again; of its attempt all is
/// journalled then, also what was made before it was put off.
#[test]
fn that_never_answers() {
    let (slow, fine) = (Sink::start().unwrap(), Sink::start().unwrap());
    let gate = Gate::default();
    slow.otherwise(Answer::status(200).behind(&gate));
    let more = "parallelism = 8\ntimeout = \"1h\"\nconfig.timeout = \"1h\"\nconvert = [\"wrap\"]";
    let host = host(&config(more, &[&slow, &fine]))
        .shipped("http")
        .plugin("wrap", guest("outcomes"))
        .start()
        .unwrap();
    let (slow_ids, fine_ids) = (ids("slow", 60), ids("fine", 30));
    send_all(&host, &slow_ids, &slow);
    send_all(&host, &fine_ids, &fine);
    for id in &fine_ids {
        wait_for(&host, id, "delivered");
    }
    // Three quarters of the places, where nobody else wants one.
    slow.wait_for_count(SOON, 6).unwrap();
    assert_eq!(slow.in_flight_max(), 6);
    let view = shown(&host, &slow).unwrap();
    assert_eq!(
        (&view["status"], &view["in_flight"]),
        (&json!("running"), &json!(6))
    );
    wait_until_deferred(&host, &slow_ids[59]);
    assert_has(
        &metrics(&host),
        &["wharf_lanes{channel=\"a\",state=\"closed\"} 2.0\n"],
    );
    assert!(!metrics(&host).contains("wharf_deferred_total{channel=\"a\",reason=\"full\"} 0\n"));

    gate.open();
    for id in &slow_ids {
        wait_for(&host, id, "delivered");
        let attempts = attempts(&host, id);
        assert_eq!(attempts.len(), 1, "{id}");
        let runs = attempts[0]["hooks"].as_array().unwrap();
        let hooks: Vec<_> = runs.iter().map(|run| text(&run["hook"])).collect();
        assert_eq!(hooks, ["converter wrap", "channel http"], "{id}");
    }
    assert_eq!(slow.count(), 60);
    assert_eq!(health(&host).0, "ok");
}

/// Goal (D5): a lane that fails again and again is left alone, which spends nobody's budget; a probe finds out that it
/// works again, and then everything comes.
#[test]
fn that_fails_again_and_again() {
    let (mut dead, fine) = (Sink::start().unwrap(), Sink::start().unwrap());
    let address = dead.address();
    dead.stop();
    let more = "parallelism = 1\nbreaker = { failures = 3, wait = \"400ms\", wait-max = \"400ms\" }\n\
                retry = { schedule = [\"1ms\", \"1ms\", \"1h\"], jitter = 0.0 }";
    let host = host(&config(more, &[&dead, &fine]))
        .shipped("http")
        .start()
        .unwrap();
    send(&host, &bound("first", &dead));
    wait_for(&host, "first", "retrying");
    let is_open = || (shown(&host, &dead)?["status"] == "open").then_some(());
    assert!(
        eventually(SOON, is_open).is_some(),
        "{:#?}",
        journal(&host, "first")
    );
    // The breaker knows before it is recorded.
    let is_recorded = || (attempts(&host, "first").len() == 3).then_some(());
    assert!(eventually(SOON, is_recorded).is_some());
    assert_has(
        &host.log(),
        &["the lane fails again and again, and is left alone"],
    );

    let waiting = ids("waiting", 5);
    send_all(&host, &waiting, &dead);
    send(&host, &bound("elsewhere", &fine));
    wait_for(&host, "elsewhere", "delivered");
    for id in &waiting {
        wait_until_deferred_or_probed(&host, id);
    }
    assert_has(
        &why(&host, &waiting[4]),
        &["but its lane http://127.0.0.1", "fails again and again"],
    );
    assert!(metrics(&host).contains("reason=\"breaker\"} "));

    let back = Sink::builder().address(address).start().unwrap();
    for id in &waiting {
        wait_for(&host, id, "delivered");
    }
    assert_eq!(back.count(), 5);
    assert_has(&host.log(), &["the lane works again"]);
    assert!(shown(&host, &dead).is_none(), "nothing is to be seen of it");
}

/// One of them may be the probe, which fails and is tried again as any other.
#[track_caller]
fn wait_until_deferred_or_probed(host: &Host, id: &str) {
    let waits = || get(host, id)["deliveries"][0]["due"].as_str().map(drop);
    assert!(
        eventually(SOON, waits).is_some(),
        "{id}: {:#}",
        get(host, id)
    );
}

/// Goal (D5): where a receiver says that it is gone, its lane is paused with the reason, over a restart too, until an
/// operator resumes it; the channel's other lanes go on.
#[test]
fn that_is_gone() {
    let (gone, fine) = (Sink::start().unwrap(), Sink::start().unwrap());
    gone.script("/", [Answer::status(410), Answer::status(200)]);
    let more = "retry = { schedule = [\"1ms\", \"1h\"] }";
    let mut host = host(&config(more, &[&gone, &fine]))
        .shipped("http")
        .start()
        .unwrap();
    send(&host, &bound("first", &gone));
    let is_paused = || (shown(&host, &gone)?["status"] == "paused").then_some(());
    assert!(eventually(SOON, is_paused).is_some());
    for is_restarted in [false, true] {
        if is_restarted {
            host.restart().unwrap();
        }
        let [waits, goes] = ["waits", "goes"].map(|name| format!("{name}-{is_restarted}"));
        send(&host, &bound(&waits, &gone));
        wait_until_deferred(&host, &waits);
        send(&host, &bound(&goes, &fine));
        wait_for(&host, &goes, "delivered");
        assert_has(
            &why(&host, &waits),
            &[
                "but its lane http://127.0.0.1",
                "is paused since",
                "by plugin http: http-410",
            ],
        );
        let (status, reasons) = health(&host);
        assert_eq!(status, "degraded");
        assert_eq!(reasons[0].0, "channel a (lanes paused)");
        assert_has(&reasons[0].1, &[&lane(&gone), "http-410"]);
        let (_, listed, _) = ended(host.cli(["channel", "list"]).unwrap());
        assert_has(
            &listed,
            &["LANE", &lane(&gone), "paused", "by plugin http: http-410"],
        );
        assert_has(
            &metrics(&host),
            &["wharf_lanes{channel=\"a\",state=\"paused\"} 1.0\n"],
        );
    }
    assert_eq!(gone.count(), 1);
    assert_eq!(
        steps(&host, "first"),
        ["queued accepted", "retrying failed"]
    );

    // Any URL there names the lane.
    let url = gone.url("/somewhere/else");
    let (code, said, _) = ended(
        host.cli(["channel", "resume", "a", "--lane", &url])
            .unwrap(),
    );
    assert_eq!(code, 0, "{said}");
    // What was deferred before the restart comes in its own time.
    wait_for(&host, "waits-true", "delivered");
    assert_eq!(health(&host).0, "ok");

    // An operator pauses one too.
    let url = fine.url("/");
    let pause = [
        "channel",
        "pause",
        "a",
        "--lane",
        &url,
        "--reason",
        "they asked for it",
    ];
    assert_eq!(ended(host.cli(pause).unwrap()).0, 0);
    send(&host, &bound("held", &fine));
    wait_until_deferred(&host, "held");
    assert_has(&why(&host, "held"), &["by an operator: they asked for it"]);
    assert_eq!(
        ended(
            host.cli(["channel", "resume", "a", "--lane", &url])
                .unwrap()
        )
        .0,
        0
    );
    wait_for(&host, "held", "delivered");
    let (code, _, error) = ended(
        host.cli(["channel", "pause", "a", "--lane", "fine"])
            .unwrap(),
    );
    assert_eq!(code, 1);
    assert_has(&error, &["invalid-field", "lane"]);
}

/// Goal (D5): a rate bounds each lane by itself, and all of a channel; what is too many waits without an attempt.
#[test]
fn whose_rate_is_used_up() {
    let (one, other) = (Sink::start().unwrap(), Sink::start().unwrap());
    let slow = config("lane-rate = \"1/h\"", &[&one, &other])
        + &channel_of(
            "http",
            "b",
            &format!("rate = \"2/h\"\nconfig.url = {:?}", one.url("/b")),
        );
    let host = host(&slow).shipped("http").start().unwrap();
    for (name, sink) in [("one", &one), ("other", &other)] {
        let ids = ids(name, 4);
        send_all(&host, &ids, sink);
        let is_first_through = || {
            let statuses: Vec<_> = ids
                .iter()
                .map(|id| get(&host, id)["status"].clone())
                .collect();
            statuses.contains(&json!("delivered")).then_some(statuses)
        };
        assert!(eventually(SOON, is_first_through).is_some());
        let waiting = ids
            .iter()
            .filter(|id| get(&host, id)["status"] != "delivered");
        let waiting: Vec<_> = waiting.collect();
        assert_eq!(waiting.len(), 3);
        for id in waiting {
            wait_until_deferred(&host, id);
        }
    }
    assert_eq!((one.count(), other.count()), (1, 1));
    for id in ids("b", 4) {
        send(&host, &message(&id, "b"));
    }
    let is_closed = || {
        let (_, listed, _) = ended(host.cli(["channel", "list", "--json"]).unwrap());
        let listed: Value = serde_json::from_str(&listed).unwrap();
        listed["channels"][1]["closed_until"].as_str().map(drop)
    };
    assert!(eventually(SOON, is_closed).is_some());
    wait_for(&host, "b-0", "delivered");
    assert_has(
        &why(&host, "b-3"),
        &["but the channel begins no attempt before"],
    );
    assert_eq!(one.requests().iter().filter(|r| r.path == "/b").count(), 1);
    for id in ids("b", 4).iter().skip(1) {
        assert_eq!(get(&host, id)["deliveries"][0]["attempts"], 0, "{id}");
    }
    assert_eq!(text(&get(&host, "b-0")["status"]), "delivered");
}
