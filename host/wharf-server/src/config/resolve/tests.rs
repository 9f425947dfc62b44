use std::path::Path;

use wharf_core::limits;

use super::super::Overrides;
use super::parse;

fn check(text: &str, expected: &[&str]) {
    let problems = match parse(text, Path::new("."), Overrides::default()) {
        Ok(_) => Vec::new(),
        Err(problems) => problems,
    };
    assert_eq!(problems.len(), expected.len(), "{problems:#?}");
    for (problem, expected) in problems.iter().zip(expected) {
        assert!(
            problem.contains(expected),
            "{problem:?} has no {expected:?}"
        );
    }
}

#[test]
fn an_empty_file_is_a_configuration() {
    check("", &[]);
}

#[test]
fn an_unknown_key_is_named_with_the_nearest_one() {
    check("[api]\nlisen = 'x'", &["did you mean `listen`"]);
    check("[plugins]\ndri = 'x'", &["plugins: unknown field `dri`"]);
    check(
        "[plugins.http]\nallow-htp = []",
        &["did you mean `allow-http`"],
    );
    check(
        "[[channel]]\nname = 'a'\nplugin = 'http'\nurl = 'x'",
        &["unknown field `url`"],
    );
}

#[test]
fn every_problem_is_found_at_once_and_names_its_key() {
    check(
        r#"
        [api]
        listen = "0.0.0.0:1"
        payload-max = "1GiB"
        [egress]
        allow-addresses = ["everything"]
        [plugins.http]
        allow-http = ["example.com"]
        sha256 = "abc"
        [[channel]]
        name = "a b"
        plugin = "http"
        parallelism = 0
        config = { secret = { env = "WHARF_TEST_NOT_SET" } }
        retry = { schedule = "never", jitter = 2.0 }
        [[route]]
        match = { n = 1 }
        channels = ["partner"]
        "#,
        &[
            "plugins.http.allow-http",
            "plugins.http.sha256",
            "channel \"a b\": its name",
            "channel \"a b\": parallelism",
            "channel \"a b\": config.secret: the environment variable WHARF_TEST_NOT_SET",
            "retry.schedule: there is no preset",
            "retry.jitter",
            "api.listen: 0.0.0.0:1 can be reached",
            "api.payload-max",
            "egress.allow-addresses",
            "route \"route-1\": there is no channel \"partner\"",
            "route \"route-1\": match.n: a value of type integer",
        ],
    );
}

#[test]
fn every_number_and_span_has_bounds_that_its_problem_names() {
    check(
        r#"
        [api]
        drain-timeout = "25h"
        threads = 65
        [plugins]
        instances-max = 0
        compile-timeout = "999ms"
        compile-memory-max = "255MiB"
        [plugins.http]
        timeout = "61m"
        memory-max = "2GiB"
        instances-max = 0
        [plugins.stamp]
        timeout = "0s"
        memory-max = "63KiB"
        [[channel]]
        name = "a"
        plugin = "http"
        timeout = "9223372036854775807s"
        parallelism = 100001
        lane-parallelism = 65
        rate = "0/s"
        lane-rate = "1000001/m"
        on-dead = "block"
        breaker = { failures = 1000001, wait = "0s", wait-max = "1s", probes = 0 }
        retry = { base = "0s", max = "721h", max-age = "9223372036854775807s" }
        [[channel]]
        name = "b"
        plugin = "http"
        timeout = "0s"
        retry = { schedule = ["0s", "721h"] }
        [[route]]
        match = { "/n" = nan }
        channels = ["a"]
        "#,
        &[
            "plugins.http.timeout takes more than 0s and at most 1h",
            "plugins.http.memory-max takes 64KiB to 1GiB",
            "plugins.http.instances-max takes 1 to",
            "plugins.stamp.timeout",
            "plugins.stamp.memory-max",
            "channel \"a\": parallelism takes 1 to 100000",
            "channel \"a\": lane-parallelism takes 1 to the channel's parallelism, which is 64",
            "channel \"a\": timeout takes more than 0s and at most 24h",
            "channel \"a\": rate takes 1 to 1000000",
            "channel \"a\": lane-rate takes 1 to 1000000",
            "channel \"a\": breaker.failures takes 0 to 1000000",
            "channel \"a\": breaker.wait takes 1ms to 24h",
            "channel \"a\": breaker.wait-max is shorter than",
            "channel \"a\": breaker.probes takes 1 to 1000",
            "channel \"a\": on-dead says nothing without order",
            "channel \"a\": retry.base takes more than 0s",
            "channel \"a\": retry.max takes",
            "channel \"a\": retry.max-age takes",
            "channel \"b\": timeout",
            "channel \"b\": retry.schedule: a wait takes 0s to 720h",
            "api.threads takes 1 to 64",
            "api.drain-timeout takes 0s to 24h",
            "plugins.instances-max takes 1 to",
            "plugins.compile-timeout takes 1s to 1h",
            "plugins.compile-memory-max takes 256MiB to 64GiB",
            "route \"route-1\": match./n",
        ],
    );
    check(
        r#"
        [api]
        drain-timeout = "0s"
        [plugins.http]
        timeout = "1h"
        memory-max = "1GiB"
        [plugins.stamp]
        memory-max = "64KiB"
        [[channel]]
        name = "a"
        plugin = "http"
        timeout = "24h"
        parallelism = 100000
        retry = { schedule = ["0s", "720h"], max-age = "720h" }
        "#,
        &[],
    );
}

#[test]
fn no_problem_shows_a_value_that_may_be_secret() {
    for (text, place) in [
        (
            "[api]\ntokn = 's3cret'",
            "line 2, column 1: api: unknown field `tokn`",
        ),
        ("[api]\ntoken = 's3cret", "line 2, column "),
        (
            "[api]\n  token = { evn = 's3cret' }",
            "line 2, column 11: api.token: expected",
        ),
        (
            "api = 's3cret'",
            "line 1, column 7: api: invalid type: string, expected",
        ),
        (
            "[[channel]]\nname = 'a'\nconfig = 's3, expected cret'",
            "invalid type: string, expected a map",
        ),
        (
            "[plugins.http]\ninstances-max = 's3cret'",
            "plugins.http: instances-max: invalid type",
        ),
    ] {
        let problems = parse(text, Path::new("."), Overrides::default()).unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:#?}");
        assert!(problems[0].contains(place), "{problems:#?}");
        assert!(!problems[0].contains("cret"), "{problems:#?}");
    }
}

#[test]
fn a_token_is_cut_to_what_a_header_can_carry() {
    let token = |text: &str| {
        let overrides = Overrides {
            token: Some(text.to_owned()),
            ..Overrides::default()
        };
        parse("", Path::new("."), overrides).map(|mut config| config.tokens.remove(0).text)
    };
    assert_eq!(token(" s3cret\r\n\n").unwrap(), "s3cret");
    for bad in ["", " \n", "schlüssel", "a\nb", "a\tb", "a\0", "\u{a0}"] {
        let problems = token(bad).unwrap_err();
        assert_eq!(problems.len(), 1, "{problems:#?}");
        assert!(problems[0].starts_with("api.token: it "), "{problems:#?}");
    }
}

#[test]
fn each_named_token_is_another_and_says_what_it_is_for() {
    let token = |name: &str, text: &str, scopes: &str| {
        format!("[[api.token]]\nname = '{name}'\ntoken = '{text}'\nscopes = {scopes}\n")
    };
    let good = token("billing", "b", "['send']") + &token("oncall", "o", "['read', 'operate']");
    let config = parse(&good, Path::new("."), Overrides::default()).unwrap();
    assert_eq!(
        format!("{:?}", config.tokens),
        r#"[Token { name: Some("billing"), scopes: [Send] }, Token { name: Some("oncall"), scopes: [Read, Operate] }]"#
    );
    // Any of them opens a listener to the outside.
    check(&format!("{good}[api]\nlisten = '0.0.0.0:1'"), &[]);
    check(
        &(token("a b", "1", "['send']")
            + &token("c", "1", "[]")
            + &token("c", " ", "['read']")
            + "[[api.token]]\nname = 'd'\ntoken = { env = 'WHARF_TEST_NOT_SET' }\nscopes = ['read']"),
        &[
            "api.token \"a b\": its name takes",
            "api.token \"c\": scopes: give some of",
            "api.token \"c\": it is the same token as \"a b\"",
            "api.token \"c\": it is blank",
            "api.token \"c\": there are two of this name",
            "api.token \"d\": the environment variable WHARF_TEST_NOT_SET",
        ],
    );
    check(
        "[api]\ntoken = []",
        &["api.token: there are no tables in it"],
    );
    check("[api]\ntoken = 7", &["api.token: invalid type: integer"]);
    let scope = "[[api.token]]\nname = 'a'\ntoken = 's3cret'\nscope = ['send']";
    check(scope, &["api.token: unknown field `scope`"]);
    check(scope, &["did you mean `scopes`"]);
    let sent = token("a", "s3cret", "['sned']");
    check(&sent, &["unknown variant `sned`"]);
    check(&sent, &["did you mean `send`"]);

    // One from the environment would shut the others out.
    let overrides = Overrides {
        token: Some("s3cret".to_owned()),
        ..Overrides::default()
    };
    let problems = parse(&good, Path::new("."), overrides).unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert!(
        problems[0].starts_with("api.token: the file has"),
        "{problems:#?}"
    );
}

#[test]
fn there_are_no_more_channels_than_a_message_has_deliveries() {
    let channels = |count: usize| {
        (0..count)
            .map(|n| format!("[[channel]]\nname = 'c{n}'\nplugin = 'http'\n"))
            .collect::<String>()
    };
    check(&channels(limits::DELIVERIES_COUNT_MAX), &[]);
    check(
        &channels(limits::DELIVERIES_COUNT_MAX + 1),
        &["a message can go to at most"],
    );
}

#[test]
fn settings_that_are_not_text_become_json() {
    let config = parse(
        "[[channel]]\nname='a'\nplugin='http'\nconfig={url='u',reject-on=[400],map={a='/b'}}",
        Path::new("."),
        Overrides::default(),
    )
    .unwrap();
    let settings = &config.channels[0].send.settings;
    let expected = [
        ("map", r#"{"a":"/b"}"#),
        ("reject-on", "[400]"),
        ("url", "u"),
    ];
    assert_eq!(
        settings
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
            .collect::<Vec<_>>(),
        expected
    );
}

#[test]
fn what_ended_is_not_kept_for_longer_than_the_rows_that_say_how() {
    let check = |store: &str, expected: &[&str]| check(&format!("[store]\n{store}"), expected);
    check("retention = '90d'\ndead-letter-retention = '0s'", &[]);
    check(
        "journal-retention = '1d 12h'",
        &["store.retention", "store.dead-letter-retention"],
    );
    check(
        "retention = '36501d'",
        &["store.retention takes 0s to 36500d"],
    );
    check(
        "journal-size = '2GiB'\njournal-hard-cap = '1GiB'",
        &["store.journal-hard-cap"],
    );
}

#[test]
fn every_match_that_can_never_hold_is_a_problem() {
    const CHANNEL: &str = "[[channel]]\nname = 'a'\nplugin = 'http'\n";
    let route = |rest: &str| format!("{CHANNEL}[[route]]\nchannels = ['a']\n{rest}");
    check(
        &route("match = { type = { equals = 'a*' }, '/paid' = { equals = true }, '/a~1b' = 1.5 }"),
        &[],
    );
    for (one, expected) in [
        ("type = []", "match.type: an empty list matches nothing"),
        ("type = ['a', 1]", "match.type: 1 in the list is no text"),
        ("type = 1", "match.type: a value of type integer"),
        ("type = { equals = true }", "never equals true"),
        ("type = { equal = 'a' }", "{ equals = … }"),
        ("'/n' = { equals = nan }", "nothing in a payload equals nan"),
        ("'/a~b' = true", "match./a~b: `~` in a JSON pointer"),
    ] {
        check(&route(&format!("match = {{ {one} }}")), &[expected]);
    }
}

#[test]
fn routes_have_names_and_channels_of_their_own_and_a_catch_all_is_last() {
    const CHANNEL: &str = "[[channel]]\nname = 'a'\nplugin = 'http'\n";
    let route = |text: &str| format!("[[route]]\nchannels = ['a']\n{text}\n");
    check(&(CHANNEL.to_owned() + &route("catch-all = true")), &[]);
    check(
        &(CHANNEL.to_owned()
            + &route("name = 'route-2'")
            + &route("")
            + &route("name = 'a b'")
            + &route("catch-all = true")
            + "[[route]]\nchannels = ['a', 'a']\nmatch = { x = true }\ncatch-all = true"),
        &[
            "route \"route-2\": there are two of this name",
            "route \"a b\": its name takes",
            "route \"route-4\": catch-all is for what no other route matched",
            "route \"route-5\": catch-all takes whatever is left",
            "route \"route-5\": it names channel \"a\" twice",
        ],
    );
}

#[test]
fn a_failover_has_somewhere_to_go() {
    const CHANNELS: &str =
        "[[channel]]\nname = 'a'\nplugin = 'http'\n[[channel]]\nname = 'b'\nplugin = 'http'\n";
    let route = |channels: &str, text: &str| {
        format!("{CHANNELS}[[route]]\nchannels = [{channels}]\n{text}\n")
    };
    check(
        &route("'a', 'b'", "mode = 'failover'\nfailover-after = 1000"),
        &[],
    );
    for (channels, text, expected) in [
        (
            "'a'",
            "mode = 'failover'",
            "route \"route-1\": a failover goes from one",
        ),
        (
            "'a', 'b'",
            "mode = 'failover'\nfailover-after = 0",
            "route \"route-1\": failover-after takes 1 to 1000",
        ),
        (
            "'a', 'b'",
            "failover-after = 2",
            "route \"route-1\": failover-after belongs to",
        ),
        ("'a', 'b'", "mode = 'fail-over'", "did you mean `failover`"),
    ] {
        check(&route(channels, text), &[expected]);
    }
    let many = "[[route]]\nchannels = ['a', 'b']\nmode = 'failover'\n"
        .repeat(limits::DELIVERIES_COUNT_MAX - 1);
    check(
        &format!("{CHANNELS}{many}"),
        &["a message that all of them match"],
    );
}

#[test]
fn a_router_decides_alone_and_has_no_grants() {
    const CHANNEL: &str = "[[channel]]\nname = 'a'\nplugin = 'http'\n";
    let router = "[hooks]\nrouter = { plugin = 'r', config = { x = 1 } }\n";
    check(
        &format!("{CHANNEL}{router}[plugins.r]\ntimeout = '1s'"),
        &[],
    );
    check(
        &format!(
            "{CHANNEL}{router}[plugins.r]\nallow-http = ['https://a.example']\n[[route]]\nchannels = ['a']"
        ),
        &[
            "hooks.router: it decides in the place of the [[route]] tables",
            "hooks.router: plugin \"r\" is granted something",
        ],
    );
}
