use std::fs;
use std::os::unix::fs::symlink;

use serde_json::{Value, json};
use wharf_testkit::process::Host;
use wharf_testkit::sink::{Answer, Sink};

use crate::support::{
    assert_has, attempts, channel, channel_of, ended, guest, health, host, send, text, wait_for,
};

const RETRY: &str = "retry = { schedule = [\"10ms\"], jitter = 0.0 }";

/// Goal (J2): a component that imports `wasi:http` is refused without the grant, with the line of configuration that
/// would give it; with it, its requests go out like the host's own: with a `Host` field, past the guard, no redirect
/// followed, only to the URLs and with the methods that are named, within its time and its number in flight.
#[test]
fn http_is_granted_by_url_and_method() {
    let sink = Sink::start().unwrap();
    sink.script("/moved", [Answer::status(302).header("location", "/in")]);
    sink.script("/silent", [Answer::silence()]);
    sink.script("/large", [Answer::status(200).body(vec![b'x'; 1 << 20])]);
    let other = Sink::start().unwrap();
    let config = channel_of("wants-http", "a", RETRY);
    let builder = host(&config).plugin("wants-http", guest("wants-http"));
    let mut host = builder.start().unwrap();
    let (status, reasons) = health(&host);
    assert_eq!(status, "degraded");
    let refused = reasons
        .iter()
        .find(|(name, _)| name.contains("wants-http.wasm"));
    assert_has(
        &refused.unwrap().1,
        &[
            "imports `wasi:http/",
            "`allow-http = [\"https://example.com\"]` in [plugins.wants-http]",
        ],
    );

    let port = sink.address().port();
    let granted = format!(
        "{config}[plugins.wants-http]\n\
         allow-http = [\"http://127.0.0.1:{port}\", \"http://10.0.0.1\"]\n\
         allow-http-methods = [\"POST\", \"PUT\"]\nhttp-calls-max = 2\n"
    );
    host.write(
        "wharf.toml",
        crate::support::may_reach_this_machine(&granted),
    )
    .unwrap();
    host.restart().unwrap();
    assert_eq!(health(&host).0, "ok");

    let delivered = |id: &str, path: &str, more: Value, note: (&str, &str)| {
        tell(&host, id, &sink.url(path), more);
        wait_for(&host, id, "delivered");
        assert_eq!(
            attempts(&host, id)[0]["notes"][0],
            json!([note.0, note.1]),
            "{id}"
        );
    };
    delivered("plain", "/in", json!({}), ("200", ""));
    let request = sink.requests().remove(0);
    assert_eq!(request.header("host"), Some(&*format!("127.0.0.1:{port}")));
    assert_eq!(request.headers.get_all("host").iter().count(), 1);
    assert_eq!(
        (request.header("x-own"), &*request.body),
        (Some("yes"), &b"plain"[..])
    );
    assert_eq!(request.header("content-length"), Some("5"));
    delivered("put", "/in", json!({ "method": "PUT" }), ("200", ""));
    delivered("moved", "/moved", json!({}), ("302", ""));
    delivered("large", "/large", json!({}), ("200", "1048576 bytes"));
    delivered("twice", "/in", json!({ "times": "2" }), ("200", ""));

    let fails = |id: &str, url: String, more: Value, code: &str, note: &[&str]| {
        tell(&host, id, &url, more);
        wait_for(&host, id, "dead");
        let attempt = attempts(&host, id).remove(0);
        assert_has(text(&attempt["reason"]), &[code]);
        assert_eq!(attempt["notes"][0][0], "http", "{attempt}");
        assert_has(text(&attempt["notes"][0][1]), note);
        let (_, why, _) = ended(host.cli(["why", id]).unwrap());
        assert_has(&why, note);
        assert!(
            !why.contains("s3cret") && !host.log().contains("s3cret"),
            "{why}"
        );
    };
    let url_key = "plugins.wants-http.allow-http would";
    fails(
        "other",
        other.url("/s3cret"),
        json!({}),
        "HttpRequestDenied",
        &[url_key],
    );
    let method = json!({ "method": "DELETE" });
    let method_key = "plugins.wants-http.allow-http-methods would";
    fails(
        "method",
        sink.url("/in"),
        method,
        "HttpRequestDenied",
        &["DELETE", method_key],
    );
    let private = "http://10.0.0.1/s3cret".to_owned();
    fails(
        "guarded",
        private,
        json!({}),
        "DestinationIpProhibited",
        &["10.0.0.1", "egress.allow-addresses"],
    );
    let first_byte = json!({ "first-byte-ms": "50" });
    fails(
        "silent",
        sink.url("/silent"),
        first_byte,
        "HttpResponseTimeout",
        &["timeout", "sent nothing for 50ms"],
    );
    let three = json!({ "times": "3" });
    let crowded = &["more HTTP calls in flight than its limit of 2"];
    fails(
        "three",
        sink.url("/silent"),
        three,
        "ConnectionLimitReached",
        crowded,
    );

    // What does not survive it has a fault that names the limit.
    tell(
        &host,
        "trap",
        &sink.url("/silent"),
        json!({ "times": "3", "on-error": "trap" }),
    );
    wait_for(&host, "trap", "dead");
    let attempt = attempts(&host, "trap").remove(0);
    assert_eq!(
        (&attempt["code"], &attempt["effect"]),
        (&json!("plugin-http-calls"), &json!("unknown"))
    );
    assert_has(text(&attempt["reason"]), crowded);
    assert_eq!(other.count(), 0);
    delivered("after", "/in", json!({}), ("200", ""));
}

/// Goal (J2): a plugin's own exchange is cut by its channel's time-out, like any other.
#[test]
fn a_receiver_that_never_answers_costs_the_channels_timeout() {
    let sink = Sink::start().unwrap();
    sink.script("/silent", [Answer::silence()]);
    let config = channel_of("wants-http", "a", &format!("timeout = \"500ms\"\n{RETRY}"))
        + "[plugins.wants-http]\nallow-http = [\"http://127.0.0.1:*\"]\n";
    let builder = host(&config).plugin("wants-http", guest("wants-http"));
    let host = builder.start().unwrap();
    tell(&host, "m", &sink.url("/silent"), json!({}));
    wait_for(&host, "m", "dead");
    let attempt = attempts(&host, "m").remove(0);
    assert_eq!(attempt["code"], "plugin-timeout");
    assert_eq!(
        attempt["reason"],
        "plugin wants-http: ran longer than its limit of 500ms"
    );
    tell(&host, "after", &sink.url("/"), json!({}));
    wait_for(&host, "after", "delivered");
}

fn tell(host: &Host, id: &str, endpoint: &str, more: Value) {
    let mut attributes = json!({ "to": "a", "endpoint": endpoint });
    for (key, value) in more.as_object().unwrap() {
        attributes[key] = value.clone();
    }
    send(
        host,
        &json!({ "id": id, "attributes": attributes, "payload": id }),
    );
}

/// Goal (J2): of the file system a plugin sees the folders that it was granted and nothing else: not what lies beside
/// them, not what links lead to; another plugin without a grant, the same component at that, sees nothing.
#[test]
fn a_folder_is_granted_to_one_plugin_alone() {
    let sink = Sink::start().unwrap();
    let plugins = [
        ("writes", "did: read, write"),
        ("reads", "did: read"),
        ("other", "did: "),
    ];
    let channels: String = plugins
        .iter()
        .map(|(name, _)| {
            channel(
                name,
                &sink.url(&format!("/{name}")),
                &format!("convert = [\"{name}\"]"),
            )
        })
        .collect();
    let grants = "[plugins.writes]\nfolders = [{ path = \"box\", at = \"/granted\", write = true }]\n\
                  [plugins.reads]\nfolders = [{ path = \"box\", at = \"/granted\" }]\n";
    let builder = host(&format!("{channels}{grants}")).shipped("http");
    let builder = plugins.iter().fold(builder, |builder, (name, _)| {
        builder.plugin(name, guest("misbehave"))
    });
    let builder = builder
        .file("box/inside.txt", "public")
        .file("box/sub/deep.txt", "public");
    let mut host = builder.file("outside.txt", "secret").build().unwrap();
    symlink("../outside.txt", host.path("box/link")).unwrap();
    symlink("..", host.path("box/link-dir")).unwrap();
    host.restart().unwrap();
    for (name, found) in plugins.into_iter().rev() {
        let attributes = json!({ "to": name, "misbehave": "pry-folders" });
        send(
            &host,
            &json!({ "id": name, "attributes": attributes, "payload": "x" }),
        );
        wait_for(&host, name, "delivered");
        assert_eq!(sink.requests().pop().unwrap().body, found, "{name}");
    }
    assert_eq!(
        fs::read_to_string(host.path("outside.txt")).unwrap(),
        "secret"
    );
    assert!(host.path("box/new.txt").exists());
}
