use wharf_testkit::sink::Sink;

use crate::support::{
    assert_has, channel, ended, get, health, host, may_reach_this_machine, message, send, wait_for,
};

/// Goal (E6): what waits for a channel that the configuration does not have any more is neither lost nor sent, and
/// health says so; configured again, it is delivered.
#[test]
fn health_names_it() {
    let sink = Sink::start().unwrap();
    let config = channel("a", &sink.url("/"), "");
    let mut host = host(&config).shipped("http").start().unwrap();
    host.cli(["channel", "pause", "a"]).unwrap();
    send(&host, &message("m1", "a"));

    host.write("wharf.toml", may_reach_this_machine(""))
        .unwrap();
    host.restart().unwrap();
    let (status, reasons) = health(&host);
    assert_eq!(status, "degraded");
    let (name, reason) = &reasons[0];
    assert_eq!(name, "channel a");
    assert_has(reason, &["not configured", "1 deliveries wait"]);
    assert_eq!(get(&host, "m1")["status"], "queued");
    let (_, why, _) = ended(host.cli(["why", "m1"]).unwrap());
    assert_has(
        &why,
        &["next: attempt 1", "but channel a is not configured"],
    );

    host.write("wharf.toml", may_reach_this_machine(&config))
        .unwrap();
    host.restart().unwrap();
    host.cli(["channel", "resume", "a"]).unwrap();
    wait_for(&host, "m1", "delivered");
    assert_eq!(health(&host).1, []);
}
