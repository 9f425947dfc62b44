use std::io::Write as _;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use wharf_testkit::sink::{Received, Sink};

use crate::support::{channel, data, host, root, send, wait_for};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OLD: &str = "whsec_dGhlIHNlY3JldCBvZiBsYXN0IG1vbnRo";
const OTHER: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";

const VERIFIED: &str = "verified";
const NO_MATCH: &str = "No matching signature found";

/// Goal: the npm package `standardwebhooks`, which shares no code with us, verifies what the plugin `http` signs: real
/// payloads, text that is not ASCII, and nothing at all; with the secret and, while it is rotated, with the old one. It
/// does not with another secret, or where a single character of body, id or timestamp is another one.
#[test]
fn the_npm_package_verifies_what_arrives() {
    let sink = Sink::start().unwrap();
    let secrets = format!("config.secret = \"{SECRET}\"\nconfig.secret-previous = \"{OLD}\"");
    let host = host(&channel("a", &sink.url("/"), &secrets))
        .shipped("http")
        .start()
        .unwrap();
    let bodies = [
        ("github", data("github-webhooks/pull_request.opened.json")),
        ("stripe", data("vendor-events/stripe/event.json")),
        ("text", "žlutý kůň 🐴\r\n".to_owned()),
        ("empty", String::new()),
    ];
    for (id, body) in &bodies {
        send(
            &host,
            &json!({ "id": id, "attributes": { "to": "a" }, "payload": body }),
        );
        wait_for(&host, id, "delivered");
    }

    let mut cases = Vec::new();
    for request in sink.requests() {
        let signed = Signed::of(&request);
        cases.push((signed.with_secret(SECRET), VERIFIED));
        cases.push((signed.with_secret(OLD), VERIFIED));
        cases.push((signed.with_secret(OTHER), NO_MATCH));
        let mut body = signed.clone();
        match body.body.last_mut() {
            Some(byte) => *byte ^= 1,
            None => body.body.push(b' '),
        }
        let mut id = signed.clone();
        id.id.push('x');
        let mut timestamp = signed.clone();
        // Still within what the package takes for now.
        timestamp.timestamp = (signed.timestamp.parse::<u64>().unwrap() - 1).to_string();
        let tampered = [body, id, timestamp];
        cases.extend(tampered.map(|signed| (signed.with_secret(SECRET), NO_MATCH)));
    }
    assert_eq!(cases.len(), bodies.len() * 6);
    let (asked, expected): (Vec<Value>, Vec<&str>) = cases.into_iter().unzip();
    assert_eq!(ask_node(&asked), expected);
}

/// What of a request is signed, and the signature.
#[derive(Clone)]
struct Signed {
    id: String,
    timestamp: String,
    signature: String,
    body: Vec<u8>,
}

impl Signed {
    fn of(request: &Received) -> Self {
        let header = |name| request.header(name).unwrap().to_owned();
        Self {
            id: header("webhook-id"),
            timestamp: header("webhook-timestamp"),
            signature: header("webhook-signature"),
            body: request.body.to_vec(),
        }
    }

    /// As tests/node/verify-webhooks.cjs takes it.
    fn with_secret(&self, secret: &str) -> Value {
        json!({
            "secret": secret,
            "headers": {
                "webhook-id": self.id,
                "webhook-timestamp": self.timestamp,
                "webhook-signature": self.signature,
            },
            "body": STANDARD.encode(&self.body),
        })
    }
}

/// What the package says to each.
fn ask_node(asked: &[Value]) -> Vec<String> {
    let packages = root("target/node/node_modules");
    assert!(
        packages.join("standardwebhooks").is_dir(),
        "the npm package `standardwebhooks` is not in {}: `cargo xtask test` installs it, from then on `cargo test` \
         finds it",
        packages.display()
    );
    let mut node = Command::new("node")
        .arg(root("tests/node/verify-webhooks.cjs"))
        .env("NODE_PATH", packages)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot run node: {error}: `cargo xtask test` sets it up"));
    let mut input = node.stdin.take().unwrap();
    input
        .write_all(json!(asked).to_string().as_bytes())
        .unwrap();
    drop(input);
    let output = node.wait_with_output().unwrap();
    assert!(output.status.success(), "node failed: {}", output.status);
    serde_json::from_slice(&output.stdout).unwrap()
}
