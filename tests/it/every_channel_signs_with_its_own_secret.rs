use serde_json::json;
use standardwebhooks::Webhook;
use wharf_testkit::sink::{Received, Sink};

use crate::support::{
    SOON, attempts, channel, channel_of, data, guest, host, message, send, wait_for,
};

const A: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const B: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const OLD: &str = "whsec_dGhlIHNlY3JldCBvZiBsYXN0IG1vbnRo";

/// Goal: what arrives is verified by the standard's own receiver library, with the channel's secret
/// and no other, over real payloads; while a secret is rotated the old and the new one both verify;
/// secrets come from the environment or a file, and never reach log or journal.
#[test]
fn the_standards_library_verifies_what_arrives() {
    let sink = Sink::start().unwrap();
    let config = [
        channel(
            "a",
            &sink.url("/a"),
            "config.secret = { env = \"SECRET_A\" }",
        ),
        channel(
            "b",
            &sink.url("/b"),
            "config.secret = { file = \"b.secret\" }",
        ),
        channel(
            "rotated",
            &sink.url("/rotated"),
            &format!("config.secret = \"{A}\"\nconfig.secret-previous = \"{OLD}\""),
        ),
        channel("unsigned", &sink.url("/unsigned"), ""),
        channel(
            "mistaken",
            &sink.url("/mistaken"),
            "config.secret = \"whsec_dG9vIHNob3J0\"",
        ),
    ];
    let builder = host(&config.concat()).shipped("http");
    let host = builder
        .env("SECRET_A", A)
        .file("b.secret", format!("{B}\n"))
        .start()
        .unwrap();
    let bodies = [
        data("github-webhooks/pull_request.opened.json"),
        data("vendor-events/stripe/event.json"),
        data("cloudevents/data-payloads/MessagePublishedData-text.json"),
    ];
    for channel in ["a", "b", "rotated", "unsigned"] {
        for (n, body) in bodies.iter().enumerate() {
            let id = format!("{channel}-{n}");
            send(
                &host,
                &json!({ "id": id, "attributes": { "to": channel }, "payload": body }),
            );
            wait_for(&host, &id, "delivered");
        }
    }
    for request in sink.requests() {
        let body = usize::from(
            request
                .header("webhook-id")
                .unwrap()
                .as_bytes()
                .last()
                .unwrap()
                - b'0',
        );
        assert_eq!(request.body, bodies[body]);
        let expected: &[_] = match request.path.as_str() {
            "/a" => &[A],
            "/b" => &[B],
            "/rotated" => &[A, OLD],
            _ => &[],
        };
        for secret in [A, B, OLD] {
            assert_eq!(
                verifies(&request, secret),
                expected.contains(&secret),
                "{}",
                request.path
            );
        }
        let signatures = request
            .header("webhook-signature")
            .map_or(0, |all| all.split(' ').count());
        assert_eq!(signatures, expected.len(), "{}", request.path);
    }
    assert_eq!(sink.count(), 12);

    // A secret that cannot be used is named, not shown, and costs nothing but its own channel.
    send(&host, &message("m1", "mistaken"));
    wait_for(&host, "m1", "retrying");
    let attempt = attempts(&host, "m1").remove(0);
    assert_eq!(
        (&attempt["code"], &attempt["effect"]),
        (&json!("bad-setting"), &json!("none"))
    );
    assert!(
        attempt["reason"].as_str().unwrap().contains("`secret`"),
        "{attempt}"
    );
    for secret in [A, B, OLD, "whsec_dG9vIHNob3J0"] {
        let bare = secret.strip_prefix("whsec_").unwrap();
        assert!(!attempt.to_string().contains(bare) && !host.log().contains(bare));
    }
}

/// Goal: a plugin that reads its settings once and keeps them for the life of an instance never
/// mixes two channels up, however they take turns: instances are not shared.
#[test]
fn a_cached_secret_stays_with_its_channel() {
    let sink = Sink::start().unwrap();
    let secret = |name: &str| {
        let url = sink.url(&format!("/{name}"));
        let more = format!("config.url = \"{url}\"\nconfig.secret = \"secret of {name}\"");
        channel_of("cache-secret", name, &more)
    };
    let config: String = ["a", "b", "c"].map(secret).concat();
    let config = format!("{config}[plugins]\ninstances-max = 2\n");
    let builder = host(&config).plugin("cache-secret", guest("cache-secret"));
    let host = builder.start().unwrap();
    for n in 0..50 {
        for channel in ["a", "b", "c"] {
            send(&host, &message(&format!("{channel}{n}"), channel));
        }
    }
    for request in sink
        .wait_until(SOON, |requests| requests.len() == 150)
        .unwrap()
    {
        let expected = format!("secret of {}", &request.path[1..]);
        assert_eq!(request.header("x-secret"), Some(expected.as_str()));
    }
}

fn verifies(request: &Received, secret: &str) -> bool {
    Webhook::new(secret)
        .unwrap()
        .verify(&request.body, &request.headers)
        .is_ok()
}
