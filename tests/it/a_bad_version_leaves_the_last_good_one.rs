use wharf_testkit::process::shipped;
use wharf_testkit::sink::Sink;

use crate::folder::{
    digest, log_lines, reason, wait_until_healthy, wait_until_loaded, wait_until_passed_over,
};
use crate::support::{assert_has, channel, ended, guest, host, message, send, wait_for};

/// Goal: whatever is wrong with a new version, the last good one goes on as if nothing had been
/// put there; the log says why once, the list shows both digests, health is degraded; a good one
/// clears it all.
#[test]
fn whatever_is_wrong_the_old_one_goes_on() {
    let sink = Sink::start().unwrap();
    let config = channel("a", &sink.url("/"), "convert = [\"shape\"]")
        + "[plugins.shape]\nmemory-max = \"2MiB\"\n";
    let good = guest("outcomes");
    let host = host(&config)
        .shipped("http")
        .plugin("shape", &*good)
        .start()
        .unwrap();

    let bad: [(&str, Vec<u8>, &[&str]); 4] = [
        (
            "text",
            b"not a component".to_vec(),
            &["is not a WebAssembly component"],
        ),
        ("draft", guest("old-draft"), &["another draft"]),
        // A fine plugin, but not for what it is used as.
        (
            "enricher",
            shipped("stamp"),
            &["channel a cannot go on with it", "no hook `converter`"],
        ),
        (
            "memory",
            hungry(&good),
            &["failed its trial run", "memory than its limit of 2 MiB"],
        ),
    ];
    for (name, component, parts) in &bad {
        host.put_plugin("shape", component).unwrap();
        let file = wait_until_passed_over(&host, "shape", "refused", component, &good);
        assert_has(file["reason"].as_str().unwrap(), parts);
        let told = reason(&host, "shape.wasm");
        assert_has(&told, parts);
        assert_has(&told, &[&digest(&good)[..12], "goes on"]);
        let (_, listed, _) = ended(host.cli(["plugin", "list"]).unwrap());
        let row = listed.lines().find(|line| line.starts_with("shape "));
        assert_has(row.unwrap(), &["refused", &digest(&good)[..12]]);
        let line = listed.lines().find(|line| line.starts_with("refused: "));
        assert_has(line.unwrap(), &["shape.wasm", &digest(component)[..12]]);
        send(&host, &message(name, "a"));
        wait_for(&host, name, "delivered");
        let body = sink.requests().pop().unwrap().body;
        assert_eq!(body, format!("wrapped:{name}"));
    }

    // Written once more, and looked at once more: nothing new, so nothing is said.
    let (_, last, _) = &bad[3];
    host.put_plugin("shape", last).unwrap();
    host.hang_up().unwrap();
    host.put_plugin("other", &good).unwrap();
    wait_until_loaded(&host, "other", &good);
    for (name, component, _) in &bad {
        let said = log_lines(&host, &["plugin refused", &digest(component)]);
        assert_eq!(said.len(), 1, "{name}");
    }

    host.put_plugin("shape", &good).unwrap();
    wait_until_loaded(&host, "shape", &good);
    wait_until_healthy(&host);
}

/// The same component, whose instances begin with 8 MiB of memory instead of 1.
fn hungry(component: &[u8]) -> Vec<u8> {
    // A core module's memory section with one memory that has no maximum: id, size, count, flags; then pages of 64 KiB.
    let section = [5, 3, 1, 0];
    let place = component
        .windows(section.len())
        .position(|window| window == section)
        .expect("a memory section");
    let mut hungry = component.to_vec();
    hungry[place + section.len()] = 0x7f;
    hungry
}
