use serde_json::json;
use wharf_testkit::process::{Host, HostBuilder};
use wharf_testkit::sink::Sink;

use crate::support::{
    assert_has, attempts, channel, channel_of, ended, host, may_reach_this_machine, message, send,
    text, wait_for,
};

const RETRY: &str = "retry = { base = \"1s\", factor = 1.0, attempts = 1000 }";

/// Goal: without leave the guard refuses this machine, by address or by name, before a byte is sent;
/// the reason names the address and the key that would allow it. With it, what waited is delivered.
#[test]
fn the_guard_keeps_this_machine_to_itself() {
    let sink = Sink::start().unwrap();
    let port = sink.address().port();
    let urls = [
        ("by-address", format!("http://127.0.0.1:{port}/")),
        ("by-name", format!("http://localhost:{port}/")),
        ("mapped", format!("http://[::ffff:127.0.0.1]:{port}/")),
        ("metadata", "http://169.254.169.254/latest".to_owned()),
    ];
    let config: String = urls
        .iter()
        .map(|(name, url)| channel(name, url, RETRY))
        .collect();
    let builder = HostBuilder::new(&config)
        .env("WHARF_API_LISTEN", "127.0.0.1:0")
        .shipped("http");
    let mut host = builder.start().unwrap();
    for (name, _) in &urls {
        send(&host, &message(name, name));
        wait_for(&host, name, "retrying");
        check_refused(&host, name, &["egress.allow-addresses"]);
        assert_eq!(attempts(&host, name)[0]["effect"], "none", "{name}");
    }
    check_refused(&host, "by-name", &["127.0.0.1", "loopback"]);
    check_refused(&host, "metadata", &["169.254.169.254"]);
    let (_, why, _) = ended(host.cli(["why", "by-address"]).unwrap());
    assert_has(
        &why,
        &["refused-by-guard", "127.0.0.1", "egress.allow-addresses"],
    );
    assert_eq!(sink.count(), 0);

    host.write("wharf.toml", may_reach_this_machine(&config))
        .unwrap();
    host.restart().unwrap();
    wait_for(&host, "by-address", "delivered");
    wait_for(&host, "by-name", "delivered");
    check_refused(&host, "metadata", &["169.254.169.254"]);
}

/// Goal: an endpoint that comes with a message is used only where the plugin's `allow-http` has it;
/// the channel's own url needs no grant. A URL is never told: it can hold credentials.
#[test]
fn a_messages_endpoint_needs_a_grant() {
    let sink = Sink::start().unwrap();
    let own = channel("own", &sink.url("/own"), RETRY) + &channel_of("http", "none", RETRY);
    let mut host = host(&own).shipped("http").start().unwrap();
    let to = |id: &str, endpoint: &str| json!({ "id": id, "attributes": { "to": "own", "endpoint": endpoint }, "payload": id });
    // The configured url is granted; another path of it is not, and nothing of such a URL is told.
    send(&host, &to("same", &sink.url("/own")));
    wait_for(&host, "same", "delivered");
    for (id, url) in [
        ("path", sink.url("/own/admin?token=t0psecret")),
        (
            "credentials",
            sink.url("/own").replace("://", "://me:t0psecret@"),
        ),
    ] {
        send(&host, &to(id, &url));
        wait_for(&host, id, "retrying");
        check_refused(&host, id, &["URL"]);
        let (_, why, _) = ended(host.cli(["why", id]).unwrap());
        assert!(
            !why.contains("t0psecret") && !host.log().contains("t0psecret"),
            "{why}"
        );
    }
    let other = Sink::start().unwrap();
    send(&host, &to("other", &other.url("/other")));
    wait_for(&host, "other", "retrying");
    let address = other.address().to_string();
    check_refused(
        &host,
        "other",
        &["plugin http", &address, "plugins.http.allow-http"],
    );
    for (id, endpoint, code) in [
        ("ftp", "ftp://127.0.0.1/", "bad-endpoint"),
        ("text", "here", "bad-endpoint"),
    ] {
        send(&host, &to(id, endpoint));
        wait_for(&host, id, "rejected");
        assert_eq!(attempts(&host, id)[0]["code"], code);
    }
    send(&host, &message("nowhere", "none"));
    wait_for(&host, "nowhere", "rejected");
    assert_eq!(attempts(&host, "nowhere")[0]["code"], "no-endpoint");
    assert_eq!((other.count(), sink.count()), (0, 1));

    let granted = format!("{own}[plugins.http]\nallow-http = [\"http://127.0.0.1:*\"]\n");
    host.write("wharf.toml", may_reach_this_machine(&granted))
        .unwrap();
    host.restart().unwrap();
    wait_for(&host, "other", "delivered");
    assert_eq!(other.requests()[0].path, "/other");
}

#[track_caller]
fn check_refused(host: &Host, id: &str, parts: &[&str]) {
    let attempt = attempts(host, id).pop().unwrap();
    assert_eq!(attempt["code"], "refused-by-guard", "{id}: {attempt}");
    assert_has(text(&attempt["reason"]), parts);
}
