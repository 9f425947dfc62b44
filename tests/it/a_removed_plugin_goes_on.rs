use wharf_testkit::process::shipped;
use wharf_testkit::sink::Sink;

use crate::folder::{
    digest, file, log_lines, reason, wait_for_file, wait_until_healthy, wait_until_loaded,
};
use crate::support::{
    assert_has, channel, ended, guest, health, host, message, send, steps, wait_for,
};

/// Goal: what runs does not notice that its file is gone; the list, the log and health say that a
/// start would miss it, and it does. What nothing uses is let go. A file that is put back counts.
#[test]
fn the_host_says_what_a_start_would_miss() {
    let sink = Sink::start().unwrap();
    let config = channel("a", &sink.url("/"), "convert = [\"shape\"]");
    let shape = guest("outcomes");
    let mut host = host(&config)
        .shipped("http")
        .shipped("stamp")
        .plugin("shape", &*shape)
        .start()
        .unwrap();
    assert_eq!(file(&host, "stamp")["state"], "loaded");
    host.remove_plugin("stamp").unwrap();
    wait_for_file(&host, "stamp", |file| file.is_null());
    assert_eq!(health(&host), ("ok".to_owned(), vec![]));

    host.remove_plugin("shape").unwrap();
    let gone = wait_for_file(&host, "shape", |file| file["state"] == "missing");
    assert_eq!(gone["digest"], digest(&shape));
    let (_, listed, _) = ended(host.cli(["plugin", "list"]).unwrap());
    assert_has(&listed, &["missing: ", "the next start would miss it"]);
    let parts = ["the file is gone", "goes on until the next start"];
    assert_has(&reason(&host, "shape.wasm"), &parts);
    assert_eq!(
        log_lines(&host, &["plugin file missing", "shape.wasm"]).len(),
        1
    );
    send(&host, &message("m1", "a"));
    wait_for(&host, "m1", "delivered");

    host.put_plugin("shape", &*shape).unwrap();
    wait_until_loaded(&host, "shape", &shape);
    wait_until_healthy(&host);
    host.remove_plugin("shape").unwrap();
    wait_for_file(&host, "shape", |file| file["state"] == "missing");

    host.restart().unwrap();
    assert!(file(&host, "shape").is_null());
    assert_has(
        &reason(&host, "channel a"),
        &["there is no plugin \"shape\""],
    );
    send(&host, &message("m2", "a"));
    wait_for(&host, "m2", "queued");
    // A bad one changes the reason, a good one ends the wait.
    host.put_plugin("shape", "no component").unwrap();
    wait_for_file(&host, "shape", |file| file["state"] == "refused");
    assert_has(&reason(&host, "channel a"), &["\"shape\" was refused"]);
    host.remove_plugin("shape").unwrap();
    wait_for_file(&host, "shape", |file| file.is_null());
    assert_has(
        &reason(&host, "channel a"),
        &["there is no plugin \"shape\""],
    );
    host.put_plugin("shape", shipped("json-map")).unwrap();
    wait_until_loaded(&host, "shape", &shipped("json-map"));
    host.put_plugin("shape", &*shape).unwrap();
    wait_until_loaded(&host, "shape", &shape);
    wait_for(&host, "m2", "delivered");
    assert_eq!(steps(&host, "m2")[0], "queued accepted");
    wait_until_healthy(&host);
}
