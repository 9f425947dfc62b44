use serde_json::{Value, json};
use wharf_testkit::process::{Host, eventually};
use wharf_testkit::sink::{Answer, Sink};

use crate::support::{
    SOON, attempts, channel, host, journal, may_reach_this_machine, message, post_batch, send,
    steps, time, wait_for,
};

const DAY_MS: u64 = 86_400_000;

/// Goal (D4): waits follow the channel's explicit or exponential schedule; the budget of attempts or
/// age spent, the delivery is dead: kept, shown with every attempt, and not sent again by a restart.
#[test]
fn waits_are_as_configured_and_the_budget_ends() {
    let sink = Sink::start().unwrap();
    sink.otherwise(Answer::status(500));
    let retry = |keys: &str| format!("retry = {{ jitter = 0.0, {keys} }}");
    let config = [
        channel(
            "explicit",
            &sink.url("/explicit"),
            &retry(r#"schedule = ["30ms", "10ms"]"#),
        ),
        channel(
            "grown",
            &sink.url("/grown"),
            &retry(r#"base = "10ms", factor = 3, max = "50ms", attempts = 5"#),
        ),
        channel(
            "cut",
            &sink.url("/cut"),
            &retry(r#"schedule = ["10ms", "20ms"], attempts = 2"#),
        ),
        // The second wait would end after the age.
        channel(
            "aged",
            &sink.url("/aged"),
            &retry(r#"schedule = ["1ms", "2h"], max-age = "1h""#),
        ),
    ];
    let mut host = host(&config.concat()).shipped("http").start().unwrap();
    let channels = ["explicit", "grown", "cut", "aged"];
    for channel in channels {
        send(&host, &message(channel, channel));
    }
    for is_restarted in [false, true] {
        if is_restarted {
            host.restart().unwrap();
        }
        check(&host, "explicit", &[30, 10], "dead attempts-spent");
        check(&host, "grown", &[10, 30, 50, 50], "dead attempts-spent");
        check(&host, "cut", &[10], "dead attempts-spent");
        check(&host, "aged", &[1], "dead age-spent");
    }
    assert_eq!(sink.count(), 3 + 5 + 2 + 2);
}

/// Goal (D4): the receiver's `Retry-After`, in seconds or as a date, lengthens a wait and is clamped
/// to a day; what it has no say in keeps the schedule.
#[test]
fn the_receivers_wish_is_honoured_and_clamped() {
    let sink = Sink::start().unwrap();
    let wish = |status, wish: &str| Answer::status(status).retry_after(wish);
    let cases = [
        ("seconds", wish(429, "120"), 120_000),
        ("shorter", wish(503, "1"), 60_000),
        ("nonsense", wish(503, "soon"), 60_000),
        ("too-long", wish(429, "99999999"), DAY_MS),
        ("overflowing", wish(503, "99999999999999999999999"), DAY_MS),
        ("date", wish(503, "Thu, 31 Dec 2099 23:59:59 GMT"), DAY_MS),
        (
            "past-date",
            wish(503, "Sun, 06 Nov 1994 08:49:37 GMT"),
            60_000,
        ),
    ];
    let retry = "retry = { schedule = [\"1m\"], jitter = 0.0 }";
    let config: String = cases
        .iter()
        .map(|(name, ..)| channel(name, &sink.url(&format!("/{name}")), retry))
        .collect();
    let host = host(&config).shipped("http").start().unwrap();
    for (name, answer, wait) in cases {
        sink.script(&format!("/{name}"), [answer]);
        send(&host, &message(name, name));
        let view = wait_for(&host, name, "retrying");
        assert_eq!(waits(&host, name), [wait], "{name}");
        assert_eq!(
            view["deliveries"][0]["due"],
            journal(&host, name)[1]["due"],
            "{name}"
        );
    }
    assert_eq!(sink.count(), 7);
}

/// Goal (D4): in `http` every status that is not 2xx is a retry, with the effect that it has;
/// `reject-on` makes statuses final.
#[test]
fn statuses_are_retried_unless_they_are_to_be_final() {
    let sink = Sink::start().unwrap();
    let retry = "retry = { schedule = [\"1h\"] }";
    let config = [
        channel("retries", &sink.url("/"), retry),
        channel(
            "rejects",
            &sink.url("/"),
            &format!("{retry}\nconfig.reject-on = [400, 422]"),
        ),
    ];
    let host = host(&config.concat()).shipped("http").start().unwrap();
    for (to, status, step, effect) in [
        ("retries", 302, "retrying failed", json!("unknown")),
        ("retries", 400, "retrying failed", json!("none")),
        ("retries", 404, "retrying failed", json!("none")),
        ("retries", 500, "retrying failed", json!("unknown")),
        ("retries", 503, "retrying failed", json!("unknown")),
        ("rejects", 400, "rejected refused", Value::Null),
        ("rejects", 422, "rejected refused", Value::Null),
        ("rejects", 404, "retrying failed", json!("none")),
        ("rejects", 202, "delivered sent", Value::Null),
    ] {
        let id = format!("{to}-{status}");
        sink.script(
            "/",
            [Answer::status(status).header("location", "/elsewhere")],
        );
        send(&host, &message(&id, to));
        wait_for(&host, &id, step.split(' ').next().unwrap());
        assert_eq!(steps(&host, &id), ["queued accepted", step], "{id}");
        let attempt = attempts(&host, &id).remove(0);
        assert_eq!(attempt["effect"], effect, "{id}");
        let code = (status != 202).then(|| format!("http-{status}"));
        assert_eq!(attempt["code"].as_str(), code.as_deref(), "{id}");
    }
    assert!(
        sink.requests().iter().all(|r| r.path == "/"),
        "redirects are not followed"
    );
    assert_eq!(sink.count(), 9);
}

/// Goal (D4): an exchange without an answer is a retry too; whether it can have had an effect is known by whether
/// anything was sent.
#[test]
fn no_answer_is_a_retry_with_its_effect() {
    let (sink, mut gone) = (Sink::start().unwrap(), Sink::start().unwrap());
    sink.script("/closes", [Answer::close()]);
    sink.script("/silent", [Answer::silence()]);
    gone.stop();
    let more = "timeout = \"500ms\"\nretry = { schedule = [\"1h\"] }";
    let cases = [
        ("refuses", gone.url("/"), "connect", "none"),
        ("closes", sink.url("/closes"), "closed", "unknown"),
        ("silent", sink.url("/silent"), "timeout", "unknown"),
    ];
    let config: String = cases
        .iter()
        .map(|(name, url, ..)| channel(name, url, more))
        .collect();
    let host = host(&config).shipped("http").start().unwrap();
    for (id, _, code, effect) in cases {
        send(&host, &message(id, id));
        wait_for(&host, id, "retrying");
        assert_eq!(steps(&host, id), ["queued accepted", "retrying failed"]);
        let attempt = attempts(&host, id).remove(0);
        let found = (&attempt["code"], &attempt["effect"]);
        assert_eq!(found, (&json!(code), &json!(effect)), "{id}");
    }
}

/// Goal (D4): jitter varies a wait both ways by its share and no further; over the receiver's wish it only adds.
#[test]
fn jitter_stays_within_its_share() {
    let sink = Sink::start().unwrap();
    let wish = Answer::status(503).retry_after("100");
    sink.script("/wished", [wish]);
    sink.script("/own", [Answer::status(500)]);
    let retry = |wait: &str| format!("retry = {{ schedule = [\"{wait}\"], jitter = 0.5 }}");
    let config = channel("own", &sink.url("/own"), &retry("100s"))
        + &channel("wished", &sink.url("/wished"), &retry("1s"));
    let host = host(&config).shipped("http").start().unwrap();
    for (channel, shortest, longest) in [("own", 50_000, 150_000), ("wished", 100_000, 150_000)] {
        let ids: Vec<String> = (0..50).map(|n| format!("{channel}-{n}")).collect();
        let lines: Vec<Value> = ids.iter().map(|id| message(id, channel)).collect();
        post_batch(&host, &lines);
        let mut all: Vec<u64> = Vec::new();
        for id in &ids {
            wait_for(&host, id, "retrying");
            all.extend(waits(&host, id));
        }
        all.sort_unstable();
        let (first, last) = (all[0], all[all.len() - 1]);
        assert!(shortest <= first && last <= longest, "{channel}: {all:?}");
        // All 50 in one half of where they may be is as good as impossible.
        let middle = u64::midpoint(shortest, longest);
        assert!(first < middle && middle < last, "{channel}: {all:?}");
    }
}

/// Goal (D4, K5): the presets wait exactly as their origins do, and then give up. Nobody waits for these waits here: each
/// delivery comes to its attempt under a quick schedule, is cut off in it by a crash, and makes it under the preset.
#[test]
fn presets_are_followed_to_their_ends() {
    let sink = Sink::start().unwrap();
    let presets: [(&str, &[u64]); 2] = [
        ("acapy", &[5_000, 7_500, 11_200, 16_700, 25_000]),
        (
            "standard-webhooks",
            &[5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400].map(|s| s * 1000),
        ),
    ];
    let all = || {
        let numbered = |(preset, waits): (&'static str, &[u64])| {
            let numbers = 1..=waits.len() + 1;
            numbers.map(move |n| (format!("{preset}-{n}"), preset, n))
        };
        presets.into_iter().flat_map(numbered)
    };
    let config = |retry: &dyn Fn(&str) -> String| -> String {
        all()
            .map(|(name, preset, _)| channel(&name, &sink.url(&format!("/{name}")), &retry(preset)))
            .collect()
    };
    let quick = |_: &str| format!("retry = {{ schedule = {:?}, jitter = 0.0 }}", ["1ms"; 10]);
    let mut host = host(&config(&quick)).shipped("http").start().unwrap();
    for (name, _, number) in all() {
        let failures = std::iter::repeat_n(Answer::status(500), number - 1);
        sink.script(&format!("/{name}"), failures.chain([Answer::silence()]));
        send(&host, &message(&name, &name));
    }
    let attempts_count = all().map(|(.., number)| number as u64).sum();
    sink.wait_for_count(SOON, attempts_count).unwrap();
    host.kill_9().unwrap();

    for (name, ..) in all() {
        sink.script(&format!("/{name}"), [Answer::status(500)]);
    }
    let preset = |preset: &str| match preset {
        // It has no jitter of its own.
        "acapy" => format!("retry = {{ schedule = {preset:?} }}"),
        preset => format!("retry = {{ schedule = {preset:?}, jitter = 0.0 }}"),
    };
    let config = may_reach_this_machine(&config(&preset));
    host.write("wharf.toml", config).unwrap();
    host.restart().unwrap();
    for (name, preset, number) in all() {
        let (_, expected) = presets.iter().find(|(name, _)| *name == preset).unwrap();
        let is_last = number > expected.len();
        wait_for_attempt(&host, &name, number);
        if is_last {
            wait_for(&host, &name, "dead");
            assert_eq!(steps(&host, &name).last().unwrap(), "dead attempts-spent");
        } else {
            let waited = waits(&host, &name).pop();
            assert_eq!(waited, Some(expected[number - 1]), "{name}");
        }
        let made = attempts(&host, &name);
        assert_eq!(made.len(), number, "{name}");
        assert_eq!(made[number - 1]["number"], number, "{name}");
    }
    // Each once more than before.
    assert_eq!(sink.count(), attempts_count + all().count() as u64);
}

#[track_caller]
fn wait_for_attempt(host: &Host, id: &str, number: usize) {
    let made = eventually(SOON, || (attempts(host, id).len() == number).then_some(()));
    assert!(made.is_some(), "{id}: {:#?}", journal(host, id));
}

#[track_caller]
fn check(host: &Host, id: &str, expected: &[u64], end: &str) {
    wait_for(host, id, "dead");
    assert_eq!(waits(host, id), expected, "{id}");
    assert_eq!(steps(host, id).last().unwrap(), end, "{id}");
    let numbers: Vec<_> = attempts(host, id)
        .iter()
        .map(|a| a["number"].as_u64().unwrap())
        .collect();
    assert_eq!(
        numbers,
        (1..=expected.len() as u64 + 1).collect::<Vec<_>>(),
        "{id}"
    );
}

/// From each retrying row's time to when it is due, in milliseconds.
fn waits(host: &Host, id: &str) -> Vec<u64> {
    let rows = journal(host, id)
        .into_iter()
        .filter(|row| row["to"] == "retrying");
    rows.map(|row| time(&row["due"]).0 - time(&row["at"]).0)
        .collect()
}
