use serde_json::{Value, json};
use wharf_testkit::process::{Host, shipped};

use crate::folder::digest;
use crate::support::{assert_has, ended, guest, host};

/// Goal: `plugin check` says what a file is and how each of its imports is met, and why it would not load, by its exit
/// code too; under the grants that the configuration gives its name, and without a server.
#[test]
fn the_check_says_what_a_load_would() {
    let config = format!(
        "[plugins.greedy]\nallow-http = [\"https://a.example\"]\n[plugins.pinned]\nsha256 = \"{}\"\n[plugins.cramped]\nmemory-max = \"64KiB\"\n",
        "0".repeat(64)
    );
    let host = host("").file("granted.toml", config).build().unwrap();
    let components = [
        ("http", shipped("http")),
        ("greedy", guest("wants-http")),
        ("pinned", guest("outcomes")),
        ("cramped", guest("outcomes")),
        ("draft", guest("old-draft")),
        ("text", b"hello".to_vec()),
    ];
    for (name, component) in &components {
        host.write(format!("{name}.wasm"), component).unwrap();
    }

    let good = check(&host, "http", &[]).unwrap();
    assert_eq!(good["name"], "http");
    assert_eq!(good["digest"], digest(&components[0].1));
    assert_eq!(good["size_bytes"], components[0].1.len());
    assert_eq!(good["hooks"], json!(["request-channel"]));
    assert_has(good["summary"].as_str().unwrap(), &["webhook"]);
    let settings = good["settings"].as_array().unwrap();
    assert!(settings.iter().any(|setting| setting["key"] == "secret"));
    let met: Vec<_> = imports(&good).collect();
    assert!(
        met.contains(&("wasi:config/store@0.2.0-rc.1", "baseline")),
        "{met:?}"
    );
    assert!(met.iter().all(|(_, met)| *met == "baseline"), "{met:?}");

    for (name, args, parts) in [
        ("greedy", &[][..], &["imports `wasi:http/"][..]),
        ("draft", &[], &["another draft"]),
        ("text", &[], &["is not a WebAssembly component"]),
        ("absent", &[], &["cannot be read"]),
        (
            "pinned",
            &["--config", "granted.toml"],
            &["`sha256` pins 00000"],
        ),
        (
            "cramped",
            &["--config", "granted.toml"],
            &["failed its trial run", "64 KiB"],
        ),
    ] {
        let bad = check(&host, name, args).unwrap_err();
        assert_has(bad["problem"].as_str().unwrap(), parts);
    }
    for name in ["pinned", "cramped"] {
        check(&host, name, &[]).unwrap();
    }

    // All that could be found out is told, whatever the problem.
    let greedy = check(&host, "greedy", &[]).unwrap_err();
    assert_eq!(greedy["hooks"], json!(["channel"]));
    let http: Vec<_> = imports(&greedy)
        .filter(|(name, _)| name.starts_with("wasi:http/"))
        .collect();
    assert!(http.len() > 1, "{http:?}");
    assert!(http.iter().all(|(_, met)| *met == "ungranted"), "{http:?}");
    let granted = check(&host, "greedy", &["--config", "granted.toml"]).unwrap();
    let mut imports = granted["imports"].as_array().unwrap().iter();
    let http = imports.find(|import| import["met"] == "granted").unwrap();
    assert_has(http["name"].as_str().unwrap(), &["wasi:http/"]);
    assert_eq!(http["by"], "`allow-http` in [plugins.greedy]");
    assert_eq!(
        check(&host, "absent", &[]).unwrap_err()["digest"],
        Value::Null
    );

    // For people.
    let (code, said, error) = ended(host.cli(["plugin", "check", "http.wasm"]).unwrap());
    assert_eq!((code, error.as_str()), (0, ""));
    let digest = digest(&components[0].1);
    let parts = [
        "http.wasm: plugin \"http\"",
        &digest,
        " KiB",
        "hooks       request-channel",
        "wasi:config/store@0.2.0-rc.1 (baseline)",
        "secret (secret)",
    ];
    assert_has(&said, &parts);
    let (code, said, error) = ended(host.cli(["plugin", "check", "greedy.wasm"]).unwrap());
    assert_eq!(code, 1);
    assert_has(&said, &["hooks       channel", "(ungranted: "]);
    assert_has(&error, &["error: failed to load greedy.wasm", "try: "]);
    let (code, _, error) = ended(
        host.cli(["plugin", "check", "http.wasm", "--config", "absent.toml"])
            .unwrap(),
    );
    assert_eq!(code, 1);
    assert_has(&error, &["absent.toml"]);
    // A configuration that cannot be used says so, wherever it comes from.
    host.write("wharf.toml", "[plugin]").unwrap();
    let (code, _, error) = ended(host.cli(["plugin", "check", "http.wasm"]).unwrap());
    assert_eq!(code, 1);
    assert_has(&error, &["wharf.toml", "unknown field `plugin`"]);
}

/// What the check says as JSON; whether it is good, by its exit code.
fn check(host: &Host, name: &str, args: &[&str]) -> Result<Value, Value> {
    let file = format!("{name}.wasm");
    let all = ["plugin", "check", "--json", &file];
    let (code, said, _) = ended(host.cli(all.iter().chain(args)).unwrap());
    let view: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(view["problem"].is_null(), code == 0, "{view:#}");
    match code {
        0 => Ok(view),
        1 => Err(view),
        code => panic!("exit code {code}"),
    }
}

fn imports(view: &Value) -> impl Iterator<Item = (&str, &str)> {
    let imports = view["imports"].as_array().unwrap();
    imports.iter().map(|import| {
        let text = |key: &str| import[key].as_str().unwrap();
        (text("name"), text("met"))
    })
}
