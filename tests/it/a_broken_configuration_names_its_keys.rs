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
    check("[[channel]]\nname = \"a\"", &["missing field `plugin`"]);
    check(&with("url = \"http://x\""), &["unknown field `url`"]);
    check(
        &with("retry.attempt = 1"),
        &["attempt", "did you mean `attempts`?"],
    );
    check(&with("timeout = \"-1s\""), &["timeout", "negative"]);
    check(
        &with("[[route]]\nchannels = [\"partner\"]\nmode = \"failover\""),
        &["mode", "failover"],
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
            [egress]
            allow-addresses = ["127.0.0.1/99"]
            [plugins]
            folder = "x"
            [plugins.http]
            allow-http = ["example.com"]
            memory = "1MiB"
            [plugins.stamp]
            sha256 = "abc"
            [hooks]
            post-event = ["audit", "audit"]
            "#
        ),
        &[
            "channel \"partner\": parallelism is 0",
            "channel \"partner\": config.secret: the environment variable NOT_SET is not set",
            "channel \"partner\": config.key: the file not-there cannot be read",
            "channel \"partner\": retry.schedule excludes base",
            "channel \"partner\": retry.schedule: there is no preset \"hourly\"; there are standard-webhooks",
            "channel \"partner\": retry.factor",
            "channel \"partner\": retry.jitter",
            "channel \"partner\": retry.attempts is 0",
            "channel \"partner\": there are two",
            "channel \"not a name\": its name",
            "route \"route-1\": it names no channels",
            "route \"second\": there is no channel \"partnre\"; did you mean \"partner\"?",
            "route \"second\": match.n",
            "route \"second\": match.l",
            "api.listen: \"localhost\" is no address",
            "api.payload-max: 17",
            "api.token: the environment variable NOT_SET_EITHER",
            "egress.allow-addresses: \"127.0.0.1/99\"",
            "plugins: unknown field `folder`",
            "plugins.http: unknown field `memory`, ",
            "plugins.stamp.sha256",
            "hooks.post-event: two are named \"audit\"",
        ],
    );
}

#[track_caller]
fn check(config: &str, named: &[&str]) {
    let host = HostBuilder::new(config).build().unwrap();
    let (code, said, error) = ended(host.cli(["config", "check"]).unwrap());
    assert_eq!((code, said.as_str()), (1, ""), "{error}");
    assert_has(&error, &["wharf.toml"]);
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
