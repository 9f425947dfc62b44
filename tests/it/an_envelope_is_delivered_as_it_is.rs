use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use wharf_testkit::process::{Answer, Host};
use wharf_testkit::sink::Sink;

use crate::support::{SOON, data, get, host, send, text};

const MSGPACK: (&str, &str) = ("content-type", "application/msgpack");

/// Goal (K1, K4): an agent's envelope is accepted under each of its media types, and posted to its
/// endpoint with exactly its headers and bytes, which need not be UTF-8.
#[test]
fn exactly_its_headers_and_bytes() {
    let sink = Sink::start().unwrap();
    let host = agents(&sink).start().unwrap();
    let packed = data("didcomm/packed-authcrypt-2-recipients.json");
    let plain = data("didcomm/plain-trust-ping.json");
    type Headers<'a> = &'a [(&'a str, &'a str)];
    let cases: [(&str, Headers<'_>, Payload<'_>); 4] = [
        (
            "application/msgpack",
            &[("Content-Type", "application/ssi-agent-wire")],
            Payload::Bin(packed.as_bytes()),
        ),
        (
            "application/vnd.msgpack",
            &[("Content-Type", "application/json"), ("X-Other", "a, b")],
            Payload::Bin(plain.as_bytes()),
        ),
        ("application/x-msgpack", &[], Payload::Str(b"\xff\x00raw")),
        (
            "Application/MsgPack; x=y",
            &[("content-type", "a/b")],
            Payload::Bin(b""),
        ),
    ];
    for (place, (media_type, headers, payload)) in (0..).zip(&cases) {
        let path = format!("/{place}");
        let element = element(&sink.url(&path), headers, payload);
        let answer = post(&host, &[("content-type", media_type)], &element);
        assert_eq!(answer.status, 202, "{media_type}: {}", answer.text());
        sink.wait_for_count(SOON, place + 1).unwrap();
        let request = sink.requests().pop().unwrap();
        assert_eq!((request.method.as_str(), &*request.path), ("POST", &*path));
        assert_eq!(&request.body[..], payload.bytes(), "{media_type}");
        for (name, value) in *headers {
            assert_eq!(request.header(name), Some(*value), "{media_type}");
        }
        // Beside these only what the connection needs, and who sends.
        let of_host = ["host", "content-length", "user-agent"];
        let more = request.headers.keys().filter(|name| {
            let name = name.as_str();
            !of_host.contains(&name) && !headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name))
        });
        assert_eq!(more.count(), 0, "{:?}", request.headers);
    }
}

/// Goal (K1, K2): keys come in any order, unknown ones are passed over, headers may be missing; two
/// equal envelopes are two messages, but where the request says which message it is; and what it says
/// of attributes is routed by.
#[test]
fn the_request_says_what_the_envelope_cannot() {
    let sink = Sink::start().unwrap();
    let host = agents(&sink).start().unwrap();
    let endpoint = sink.url("/a");
    let mut element = Vec::new();
    rmp::encode::write_map_len(&mut element, 4).unwrap();
    rmp::encode::write_str(&mut element, "payload").unwrap();
    rmp::encode::write_bin(&mut element, b"x").unwrap();
    rmp::encode::write_str(&mut element, "retries").unwrap();
    rmp::encode::write_sint(&mut element, 3).unwrap();
    rmp::encode::write_str(&mut element, "unknown").unwrap();
    element.extend_from_slice(b"\x92\x81\xa1k\xc0\xc7\x01\x05\x00");
    rmp::encode::write_str(&mut element, "endpoint").unwrap();
    rmp::encode::write_str(&mut element, &endpoint).unwrap();

    let first = accepted(&post(&host, &[MSGPACK], &element));
    let second = accepted(&post(&host, &[MSGPACK], &element));
    assert_ne!(first["id"], second["id"]);
    let id = text(&first["id"]);
    let message = get(&host, id);
    assert_eq!(message["attributes"], json!({ "endpoint": endpoint }));
    assert_eq!(message["headers"], json!([]));

    let named = [
        MSGPACK,
        ("wharf-id", "m1"),
        ("wharf-attribute-type", "ping"),
    ];
    assert_eq!(accepted(&post(&host, &named, &element))["id"], "m1");
    assert_eq!(accepted(&post(&host, &named, &element))["duplicate"], true);
    assert_eq!(get(&host, "m1")["attributes"]["type"], "ping");
    assert_eq!(get(&host, "m1")["deliveries"][0]["route"], "pings");
    let keyed = [MSGPACK, ("idempotency-key", "k")];
    assert_eq!(accepted(&post(&host, &keyed, &element))["duplicate"], false);
    assert_eq!(accepted(&post(&host, &keyed, &element))["duplicate"], true);
    let both = [MSGPACK, ("idempotency-key", "k"), ("wharf-id", "m2")];
    check_refused(
        &post(&host, &both, &element),
        "two-identities",
        "idempotency-key",
    );
    sink.wait_for_count(SOON, 4).unwrap();
}

/// Goal (K3 as far as accepting goes): what cannot be delivered is refused by its field.
#[test]
fn what_cannot_be_posted_is_refused() {
    let sink = Sink::start().unwrap();
    let host = agents(&sink).start().unwrap();
    let named = [MSGPACK, ("wharf-id", "bad")];
    for endpoint in ["", "ws://agent.example", "didcomm:transport/queue", "/x"] {
        let element = element(endpoint, &[], &Payload::Bin(b"x"));
        check_refused(&post(&host, &named, &element), "invalid-field", "endpoint");
    }
    let endpoint = sink.url("/a");
    let bad = element(&endpoint, &[("a b", "c")], &Payload::Bin(b"x"));
    check_refused(&post(&host, &named, &bad), "invalid-field", "headers");
    let large = element(&endpoint, &[], &Payload::Bin(&vec![0; (1 << 20) + 1]));
    check_refused(&post(&host, &named, &large), "payload-too-large", "payload");
    let far_larger = vec![0; 4 << 20];
    check_refused(
        &post(&host, &named, &far_larger),
        "payload-too-large",
        "body",
    );
    let whole = element(&endpoint, &[], &Payload::Bin(b"x"));
    for body in [
        &whole[..whole.len() - 1],
        &[&whole[..], b"\xc0"].concat(),
        b"{}",
        b"",
    ] {
        check_refused(&post(&host, &named, body), "malformed-body", "");
    }
    let typo = [MSGPACK, ("wharf-attributes-type", "x")];
    let field = "wharf-attributes-type";
    check_refused(&post(&host, &typo, &whole), "unknown-field", field);
    // Where the body has a place for the id, the header is not dropped in silence.
    let json = [crate::support::JSON, ("wharf-id", "bad")];
    check_refused(&post(&host, &json, b"{}"), "unknown-field", "wharf-id");

    let stored = host.http("GET", "/v1/messages/bad", &[], b"").unwrap();
    assert_eq!((stored.status, sink.count()), (404, 0));
}

/// Goal (K4): what the converter `msgpack-envelope` makes for another's queue is what comes in here.
#[test]
fn an_envelope_that_went_out_can_come_in() {
    let sink = Sink::start().unwrap();
    let converter = format!(
        "[[channel]]\nname = \"queue\"\nplugin = \"http\"\nconvert = [\"msgpack-envelope\"]\n\
         config.url = \"{}\"\n[[route]]\nname = \"out\"\nmatch = {{ to = \"queue\" }}\n\
         channels = [\"queue\"]\nstop = true\n",
        sink.url("/queue")
    );
    let host = agents_after(&converter, &sink)
        .shipped("http")
        .shipped("msgpack-envelope")
        .start()
        .unwrap();
    let payload = data("didcomm/jwe-general-authcrypt-p256.json");
    let message = json!({
        "id": "out", "attributes": { "to": "queue", "endpoint": sink.url("/agent") },
        "headers": [["Content-Type", "application/didcomm-encrypted+json"]], "payload": payload,
    });
    send(&host, &message);
    sink.wait_for_count(SOON, 1).unwrap();
    let element = sink.requests().remove(0);
    assert_eq!(element.header("content-type"), Some(MSGPACK.1));
    accepted(&post(&host, &[MSGPACK], &element.body));
    sink.wait_for_count(SOON, 2).unwrap();
    let delivered = sink.requests().remove(1);
    assert_eq!(delivered.path, "/agent");
    assert_eq!(&delivered.body[..], payload.as_bytes());
    let content_type = delivered.header("content-type");
    assert_eq!(content_type, Some("application/didcomm-encrypted+json"));
}

/// Goal (K4): what the converter makes is, byte for byte, what the agent's own library writes: the published messages of
/// agents, repeated headers, and payloads on both sides of each length where the form changes.
#[test]
fn the_envelope_is_the_agents_to_the_byte() {
    let sink = Sink::start().unwrap();
    let config = format!(
        "[[channel]]\nname = \"queue\"\nplugin = \"http\"\nconvert = [\"msgpack-envelope\"]\n\
         config.url = \"{}\"\n[[route]]\nname = \"all\"\nchannels = [\"queue\"]\n",
        sink.url("/")
    );
    let builder = host(&config).shipped("http");
    let host = builder.shipped("msgpack-envelope").start().unwrap();
    let vectors: Vec<Value> = serde_json::from_str(&data("msgpack/envelopes.json")).unwrap();
    let mut compared = 0;
    for case in &vectors {
        let headers: Vec<(String, String)> = case["headers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|pair| (text(&pair[0]).to_owned(), pieces(&pair[1])))
            .collect();
        let endpoint = pieces(&case["endpoint"]);
        // Some of the vectors are no messages that are accepted: their names or values are too long, or not ASCII.
        let is_message = |(name, value): &(String, String)| {
            name.is_ascii() && value.is_ascii() && value.len() <= 8 << 10
        };
        if !headers.iter().all(is_message) || endpoint.len() > 8 << 10 {
            continue;
        }
        let payload = match &case["payload"] {
            Value::String(path) => data(path).into_bytes(),
            payload => hex::decode(pieces(payload)).unwrap(),
        };
        let message = json!({
            "attributes": { "endpoint": endpoint }, "headers": headers,
            "payload_base64": STANDARD.encode(payload),
        });
        send(&host, &message);
        compared += 1;
        sink.wait_for_count(SOON, compared).unwrap();
        let request = sink.requests().pop().unwrap();
        assert_eq!(
            hex::encode(&request.body),
            pieces(&case["element"]),
            "{}",
            case["name"]
        );
    }
    assert_eq!((compared, vectors.len()), (38, 44));
}

/// A text of the vectors: a list of pieces, each one itself or `[piece, times]`.
fn pieces(pieces: &Value) -> String {
    let piece = |piece: &Value| match piece {
        Value::String(text) => text.clone(),
        run => text(&run[0]).repeat(run[1].as_u64().unwrap() as usize),
    };
    pieces.as_array().unwrap().iter().map(piece).collect()
}

enum Payload<'a> {
    Bin(&'a [u8]),
    Str(&'a [u8]),
}

impl Payload<'_> {
    fn bytes(&self) -> &[u8] {
        let (Self::Bin(bytes) | Self::Str(bytes)) = self;
        bytes
    }
}

/// As the agent writes it.
fn element(endpoint: &str, headers: &[(&str, &str)], payload: &Payload<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    rmp::encode::write_map_len(&mut bytes, 3).unwrap();
    rmp::encode::write_str(&mut bytes, "headers").unwrap();
    rmp::encode::write_map_len(&mut bytes, headers.len() as u32).unwrap();
    for (name, value) in headers {
        rmp::encode::write_str(&mut bytes, name).unwrap();
        rmp::encode::write_str(&mut bytes, value).unwrap();
    }
    rmp::encode::write_str(&mut bytes, "endpoint").unwrap();
    rmp::encode::write_str(&mut bytes, endpoint).unwrap();
    rmp::encode::write_str(&mut bytes, "payload").unwrap();
    match payload {
        Payload::Bin(payload) => rmp::encode::write_bin(&mut bytes, payload).unwrap(),
        Payload::Str(payload) => {
            rmp::encode::write_str_len(&mut bytes, payload.len() as u32).unwrap();
            bytes.extend_from_slice(payload);
        }
    }
    bytes
}

fn agents(sink: &Sink) -> wharf_testkit::process::HostBuilder {
    agents_after("", sink)
}

/// Everything goes to the endpoint that it names.
fn agents_after(before: &str, sink: &Sink) -> wharf_testkit::process::HostBuilder {
    let config = format!(
        "{before}[plugins.envelope-http]\nallow-http = [\"{}\"]\n\
         [[channel]]\nname = \"agents\"\nplugin = \"envelope-http\"\n\
         [[route]]\nname = \"pings\"\nmatch = {{ type = \"ping\" }}\nchannels = [\"agents\"]\nstop = true\n\
         [[route]]\nname = \"all\"\nchannels = [\"agents\"]\n",
        sink.url("")
    );
    host(&config).shipped("envelope-http")
}

fn post(host: &Host, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    host.http("POST", "/v1/messages", headers, body).unwrap()
}

#[track_caller]
fn accepted(answer: &Answer) -> Value {
    assert_eq!(answer.status, 202, "{}", answer.text());
    answer.json().unwrap()
}

#[track_caller]
fn check_refused(answer: &Answer, code: &str, field: &str) {
    let problem = answer.json().unwrap();
    let found = problem["field"].as_str().unwrap_or_default();
    assert_eq!((text(&problem["code"]), found), (code, field), "{problem}");
}
