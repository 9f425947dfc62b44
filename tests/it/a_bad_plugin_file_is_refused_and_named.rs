use serde_json::json;
use wharf_testkit::process::shipped;
use wharf_testkit::sink::Sink;

use crate::support::{
    assert_has, channel, channel_of, ended, guest, health, host, message, send, steps, wait_for,
};

/// An empty core module: magic, version 1, layer 0.
const CORE_MODULE: &[u8] = b"\0asm\x01\0\0\0";

/// Goal: what is no plugin of this host is refused by name with a reason that helps: no
/// WebAssembly, no component, an import that was not granted, another draft, not the pinned file,
/// no hook of the kind asked for, or no file at all. The host starts degraded, the other channels
/// go on, and what waits for the bad ones is delivered once they are put right.
#[test]
fn the_others_go_on_and_nothing_is_lost() {
    let sink = Sink::start().unwrap();
    let url = |name: &str| sink.url(&format!("/{name}"));
    let converted = |name: &str| channel(name, &url(name), &format!("convert = [\"{name}\"]"));
    let bad = [
        "text", "module", "torn", "imports", "draft", "pinned", "absent",
    ];
    let config: String = bad.iter().map(|name| converted(name)).collect();
    let config = config
        + &channel("good", &url("good"), "")
        + &channel_of("stamp", "no-channel", "")
        + &channel("nowhere", "nonsense", "")
        + &format!("[plugins.pinned]\nsha256 = \"{}\"\n", "0".repeat(64));
    let mut torn = guest("outcomes");
    torn.truncate(torn.len() / 2);
    let builder = host(&config)
        .shipped("http")
        .shipped("stamp")
        .plugin("text", "not a component")
        .plugin("module", CORE_MODULE)
        .plugin("torn", torn)
        .plugin("imports", guest("wants-http"))
        .plugin("draft", guest("old-draft"))
        .plugin("pinned", guest("outcomes"));
    let mut host = builder.start().unwrap();

    let (status, reasons) = health(&host);
    assert_eq!(status, "degraded");
    let check = |name: &str, parts: &[&str]| {
        let found = reasons.iter().find(|(named, _)| named.ends_with(name));
        let (_, reason) = found.unwrap_or_else(|| panic!("no {name} in {reasons:#?}"));
        assert_has(reason, parts);
    };
    check("text.wasm", &["not a WebAssembly component"]);
    check("module.wasm", &["not a WebAssembly component", "module"]);
    check("torn.wasm", &["the file is cut off"]);
    check("imports.wasm", &["imports `wasi:http/"]);
    check("draft.wasm", &["another draft", "0.1.0-draft.4"]);
    check("pinned.wasm", &["SHA-256", "sha256", "0000000000"]);
    for name in bad {
        let why = if name == "absent" {
            "there is no plugin"
        } else {
            "was refused: "
        };
        check(
            &format!("channel {name}"),
            &[why, name, "its deliveries wait"],
        );
    }
    check(
        "channel no-channel",
        &["`stamp`", "`request-channel`", "`enricher`"],
    );
    check("channel nowhere", &["config.url"]);
    assert_eq!(reasons.len(), 6 + 7 + 2, "{reasons:#?}");

    let (code, listed, _) = ended(host.cli(["plugin", "list"]).unwrap());
    assert_eq!(code, 0);
    for name in [
        "text.wasm",
        "module.wasm",
        "imports.wasm",
        "draft.wasm",
        "pinned.wasm",
    ] {
        let refused = |line: &&str| line.starts_with("refused: ") && line.contains(name);
        assert!(
            listed.lines().any(|line| refused(&line)),
            "{name}: {listed}"
        );
        assert!(
            host.log()
                .lines()
                .any(|line| line.contains("plugin refused") && line.contains(name))
        );
    }

    for name in bad.into_iter().chain(["no-channel", "nowhere", "good"]) {
        send(&host, &message(name, name));
    }
    wait_for(&host, "good", "delivered");
    for name in bad.into_iter().chain(["no-channel", "nowhere"]) {
        wait_for(&host, name, "queued");
        assert_eq!(steps(&host, name), ["queued accepted"], "{name}");
    }

    // Put right, one way or the other.
    for name in bad {
        host.put_plugin(name, guest("outcomes")).unwrap();
    }
    let repaired: String = bad.iter().map(|name| converted(name)).collect::<String>()
        + &channel("good", &url("good"), "")
        + &channel("no-channel", &url("no-channel"), "")
        + &channel("nowhere", &url("nowhere"), "");
    host.put_plugin("stamp", shipped("stamp")).unwrap();
    host.write(
        "wharf.toml",
        crate::support::may_reach_this_machine(&repaired),
    )
    .unwrap();
    host.restart().unwrap();
    assert_eq!(health(&host), ("ok".to_owned(), vec![]));
    for name in bad.into_iter().chain(["no-channel", "nowhere"]) {
        wait_for(&host, name, "delivered");
    }
    let bodies: Vec<_> = sink
        .requests()
        .into_iter()
        .map(|r| json!(String::from_utf8_lossy(&r.body)))
        .collect();
    assert_eq!(bodies.len(), 10);
    assert!(
        bad.iter()
            .all(|name| bodies.contains(&json!(format!("wrapped:{name}"))))
    );
}
