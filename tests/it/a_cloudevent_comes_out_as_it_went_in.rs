use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use serde_json::{Map, Value, json};
use wharf_testkit::process::{Answer, Host};
use wharf_testkit::sink::{Received, Sink};

use crate::support::{SOON, assert_has, data, host, post_batch_as, text};

const STRUCTURED: &str = "application/cloudevents+json";
const CONTENT_TYPE_STRUCTURED: (&str, &str) = ("content-type", STRUCTURED);

/// What the binding percent-encodes of ASCII.
const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'%');

/// Goal (A2, CloudEvents): every valid published event that comes in, in either mode, goes out through
/// the plugin `cloudevents` in both modes as the same event; and what went out, sent in again, is the
/// same message. What the plugin adds is a time where the event has none.
#[test]
fn the_same_event_comes_out_in_both_modes() {
    let (sink, host) = both_modes();
    let events = events();
    assert_eq!(events.len(), 10 + 13 + 5 + 2 + 1);
    let mut ids = BTreeMap::new();
    for (name, event) in &events {
        let first = accepted(&send_structured(&host, event));
        assert_eq!(first["duplicate"], false, "{name}");
        assert_eq!(first["deliveries"], 2, "{name}");
        let again = accepted(&send_binary(&host, event));
        assert_eq!(again["duplicate"], true, "{name}");
        assert_eq!(again["id"], first["id"], "{name}");
        ids.insert(text(&first["id"]).to_owned(), (name, event));
    }
    assert_eq!(ids.len(), events.len());
    let requests_count = 2 * events.len() as u64;
    sink.wait_for_count(SOON, requests_count).unwrap();

    for request in sink.requests() {
        let (name, event) = ids[request.header("webhook-id").unwrap()];
        let (out, headers) = match request.path.as_str() {
            "/structured" => {
                let event = serde_json::from_slice(&request.body).unwrap();
                (Event::of_object(&event), vec![CONTENT_TYPE_STRUCTURED])
            }
            _ => (Event::of_request(&request), of_event(&request)),
        };
        let mut found = out;
        let has_time = event.get("time").is_some_and(Value::is_string);
        if !has_time {
            found.attributes.remove("time").expect(name);
        }
        assert_eq!(found, Event::of_object(event), "{name} at {}", request.path);

        // Sent in again as it came out.
        let answer = host
            .http("POST", "/v1/messages", &headers, &request.body)
            .unwrap();
        if has_time {
            assert_eq!(accepted(&answer)["duplicate"], true, "{name}");
        } else {
            assert_eq!(answer.json().unwrap()["code"], "id-conflict", "{name}");
        }
    }
    assert_eq!(sink.count(), requests_count);
}

/// Goal (A2): source and id are the identity: the same event again is a duplicate, other content is a
/// conflict, another source another message; and no key stands beside it.
#[test]
fn source_and_id_tell_events_apart() {
    let (sink, host) = both_modes();
    let minimal = |source: &str, more: Value| {
        let mut event = json!({ "specversion": "1.0", "id": "1", "source": source, "type": "t" });
        let event = event.as_object_mut().unwrap();
        event.extend(more.as_object().unwrap().clone());
        event.clone()
    };
    let first = accepted(&send_structured(&host, &minimal("/a", json!({}))));
    let other = accepted(&send_structured(&host, &minimal("/b", json!({}))));
    assert_ne!(first["id"], other["id"]);
    for more in [
        json!({ "subject": "x" }),
        json!({ "data": 1 }),
        json!({ "type": "u" }),
    ] {
        let answer = send_structured(&host, &minimal("/a", more));
        let problem = answer.json().unwrap();
        assert_eq!(
            (answer.status, &problem["code"]),
            (409, &json!("id-conflict"))
        );
    }
    // The other mode, and what only the request has, change nothing.
    let transported = [
        ("ce-specversion", "1.0"),
        ("ce-id", "1"),
        ("ce-source", "/a"),
        ("ce-type", "t"),
        ("user-agent", "other"),
        (
            "traceparent",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ),
        ("x-request-id", "2"),
    ];
    let again = accepted(
        &host
            .http("POST", "/v1/messages", &transported, b"")
            .unwrap(),
    );
    assert_eq!(
        (&again["id"], &again["duplicate"]),
        (&first["id"], &json!(true))
    );
    let keyed = [CONTENT_TYPE_STRUCTURED, ("idempotency-key", "k")];
    let body = Value::Object(minimal("/c", json!({}))).to_string();
    let answer = host.http("POST", "/v1/messages", &keyed, body.as_bytes());
    let problem = answer.unwrap().json().unwrap();
    assert_eq!(problem["code"], "two-identities");
    assert_has(
        text(&problem["detail"]),
        &["idempotency-key", "source and id"],
    );

    // What the message is, as the host shows it.
    let full = minimal(
        "/d",
        json!({ "partitionkey": "k", "expirytime": "2099-01-01T00:00:00Z", "sequence": "3" }),
    );
    let id = accepted(&send_binary(&host, &full))["id"].clone();
    let message = crate::support::get(&host, text(&id));
    assert_eq!(message["ordering_key"], "k");
    assert_eq!(message["expires_at"], "2099-01-01T00:00:00.000Z");
    assert_eq!(message["attributes"]["sequence"], "3");
    sink.wait_for_count(SOON, 6).unwrap();
}

/// Goal (A4, A6): a batch of events is answered event by event, and two copies in one are one message.
#[test]
fn a_batch_of_events_is_answered_one_by_one() {
    let (sink, host) = both_modes();
    let batch = [("content-type", "application/cloudevents-batch+json")];
    let post = |batch_of: &Value| post_batch_as(&host, &batch, batch_of.to_string().as_bytes());
    let shown = |lines: &[Value]| -> Vec<String> {
        let lines = lines.iter();
        let shown = lines.map(|line| match &line["accepted"] {
            Value::Null => format!("{} {}", line["line"], text(&line["problem"]["code"])),
            accepted => format!("{} duplicate {}", line["line"], accepted["duplicate"]),
        });
        shown.collect()
    };
    let valid: Value =
        serde_json::from_str(&data("cloudevents/conformance/valid-batches.json")).unwrap();
    let batches = valid["tests"].as_array().unwrap();
    let of = |name: &str| {
        let found = batches.iter().find(|test| test["id"] == name);
        &found.unwrap()["batch"]
    };
    assert!(post(of("validBatchEmpty")).is_empty());
    let twice = post(of("validBatchMinimal2"));
    assert_eq!(shown(&twice), ["1 duplicate false", "2 duplicate true"]);
    let more = post(of("validBatchMinimalAndAllExtensionTypes"));
    assert_eq!(shown(&more), ["1 duplicate true", "2 duplicate false"]);

    let invalid: Value =
        serde_json::from_str(&data("cloudevents/conformance/invalid-batches.json")).unwrap();
    let answers: Vec<_> = invalid["tests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|test| shown(&post(&test["batch"])))
        .collect();
    assert_eq!(
        answers,
        [
            &["1 duplicate false", "2 invalid-field"][..],
            &["1 invalid-field"],
            &["1 malformed-body", "2 duplicate true"],
        ]
    );
    sink.wait_for_count(SOON, 6).unwrap();

    for (content_type, body) in [(batch[0].1, "{}"), (STRUCTURED, "[]")] {
        let path = "/v1/messages/batch";
        let answer = host.http(
            "POST",
            path,
            &[("content-type", content_type)],
            body.as_bytes(),
        );
        let status = answer.unwrap().status;
        assert_eq!(status, if body == "{}" { 400 } else { 415 });
    }
}

/// Goal: the published requests, sent as they are written, come out to the byte: in binary mode every header and the body,
/// in structured mode the data within the event where it is JSON.
#[test]
fn published_requests_come_out_to_the_byte() {
    let (sink, host) = both_modes();
    let requests = published_requests();
    assert_eq!(requests.len(), 5 + 4);
    for (place, (headers, body)) in requests.iter().enumerate() {
        let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (&**n, &**v)).collect();
        sink.forget();
        accepted(
            &host
                .http("POST", "/v1/messages", &headers, body.as_bytes())
                .unwrap(),
        );
        sink.wait_for_count(SOON, 2).unwrap();
        let is_structured = headers
            .iter()
            .any(|(_, value)| value.starts_with(STRUCTURED));
        let is_json = headers.iter().any(|(_, value)| value.contains("json"));
        let data = match body.split_once("\"data\": ").filter(|_| is_structured) {
            // Without the end of the event around it.
            Some((_, rest)) => rest.rsplit_once('}').unwrap().0.trim_end(),
            None => body,
        };
        for request in sink.requests() {
            if request.path == "/structured" {
                let out = std::str::from_utf8(&request.body).unwrap();
                let member = format!("\"data\":{data}");
                assert!(!is_json || out.contains(&member), "{place}: {out}");
                continue;
            }
            assert_eq!(request.body, data, "{place}");
            if is_structured {
                continue;
            }
            let mut found = of_event(&request);
            // The plugin adds a time where the event has none.
            let has_time = headers.iter().any(|(name, _)| *name == "ce-time");
            found.retain(|(name, _)| has_time || *name != "ce-time");
            found.sort_unstable();
            assert_eq!(found, headers, "{place}");
        }
    }
}

/// Goal (A4): every published event that is none is refused by the attribute that is wrong, and goes nowhere.
#[test]
fn what_is_no_event_is_refused() {
    let (sink, host) = both_modes();
    let suite: Value =
        serde_json::from_str(&data("cloudevents/conformance/invalid-events.json")).unwrap();
    let conformance = suite["tests"].as_array().unwrap().iter();
    let mut invalid: Vec<Value> = conformance.map(|test| test["event"].clone()).collect();
    assert_eq!(invalid.len(), 25);
    for name in [
        "fail_numeric_decimal",
        "fail_numeric_long",
        "json_data_with_ext_invalid",
        "json_data_with_ext_upper_case",
    ] {
        let event = data(&format!("cloudevents/structured/{name}.json"));
        invalid.push(serde_json::from_str(&event).unwrap());
    }
    for event in &invalid {
        let answer = send_structured(&host, event.as_object().unwrap());
        let problem = answer.json().unwrap();
        let found = (answer.status, text(&problem["code"]));
        assert_eq!(found, (400, "invalid-field"), "{event}: {problem}");
        let field = text(&problem["field"]);
        let is_required = ["specversion", "id", "source", "type"].contains(&field);
        assert!(
            is_required || event.get(field).is_some(),
            "{event}: {problem}"
        );
    }
    let page = host.http("GET", "/metrics", &[], b"").unwrap().text();
    assert_has(&page, &["\nwharf_messages 0.0\n"]);
    assert_eq!(sink.count(), 0);
}

/// Every message goes to both channels.
fn both_modes() -> (Sink, Host) {
    let sink = Sink::start().unwrap();
    let channel = |mode: &str| {
        format!(
            "[[channel]]\nname = \"{mode}\"\nplugin = \"http\"\nconfig.url = \"{}\"\n\
             convert = [{{ plugin = \"cloudevents\", config = {{ mode = \"{mode}\" }} }}]\n",
            sink.url(&format!("/{mode}"))
        )
    };
    let config = channel("binary")
        + &channel("structured")
        + "[[route]]\nname = \"all\"\nchannels = [\"binary\", \"structured\"]\n";
    let host = host(&config).shipped("http").shipped("cloudevents");
    (sink, host.start().unwrap())
}

/// The valid published events. Some share an id, so each gets one of its own, which is its name.
fn events() -> Vec<(String, Map<String, Value>)> {
    let json = |path: &str| -> Value { serde_json::from_str(&data(path)).unwrap() };
    let mut found = Vec::new();
    let conformance = json("cloudevents/conformance/valid-events.json");
    for test in conformance["tests"].as_array().unwrap() {
        found.push((text(&test["id"]).to_owned(), test["event"].clone()));
    }
    for name in [
        "base64_json_data",
        "base64_json_data_with_ext",
        "base64_text_data",
        "base64_xml_data",
        "binary_attr",
        "json_data",
        "json_data_with_ext",
        "json_data_with_fractional_time",
        "min",
        "min_subject_null",
        "numeric_ext",
        "text_data",
        "xml_data",
    ] {
        found.push((
            name.to_owned(),
            json(&format!("cloudevents/structured/{name}.json")),
        ));
    }
    // The data of the first pair is a placeholder.
    let pairs = json("cloudevents/http/spec-structured-binary-pairs.json");
    for pair in &pairs["pairs"].as_array().unwrap()[1..] {
        found.push((format!("pair {}", pair["line"]), pair["structured"].clone()));
    }
    let requests = json("cloudevents/http/http-binding-requests.json");
    let binary = requests["cases"].as_array().unwrap().iter();
    for (place, case) in binary.filter(|case| case["mode"] == "binary").enumerate() {
        let mut event = case["expect"]["attributes"].clone();
        event["data"] = case["expect"]["data"].clone();
        found.push((format!("request {place}"), event));
    }
    // And one whose headers have to be encoded.
    found.push((
        "encoded".to_owned(),
        json!({
            "specversion": "1.0", "source": "/s", "type": "a \"b\" 100% \\ é 😀",
            "time": "2018-04-05T17:31:00Z", "data_base64": "AP8="
        }),
    ));
    let named = found.into_iter().map(|(name, event)| {
        let mut event = event.as_object().unwrap().clone();
        event.insert("id".to_owned(), Value::from(name.clone()));
        (name, event)
    });
    named.collect()
}

/// The published requests: headers in the order of their names, and bodies. Some share an id, so each gets one of its own.
fn published_requests() -> Vec<(Vec<(String, String)>, String)> {
    let json = |path: &str| -> Value { serde_json::from_str(&data(path)).unwrap() };
    let pairs = json("cloudevents/http/spec-structured-binary-pairs.json");
    let requests = json("cloudevents/http/http-binding-requests.json");
    // The body of the first pair is a placeholder.
    let pairs = pairs["pairs"].as_array().unwrap()[1..].iter();
    let requests = requests["cases"].as_array().unwrap().iter();
    let published = pairs
        .map(|pair| &pair["binary"])
        .chain(requests)
        .enumerate();
    let read = published.map(|(place, request)| {
        let id = format!("published-{place}");
        let headers: Vec<(String, String)> =
            serde_json::from_value(request["headers"].clone()).unwrap();
        let mut headers: Vec<_> = headers
            .into_iter()
            .map(|(name, value)| match name.to_lowercase() {
                name if name == "ce-id" => (name, id.clone()),
                name => (name, value),
            })
            // The length is upstream's and not that of the body.
            .filter(|(name, _)| !["host", "content-length"].contains(&name.as_str()))
            .collect();
        headers.sort_unstable();
        let body = text(&request["body"]).replacen("1234-1234-1234", &id, 1);
        (headers, body)
    });
    read.collect()
}

#[track_caller]
fn accepted(answer: &Answer) -> Value {
    assert_eq!(answer.status, 202, "{}", answer.text());
    answer.json().unwrap()
}

fn send_structured(host: &Host, event: &Map<String, Value>) -> Answer {
    let body = serde_json::to_string(event).unwrap();
    let headers = [(
        "content-type",
        "application/cloudevents+json; charset=utf-8",
    )];
    host.http("POST", "/v1/messages", &headers, body.as_bytes())
        .unwrap()
}

fn send_binary(host: &Host, event: &Map<String, Value>) -> Answer {
    let event = Event::of_object(event);
    let headers: Vec<(String, String)> = event
        .attributes
        .iter()
        .map(|(name, value)| match name.as_str() {
            "datacontenttype" => ("content-type".to_owned(), value.clone()),
            name => (
                format!("ce-{name}"),
                utf8_percent_encode(value, ENCODED).to_string(),
            ),
        })
        .collect();
    let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (&**n, &**v)).collect();
    host.http("POST", "/v1/messages", &headers, &event.data)
        .unwrap()
}

/// The headers of a request that are about its event.
fn of_event(request: &Received) -> Vec<(&str, &str)> {
    let names = request.headers.keys().map(|name| name.as_str());
    names
        .map(|name| (name, request.header(name).unwrap()))
        .filter(|(name, _)| name.starts_with("ce-") || *name == "content-type")
        // What the channel says where nothing else does; no published event has it.
        .filter(|header| *header != ("content-type", "application/octet-stream"))
        .collect()
}

/// An event as both modes have it: all attributes as text, the data as bytes.
#[derive(Debug, PartialEq)]
struct Event {
    attributes: BTreeMap<String, String>,
    data: Vec<u8>,
}

impl Event {
    fn of_object(event: &Map<String, Value>) -> Self {
        let mut attributes = BTreeMap::new();
        for (name, value) in event {
            match value {
                Value::Null => {}
                _ if name == "data" || name == "data_base64" => {}
                Value::String(text) => drop(attributes.insert(name.clone(), text.clone())),
                other => drop(attributes.insert(name.clone(), other.to_string())),
            }
        }
        let data = match (event.get("data"), event.get("data_base64")) {
            (None, None) => Vec::new(),
            (None, Some(base64)) => STANDARD.decode(text(base64)).unwrap(),
            (Some(data), _) => {
                let content_type = attributes
                    .entry("datacontenttype".to_owned())
                    .or_insert_with(|| "application/json".to_owned());
                match data {
                    Value::String(text) if !content_type.contains("json") => {
                        text.clone().into_bytes()
                    }
                    json => json.to_string().into_bytes(),
                }
            }
        };
        Self { attributes, data }
    }

    fn of_request(request: &Received) -> Self {
        let attributes = of_event(request).into_iter().map(|(name, value)| {
            let decoded = percent_decode_str(value).decode_utf8().unwrap();
            match name.strip_prefix("ce-") {
                Some(name) => (name.to_owned(), decoded.into_owned()),
                None => ("datacontenttype".to_owned(), value.to_owned()),
            }
        });
        Self {
            attributes: attributes.collect(),
            data: request.body.to_vec(),
        }
    }
}
