use crate::folder::{
    digest, log_lines, reason, wait_for_file, wait_until_healthy, wait_until_loaded,
    wait_until_passed_over,
};
use crate::support::{
    assert_has, attempts, channel_of, ended, guest, host, may_reach_this_machine, message, send,
    wait_for,
};

/// Goal: a new version that imports a power which was not granted does not come in by itself: it is
/// held, the old one goes on, and the log (once), the list and health say what it wants. At the
/// first load of a name there is nothing to go on with: there it is a refusal.
#[test]
fn until_it_is_granted_the_old_one_goes_on() {
    let config = channel_of("shape", "a", "");
    let (old, greedy) = (guest("outcomes"), guest("wants-http"));
    let mut host = host(&config).plugin("shape", &*old).start().unwrap();

    host.put_plugin("shape", &*greedy).unwrap();
    let held = wait_until_passed_over(&host, "shape", "held", &greedy, &old);
    assert_has(
        held["reason"].as_str().unwrap(),
        &["imports `wasi:http/", "outgoing-handler"],
    );
    let parts = [
        "wants more than it was granted",
        "imports `wasi:http/",
        "`allow-http = [\"https://example.com\"]` in [plugins.shape]",
        "goes on",
        "grant it in the configuration",
    ];
    assert_has(&reason(&host, "shape.wasm"), &parts);
    let (_, listed, _) = ended(host.cli(["plugin", "list"]).unwrap());
    let line = listed.lines().find(|line| line.starts_with("held: "));
    assert_has(line.unwrap(), &["shape.wasm", "imports `wasi:http/"]);
    send(&host, &message("m1", "a"));
    wait_for(&host, "m1", "delivered");
    assert_eq!(attempts(&host, "m1")[0]["hooks"][0]["digest"], digest(&old));

    // Another copy of it says nothing new; what was never there is refused.
    host.put_plugin("shape", &*greedy).unwrap();
    host.put_plugin("fresh", &*greedy).unwrap();
    let fresh = wait_for_file(&host, "fresh", |file| file["state"] == "refused");
    assert_eq!(fresh["digest"], serde_json::Value::Null);
    host.remove_plugin("fresh").unwrap();
    wait_for_file(&host, "fresh", |file| file.is_null());
    assert_eq!(log_lines(&host, &["plugin held", "shape.wasm"]).len(), 1);

    host.put_plugin("shape", &*old).unwrap();
    wait_until_loaded(&host, "shape", &old);
    wait_until_healthy(&host);

    // A start knows no old version. With the grant there is a new one.
    host.put_plugin("shape", &*greedy).unwrap();
    wait_until_passed_over(&host, "shape", "held", &greedy, &old);
    host.restart().unwrap();
    wait_for_file(&host, "shape", |file| file["state"] == "refused");
    assert_has(
        &reason(&host, "channel a"),
        &["was refused", "imports `wasi:http/"],
    );
    let granted = config + "[plugins.shape]\nallow-http = [\"https://example.com\"]\n";
    host.write("wharf.toml", may_reach_this_machine(&granted))
        .unwrap();
    host.restart().unwrap();
    wait_until_loaded(&host, "shape", &greedy);
    wait_until_healthy(&host);
    // What is granted already comes in at once.
    host.put_plugin("shape", &*old).unwrap();
    wait_until_loaded(&host, "shape", &old);
    host.put_plugin("shape", &*greedy).unwrap();
    wait_until_loaded(&host, "shape", &greedy);
}
