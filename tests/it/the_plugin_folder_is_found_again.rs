use std::fs;
use std::os::unix::fs::symlink;

use wharf_testkit::process::eventually;
use wharf_testkit::sink::Sink;

use crate::folder::{folder, reason, version, wait_until_healthy, wait_until_loaded};
use crate::support::{SOON, assert_has, channel, guest, health, host, message, send, wait_for};

/// Goal: a folder that is gone takes nothing with it, and one that takes its place is watched like
/// the first; links to versions that are elsewhere count as files do.
#[test]
fn a_folder_can_go_and_come() {
    let sink = Sink::start().unwrap();
    let config = channel("a", &sink.url("/"), "convert = [\"shape\"]");
    let versions: Vec<_> = (0..3)
        .map(|n| version(&guest("outcomes"), "wrapped:", &format!("wrap--{n}:")))
        .collect();
    let host = host(&config)
        .shipped("http")
        .plugin("shape", &*versions[0])
        .start()
        .unwrap();
    let deliver = |id: &str, mark: &str| {
        send(&host, &message(id, "a"));
        wait_for(&host, id, "delivered");
        let body = sink.requests().pop().unwrap().body;
        assert_eq!(body, format!("{mark}:{id}"));
    };

    let (dir, away) = (host.path("plugins"), host.path("away"));
    fs::rename(&dir, &away).unwrap();
    let degraded = eventually(SOON, || (health(&host).0 == "degraded").then_some(()));
    assert!(degraded.is_some());
    assert_has(&reason(&host, "plugins"), &["it cannot be read"]);
    assert_has(
        folder(&host)["problem"].as_str().unwrap(),
        &["it cannot be read"],
    );
    deliver("m1", "wrap--0");

    // Another folder of that name, with another version in it.
    fs::create_dir(host.path("next")).unwrap();
    fs::copy(away.join("http.wasm"), host.path("next/http.wasm")).unwrap();
    host.write("next/shape.wasm", &versions[1]).unwrap();
    fs::rename(host.path("next"), &dir).unwrap();
    wait_until_loaded(&host, "shape", &versions[1]);
    wait_until_healthy(&host);
    deliver("m2", "wrap--1");

    // A link to a version, put in place by a rename as tools for deployment do.
    host.write("versions/2.wasm", &versions[2]).unwrap();
    let link = host.path("shape-link");
    symlink(host.path("versions/2.wasm"), &link).unwrap();
    fs::rename(&link, dir.join("shape.wasm")).unwrap();
    wait_until_loaded(&host, "shape", &versions[2]);
    deliver("m3", "wrap--2");
    wait_until_healthy(&host);
}
