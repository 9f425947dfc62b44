use serde_json::Value;
use wharf_testkit::process::HostBuilder;

use crate::support::{assert_has, ended};

/// Goal: `wharf config check` and `wharf serve` refuse a broken configuration with exit code 1, name
/// each key that is wrong and the nearest known one, and touch nothing.
#[test]
fn every_wrong_key_is_named_before_anything_starts() {
    let channel = "[[channel]]\nname = \"partner\"\nplugin = \"http\"\n";
    let with = |more: &str| format!("{channel}{more}");
    // Read as a whole: the first one that does not fit ends it, with its place.
    check(
        "[api]\nlisen = \"127.0.0.1:0\"",
        &["line 2", "lisen", "did you mean `listen`?"],
    );
    check("[apis]\n", &["apis", "did you mean `api`?"]);
    check("[store]\npath = 7", &["line 2", "path"]);
    check("[api\n", &["line 1"]);
    check(
        "[api]\ndrain-timeout = \"5 parsecs\"",
        &["drain-timeout", "5 parsecs", "10s"],
    );
    check(
        "[store]\naccept-free = \"10%\"",
        &["accept-free", "10%", "1GiB"],
    );
    check(
        "[store]\naccept-free = -1",
        &["line 2", "a number of bytes"],
    );
    check(
        "[store]\naccept-free = \"1MiB\"",
        &["store.dispatch-free", "256.0 MiB is more"],
    );
    check("[[channel]]\nname = \"a\"", &["missing field `plugin`"]);
    check(&with("url = \"http://x\""), &["unknown field `url`"]);
    check(
        &with("retry.attempt = 1"),
        &["attempt", "did you mean `attempts`?"],
    );
    check(&with("timeout = \"-1s\""), &["timeout", "negative"]);
    check(
        &with("[[route]]\nchannels = [\"partner\"]\nmode = \"fail-over\""),
        &["mode", "did you mean `failover`"],
    );
    // Checked one by one: all that is wrong comes at once.
    check(
        &format!(
            r#"{channel}
            parallelism = 0
            config.secret = {{ env = "NOT_SET" }}
            config.key = {{ file = "not-there" }}
            retry = {{ schedule = "hourly", base = "1s", factor = 0.5, jitter = 2.0, attempts = 0 }}
            {channel}
            timeout = "9223372036854775807s"
            [[channel]]
            name = "not a name"
            plugin = "http"
            [[route]]
            channels = []
            [[route]]
            name = "second"
            match = {{ n = 1, l = [1] }}
            channels = ["partnre"]
            [api]
            listen = "localhost"
            payload-max = "17MiB"
            token = {{ env = "NOT_SET_EITHER" }}
            drain-timeout = "25h"
            [egress]
            allow-addresses = ["127.0.0.1/99"]
            [plugins]
            folder = "x"
            [plugins.http]
            timeout = "2h"
            memory-max = "2GiB"
            instances-max = 0
            [plugins.json-map]
            allow-http = ["example.com"]
            memory = "1MiB"
            [plugins.stamp]
            sha256 = "abc"
            [plugins.file]
            allow-http-methods = ["post"]
            http-calls-max = 0
            output-max = "1KiB"
            log-lines-per-second = 0
            folders = [
                {{ path = "none", at = "/none" }},
                {{ path = "wharf.toml", at = "out" }},
                {{ path = "plugins", at = "/p", write = true }},
                {{ path = ".", at = "/p", write = true }},
            ]
            [hooks]
            post-event = ["audit", "audit"]
            "#
        ),
        &[
            "channel \"partner\": parallelism takes 1 to 100000",
            "channel \"partner\": config.secret: the environment variable NOT_SET is not set",
            "channel \"partner\": config.key: the file not-there cannot be read",
            "channel \"partner\": retry.schedule excludes base",
            "channel \"partner\": retry.schedule: there is no preset \"hourly\"; there are standard-webhooks",
            "channel \"partner\": retry.factor",
            "channel \"partner\": retry.jitter",
            "channel \"partner\": retry.attempts is 0",
            "channel \"partner\": there are two",
            "channel \"partner\": timeout takes more than 0s and at most 24h",
            "channel \"not a name\": its name",
            "route \"route-1\": it names no channels",
            "route \"second\": there is no channel \"partnre\"; did you mean \"partner\"?",
            "route \"second\": match.n",
            "route \"second\": match.l",
            "api.listen: \"localhost\" is no address",
            "api.payload-max: 17",
            "api.token: the environment variable NOT_SET_EITHER",
            "api.drain-timeout takes 0s to 24h",
            "egress.allow-addresses: \"127.0.0.1/99\"",
            "plugins: unknown field `folder`",
            "plugins.http.timeout takes more than 0s and at most 1h",
            "plugins.http.memory-max takes 64KiB to 1GiB",
            "plugins.http.instances-max takes 1",
            "plugins.json-map: unknown field `memory`, ",
            "plugins.stamp.sha256",
            "plugins.file.allow-http-methods: \"post\" is no method in upper case",
            "plugins.file.http-calls-max takes 1 to 10000",
            "plugins.file.output-max takes 64KiB to 1GiB",
            "plugins.file.log-lines-per-second takes 1 to",
            "plugins.file.folders: \"none\" cannot be opened: No such file",
            "plugins.file.folders: \"wharf.toml\" is no folder",
            "plugins.file.folders: \"wharf.toml\": at = \"out\" takes an absolute path",
            "plugins.file.folders: \".\": there are two at \"/p\"",
            "plugins.file.folders: \"plugins\" holds the plugin folder, which no plugin may change",
            "holds wharf.toml, which no plugin may change",
            "hooks.post-event: two are named \"audit\"",
        ],
    );
}

#[track_caller]
fn check(config: &str, named: &[&str]) {
    let host = HostBuilder::new(config).build().unwrap();
    let (code, said, error) = ended(host.cli(["config", "check"]).unwrap());
    assert_eq!((code, said.as_str()), (1, ""), "{error}");
    assert_has(&error, &["wharf.toml", "\n  try: "]);
    assert_has(&error, named);

    let (code, said, error) = ended(host.cli(["config", "check", "--json"]).unwrap());
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &said["ok"]), (1, &Value::Bool(false)), "{error}");
    let problems = said["problems"].as_array().unwrap();
    // One problem, of several words; or one problem for each.
    assert!(
        problems.len() == 1 || problems.len() == named.len(),
        "{problems:#?}"
    );

    let (code, said, error) = ended(host.cli(["serve"]).unwrap());
    assert_eq!((code, said.as_str()), (1, ""), "{error}");
    assert_has(&error, named);
    assert_has(&error, &["try: wharf config check"]);
    assert!(
        !host.path("wharf.redb").exists() && !error.contains("listening"),
        "it started"
    );
}

/// Goal: what a start puts up with, because the other channels go on, is a problem for the check: a plugin
/// without a file, and a URL that nothing can be posted to. No URL is shown, and no line of the file: they
/// can hold secrets.
#[test]
fn the_check_asks_for_plugins_and_urls_too() {
    let config = r#"
        [api]
        listen = "127.0.0.1:0"
        [plugins.htp]
        timeout = "1s"
        [[channel]]
        name = "a"
        plugin = "http"
        enrich = ["stmap"]
        convert = [{ plugin = "nothing-like-it" }]
        config.url = "https://user:s3cret@a.example/"
        [[channel]]
        name = "b"
        plugin = "htttp"
        config.url = "http://s3cret:99999/"
        [hooks]
        post-event = ["audit"]
        "#;
    let builder = HostBuilder::new(config).shipped("http").shipped("stamp");
    let mut host = builder.build().unwrap();
    let (code, said, error) = ended(host.cli(["config", "check"]).unwrap());
    assert_eq!((code, said.as_str()), (1, ""), "{error}");
    let named = [
        "7 problems",
        "channel \"a\": config.url: it carries a user name",
        "channel \"b\": config.url: its port",
        "channel \"a\": enrich: there is no file \"stmap.wasm\"",
        "did you mean \"stamp\"?",
        "channel \"a\": convert: there is no file \"nothing-like-it.wasm\"",
        "channel \"b\": plugin: there is no file \"htttp.wasm\"",
        "hooks.post-event: there is no file \"audit.wasm\"",
        "plugins.htp: there is no file \"htp.wasm\"",
        "did you mean \"http\"?",
        "\n  try: ",
    ];
    assert_has(&error, &named);
    assert!(!error.contains("s3cret"), "{error}");
    let (code, said, _) = ended(host.cli(["config", "check", "--json"]).unwrap());
    let said: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &said["ok"]), (1, &Value::Bool(false)));
    assert_eq!(said["problems"].as_array().unwrap().len(), 7);

    host.restart().unwrap();
    let log = host.log();
    let warns = |line: &str| line.contains("WARN") && line.contains("\"htp\"");
    assert!(log.lines().any(warns), "{log}");

    let mistyped = HostBuilder::new("[api]\ntokn = \"s3cret\"\n").build();
    let mistyped = mistyped.unwrap();
    for args in [&["config", "check"][..], &["serve"]] {
        let (code, _, error) = ended(mistyped.cli(args).unwrap());
        assert_eq!(code, 1);
        assert_has(&error, &["line 2, column 1", "did you mean `token`?"]);
        assert!(!error.contains("s3cret"), "{error}");
    }
}

/// Goal: a value from the environment or a flag is checked like one from the file; a file that is
/// not there is named with what makes one.
#[test]
fn what_is_put_over_the_file_is_checked_too() {
    let host = HostBuilder::new("")
        .env("WHARF_API_LISTEN", "nonsense")
        .build()
        .unwrap();
    let (code, _, error) = ended(host.cli(["config", "check"]).unwrap());
    assert_eq!(code, 1);
    assert_has(&error, &["api.listen", "nonsense"]);
    let (code, said, error) = ended(
        host.cli(["config", "check", "--listen", "[::1]:80"])
            .unwrap(),
    );
    assert_eq!(code, 0, "{error}");
    assert_has(&said, &["fine", "[::1]:80"]);
    let (code, _, error) = ended(host.cli(["serve", "--config", "none.toml"]).unwrap());
    assert_eq!(code, 1);
    assert_has(&error, &["none.toml", "wharf init"]);
}
