use wharf_testkit::process::{Host, eventually};
use wharf_testkit::sink::Sink;

use crate::support::{
    SOON, channel, guest, health, host, may_reach_this_machine, message, send, steps, wait_for,
};

/// Goal (J1, J2): hooks that trap, loop and eat memory on every batch fail no delivery and do not
/// disturb the hook beside them; what a failing hook did not take comes again, after a restart too,
/// from the first event on, also of unroutable messages.
#[test]
fn failing_hooks_are_told_again_later() {
    let sink = Sink::start().unwrap();
    let config = |level: &str| {
        let hooks = format!(
            r#"
            [plugins.misbehave]
            timeout = "200ms"
            memory-max = "32MiB"
            [hooks]
            post-event = [
                "audit",
                {{ plugin = "audit", name = "late", config = {{ level = "{level}" }} }},
                {{ plugin = "misbehave", name = "trapping", config = {{ misbehave = "trap" }} }},
                {{ plugin = "misbehave", name = "looping", config = {{ misbehave = "spin" }} }},
                {{ plugin = "misbehave", name = "hogging", config = {{ misbehave = "hog" }} }},
                {{ plugin = "misbehave", name = "refusing", config = {{ misbehave = "refuse" }} }},
            ]
            "#
        );
        channel("a", &sink.url("/"), "") + &hooks
    };
    let builder = host(&config("shout")).shipped("http").shipped("audit");
    let mut host = builder
        .plugin("misbehave", guest("misbehave"))
        .start()
        .unwrap();
    for n in 0..10 {
        let id = format!("m{n}");
        send(&host, &message(&id, "a"));
        wait_for(&host, &id, "delivered");
        assert_eq!(steps(&host, &id), ["queued accepted", "delivered sent"]);
    }
    send(&host, &message("nowhere", "nobody"));

    let told = |line: &str| line.contains("message_id=nowhere") && line.contains("to=unroutable");
    wait_for_log(&host, |log| log.lines().any(told));
    for (hook, reason) in [
        ("late", "`level`"),
        ("trapping", "trapped"),
        ("looping", "ran longer than its limit of 200ms"),
        ("hogging", "needed more memory than its limit of 32 MiB"),
        ("refusing", "told to refuse"),
    ] {
        // On a busy machine one call may break another limit first, and a line may be half written; it fails again.
        let told = |line: &str| {
            let parts = ["post-event hook failed", hook, reason, "plugin"];
            parts.iter().all(|part| line.contains(part))
        };
        wait_for_log(&host, |log| log.lines().any(told));
    }
    // Health names the hooks that do not take their events, and no other.
    let hooks = ["hogging", "late", "looping", "refusing", "trapping"];
    let expected = hooks.map(|hook| format!("post-event {hook}"));
    let named = || {
        health(&host)
            .1
            .into_iter()
            .map(|(name, _)| name)
            .collect::<Vec<_>>()
    };
    assert!(
        eventually(SOON, || (named() == expected).then_some(())).is_some(),
        "{:?}",
        named()
    );

    // The hook that could not work hears of everything once it can.
    host.write("wharf.toml", may_reach_this_machine(&config("error")))
        .unwrap();
    host.restart().unwrap();
    let told = |log: &str| {
        let lines: Vec<_> = log.lines().filter(|line| line.contains("ERROR")).collect();
        let has = |id: &str, to: &str| {
            let (id, to) = (format!("message_id={id} "), format!("to={to}"));
            lines
                .iter()
                .any(|line| line.replace('"', "").contains(&id) && line.contains(&to))
        };
        (0..10).all(|n| has(&format!("m{n}"), "queued") && has(&format!("m{n}"), "delivered"))
            && has("nowhere", "unroutable")
    };
    wait_for_log(&host, told);
    assert_eq!(sink.count(), 10);
}

/// Goal (J2): a batch that is too much for the hook's memory comes again in halves, until it fits.
#[test]
fn large_events_do_not_stop_a_hook() {
    let config = "[plugins.audit]\nmemory-max = \"6MiB\"\n[hooks]\npost-event = [\"audit\"]\n";
    let host = host(config).shipped("audit").start().unwrap();
    let wide: serde_json::Map<_, _> = (0..32)
        .map(|n| (format!("k{n}"), "x".repeat(8000).into()))
        .collect();
    let lines: Vec<_> = (0..40)
        .map(|n| serde_json::json!({ "id": format!("wide-{n}"), "attributes": wide }))
        .collect();
    crate::support::post_batch(&host, &lines);
    wait_for_log(&host, |log| {
        (0..40).all(|n| log.contains(&format!("message_id=wide-{n} ")))
    });
}

#[track_caller]
fn wait_for_log(host: &Host, wanted: impl Fn(&str) -> bool) {
    let found = eventually(SOON, || wanted(&host.log()).then_some(()));
    assert!(found.is_some(), "{}", host.log());
}
