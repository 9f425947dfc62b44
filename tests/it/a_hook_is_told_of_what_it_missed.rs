use wharf_testkit::process::{Host, eventually};
use wharf_testkit::sink::Sink;

use crate::support::{
    SOON, assert_has, channel, guest, health, host, may_reach_this_machine, message, send, wait_for,
};

const CLOSED: &str =
    r#"post-event = [{ plugin = "misbehave", name = "slow", config = { misbehave = "refuse" } }]"#;
const OPEN: &str = r#"post-event = [{ plugin = "audit", name = "slow" }]"#;

/// Goal (J3): retention removes nothing that a live post-event hook has yet to be told, however old or much it is, but past
/// the hard cap: then health, metrics and the log say so, and the hook is told of the gap before it is told what came
/// after it. The cursor of a hook that is configured no more holds back nothing.
#[test]
fn and_goes_on_after_it() {
    let sink = Sink::start().unwrap();
    let config = |hooks: &str, store: &str| {
        let ages = "retention = \"0s\"\njournal-retention = \"0s\"\ndead-letter-retention = \"0s\"";
        let text = format!("[store]\n{ages}\n{store}\n[hooks]\n{hooks}\n");
        text + &channel("a", &sink.url("/"), "")
    };
    let mut host = host(&config(CLOSED, ""))
        .shipped("http")
        .shipped("audit")
        .plugin("misbehave", guest("misbehave"))
        .start()
        .unwrap();
    let restart = |host: &mut Host, hooks: &str, store: &str| {
        host.terminate().unwrap();
        host.write("wharf.toml", may_reach_this_machine(&config(hooks, store)))
            .unwrap();
        host.restart().unwrap();
    };

    // The hook is there before the first message, and takes nothing.
    for n in 0..20 {
        send(&host, &message(&format!("m{n}"), "a"));
        wait_for(&host, &format!("m{n}"), "delivered");
    }
    wait_for_rounds(&host, 2);
    assert_eq!(number(&host, "wharf_store_first{of=\"journal\"}"), 1.0);
    assert_eq!(number(&host, "wharf_messages"), 20.0);
    assert_eq!(number(&host, "wharf_post_event_missed_rows_total"), 0.0);

    restart(&mut host, CLOSED, "journal-hard-cap = \"1KiB\"");
    let has_missed =
        || Some(number(&host, "wharf_post_event_missed_rows_total")).filter(|n| *n > 0.0);
    assert!(eventually(SOON, has_missed).is_some(), "{}", host.log());
    let (_, reasons) = health(&host);
    let journal = reasons.iter().find(|(name, _)| name == "journal");
    assert_has(
        &journal.unwrap().1,
        &["journal-hard-cap", "misses its rows 1 to"],
    );
    let line = "rows were removed that a post-event hook had yet to be told";
    let has_said = || host.log().contains(line).then_some(());
    assert!(eventually(SOON, has_said).is_some(), "{}", host.log());
    send(&host, &message("after", "a"));
    wait_for(&host, "after", "delivered");

    // Mended, it is told what it missed, and then what came next.
    restart(&mut host, OPEN, "journal-hard-cap = \"1GiB\"");
    let told = |parts: &[&str]| {
        let log = host.log();
        let is_it = |line: &str| parts.iter().all(|part| line.contains(part));
        let line = log.lines().enumerate().find(|(_, line)| is_it(line));
        line.map(|(place, line)| (place, line.to_owned()))
    };
    let after = ["post-event slow", "message_id=after", "to=delivered"];
    let (after, _) = eventually(SOON, || told(&after)).unwrap_or_else(|| panic!("{}", host.log()));
    let (gap, line) =
        told(&["post-event slow", "journal gap"]).unwrap_or_else(|| panic!("{}", host.log()));
    assert!(gap < after, "{}", host.log());
    assert_has(&line, &["first=1", "last=", "cause=gap"]);
    // The mended hook has passed the gap: health has no more to say.
    assert_eq!(health(&host).0, "ok");

    // Without the hook its cursor says nothing, and all goes.
    restart(&mut host, CLOSED, "");
    send(&host, &message("last", "a"));
    wait_for(&host, "last", "delivered");
    restart(&mut host, "", "");
    let is_empty = || (number(&host, "wharf_messages") == 0.0).then_some(());
    assert!(eventually(SOON, is_empty).is_some(), "{}", host.log());
}

/// Waits until everything was looked through so many times from now on.
#[track_caller]
fn wait_for_rounds(host: &Host, count: u64) {
    let rounds = || number(host, "wharf_retention_rounds_total");
    let before = rounds();
    let are_made = || (rounds() >= before + count as f64).then_some(());
    assert!(eventually(SOON, are_made).is_some(), "{}", host.log());
}

/// A number of `/metrics`.
#[track_caller]
fn number(host: &Host, name: &str) -> f64 {
    let page = host.http("GET", "/metrics", &[], b"").unwrap().text();
    let name = format!("{name} ");
    let line = page.lines().find_map(|line| line.strip_prefix(&name));
    let line = line.unwrap_or_else(|| panic!("no {name} in {page}"));
    line.trim().parse().unwrap()
}
