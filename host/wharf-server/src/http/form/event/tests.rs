//! The published events and requests: read as messages, or refused by the part that is wrong.

use std::collections::BTreeMap;
use std::path::Path;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value};

use super::super::tests::read_alone;
use super::*;

/// A published file.
fn data(path: &str) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/cloudevents");
    let text = std::fs::read(folder.join(path)).unwrap_or_else(|e| panic!("{path}: {e}"));
    serde_json::from_slice(&text).unwrap()
}

fn structured_event(name: &str) -> Value {
    data(&format!("structured/{name}.json"))
}

fn read_structured(event: &Value) -> Result<Message, Problem> {
    let text = event.to_string();
    read_alone(|reading| structured::read(text.as_bytes(), reading))
}

fn read_binary(headers: &[(String, String)], body: &str) -> Result<Message, Problem> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(
            HeaderName::from_bytes(name.as_bytes()).unwrap(),
            HeaderValue::from_bytes(value.as_bytes()).unwrap(),
        );
    }
    let body = Bytes::copy_from_slice(body.as_bytes());
    read_alone(|reading| binary::read(&map, body, reading))
}

/// The message must have what the event has, as the tables of this module and of `structured` say it.
#[track_caller]
fn check(name: &str, event: &Value, message: &Message) {
    let event = event.as_object().unwrap();
    let mut attributes = texts(event);
    assert_eq!(attributes.remove("specversion").as_deref(), Some("1.0"));
    let mut content_type = attributes.remove("datacontenttype");
    let data = event.get("data").filter(|data| !data.is_null());
    if data.is_some() && content_type.is_none() {
        content_type = Some("application/json".to_owned());
    }
    let found: BTreeMap<_, _> = message.attributes.iter().cloned().collect();
    assert_eq!(found, attributes, "{name}");
    let headers: Vec<_> = content_type
        .iter()
        .map(|value| ("content-type".to_owned(), value.clone()))
        .collect();
    assert_eq!(message.headers, headers, "{name}");

    let is_json = content_type.is_some_and(|value| value.contains("json"));
    match (data, event.get("data_base64")) {
        (None, None) => assert!(message.payload.is_empty(), "{name}"),
        (None, Some(base64)) => {
            use base64::Engine as _;
            let engine = base64::engine::general_purpose::STANDARD;
            let bytes = engine.decode(base64.as_str().unwrap()).unwrap();
            assert_eq!(message.payload, bytes, "{name}");
        }
        (Some(data), _) if is_json => {
            let payload: Value = serde_json::from_slice(&message.payload).unwrap();
            assert_eq!(&payload, data, "{name}");
        }
        (Some(data), _) => assert_eq!(message.payload, data.as_str().unwrap(), "{name}"),
    }
    assert!(message.id.as_str().starts_with("ce_"), "{name}");
}

/// The attributes of an event in their canonical form.
fn texts(event: &Map<String, Value>) -> BTreeMap<String, String> {
    let attributes = event.iter().filter(|(name, value)| {
        !["data", "data_base64"].contains(&name.as_str()) && !value.is_null()
    });
    let texts = attributes.map(|(name, value)| match value {
        Value::String(text) => (name.clone(), text.clone()),
        other => (name.clone(), other.to_string()),
    });
    texts.collect()
}

#[track_caller]
fn check_refused(name: &str, found: Result<Message, Problem>, field: &str) {
    let problem = found.expect_err(name);
    let found = (problem.code.as_str(), problem.field.as_deref());
    assert_eq!(found, ("invalid-field", Some(field)), "{name}: {problem}");
}

#[test]
fn valid_events_are_messages() {
    let suite = data("conformance/valid-events.json");
    let tests = suite["tests"].as_array().unwrap();
    assert_eq!(tests.len(), 10);
    for test in tests {
        let message = read_structured(&test["event"]);
        check(&test["id"].to_string(), &test["event"], &message.unwrap());
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
        let event = structured_event(name);
        check(name, &event, &read_structured(&event).unwrap());
    }
}

#[test]
fn invalid_events_are_refused_by_their_attribute() {
    let suite = data("conformance/invalid-events.json");
    let mut fields = BTreeMap::from([
        ("invalidNoSpecVersion", "specversion"),
        ("invalidNoId", "id"),
        ("invalidNoType", "type"),
        ("invalidNoSource", "source"),
        ("invalidTimeGarbage", "time"),
        ("invalidTimeToMinute", "time"),
        ("invalidTimeOffsetX", "time"),
        ("invalidTimeOffsetOutOfRange", "time"),
        ("invalidTimeOffsetNonInteger", "time"),
        ("invalidTimeOffsetHourOnly", "time"),
        ("invalidEmptyId", "id"),
        ("invalidEmptyType", "type"),
        ("invalidEmptySource", "source"),
        ("invalidEmptySpecVersion", "specversion"),
        ("invalidUnknownSpecVersion", "specversion"),
        ("invalidNonRfc2046DataContentType", "datacontenttype"),
        ("invalidEmptyDataContentType", "datacontenttype"),
        ("invalidEmptyDataSchema", "dataschema"),
        ("invalidEmptySubject", "subject"),
        ("invalidNumericId", "id"),
        ("invalidObjectId", "id"),
        ("invalidCapitalizedExtension", "MyExtension"),
        ("invalidPunctuatedExtension", "my.extension"),
        ("invalidNonIntegerExtensionValue", "my.extension"),
        ("invalidBothDataAndDataBase64", "data_base64"),
    ]);
    for test in suite["tests"].as_array().unwrap() {
        let name = test["id"].as_str().unwrap();
        let field = fields.remove(name).expect(name);
        check_refused(name, read_structured(&test["event"]), field);
    }
    assert!(fields.is_empty(), "{fields:?}");

    for (name, field) in [
        ("fail_numeric_decimal", "decimal"),
        ("fail_numeric_long", "long"),
        ("json_data_with_ext_invalid", "a_invalid_name"),
        ("json_data_with_ext_upper_case", "aBoolean"),
    ] {
        check_refused(name, read_structured(&structured_event(name)), field);
    }
}

#[test]
fn batches_are_read_event_by_event() {
    let read = |batch: &Value| -> Vec<Result<Message, Problem>> {
        let text = batch.to_string();
        let events = structured::events(text.as_bytes()).unwrap();
        let read = |event| read_alone(|reading| structured::read(event, reading));
        events.into_iter().map(read).collect()
    };
    let suite = data("conformance/valid-batches.json");
    let tests = suite["tests"].as_array().unwrap();
    assert_eq!(tests.len(), 5);
    for test in tests {
        let events = test["batch"].as_array().unwrap();
        let messages = read(&test["batch"]);
        assert_eq!(messages.len(), events.len());
        for (event, message) in events.iter().zip(messages) {
            check(&test["id"].to_string(), event, &message.unwrap());
        }
    }
    // One that is wrong costs only itself.
    let suite = data("conformance/invalid-batches.json");
    let tests = suite["tests"].as_array().unwrap();
    let shown: Vec<Vec<String>> = tests
        .iter()
        .map(|test| {
            let messages = read(&test["batch"]).into_iter();
            let shown = messages.map(|message| match message {
                Ok(_) => "fine".to_owned(),
                Err(problem) => problem.field.unwrap_or(problem.code),
            });
            shown.collect()
        })
        .collect();
    assert_eq!(
        shown,
        [
            &["fine", "specversion"][..],
            &["id"],
            &["malformed-body", "fine"]
        ]
    );

    // The data of the first one is a placeholder in the specification.
    let pairs = data("http/spec-structured-binary-pairs.json");
    let batches = pairs["batches"].as_array().unwrap();
    let (messages, events) = (read(&batches[0]["events"]), &batches[0]["events"]);
    check("second", &events[1], messages[1].as_ref().unwrap());
    assert_eq!(messages.len(), 2);
    assert!(read(&batches[1]["events"]).is_empty());

    for bad in ["", "{}", "[1", "7"] {
        let refused = structured::events(bad.as_bytes()).unwrap_err();
        assert_eq!(refused.code, "malformed-body", "{bad}");
    }
    let many = format!("[{}0]", "0,".repeat(crate::limits::BATCH_MESSAGES_MAX));
    let refused = structured::events(many.as_bytes()).unwrap_err();
    assert!(refused.detail.contains("more than"), "{refused}");
}

/// The two columns of the specification are the same message. The data of the first pair is a placeholder there, so only
/// its attributes count.
#[test]
fn both_modes_are_the_same_message() {
    let vectors = data("http/spec-structured-binary-pairs.json");
    let pairs = vectors["pairs"].as_array().unwrap();
    assert_eq!(pairs.len(), 6);
    for pair in pairs {
        let name = pair["line"].to_string();
        let headers: Vec<(String, String)> =
            serde_json::from_value(pair["binary"]["headers"].clone()).unwrap();
        let body = pair["binary"]["body"].as_str();
        let mut event = pair["structured"].clone();
        if body.is_none() {
            event.as_object_mut().unwrap().remove("data_base64");
        }
        let binary = read_binary(&headers, body.unwrap_or_default()).unwrap();
        check(&name, &event, &binary);
        let structured = read_structured(&event).unwrap();
        check(&name, &event, &structured);
        let same = |message: &Message| Message {
            payload: Bytes::new(),
            ..message.clone()
        };
        assert_eq!(same(&binary), same(&structured), "{name}");

        // And byte by byte, where both are written alike.
        if let (Some(data), Some(body)) = (event.get("data"), body.filter(|b| !b.starts_with('<')))
        {
            let text = event.to_string().replace(&data.to_string(), body);
            let exact = read_alone(|reading| structured::read(text.as_bytes(), reading));
            assert_eq!(exact.unwrap(), binary, "{name}");
        }
    }
}

#[test]
fn requests_of_the_binding_are_read() {
    let vectors = data("http/http-binding-requests.json");
    let cases = vectors["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 4);
    for case in cases {
        let headers: Vec<(String, String)> =
            serde_json::from_value(case["headers"].clone()).unwrap();
        let body = case["body"].as_str().unwrap();
        let message = match case["mode"].as_str().unwrap() {
            "binary" => read_binary(&headers, body).unwrap(),
            _ => read_alone(|reading| structured::read(body.as_bytes(), reading)).unwrap(),
        };
        let mut event = case["expect"]["attributes"].clone();
        event["data"] = case["expect"]["data"].clone();
        check(&case["mode"].to_string(), &event, &message);
    }
}

/// An event of three lines and what is added, in structured mode.
fn event(more: &str) -> Result<Message, Problem> {
    let text = format!(r#"{{"specversion":"1.0","id":"1","source":"/s","type":"t"{more}}}"#);
    read_alone(|reading| structured::read(text.as_bytes(), reading))
}

#[test]
fn some_attributes_have_a_field_too() {
    let message = event(
        r#","partitionkey":"k","sequence":"007","expirytime":"2030-01-01T00:00:00.1234+01:00",
            "traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01","tracestate":"a=b""#,
    )
    .unwrap();
    assert_eq!(message.ordering_key.as_deref(), Some("k"));
    assert_eq!(message.sequence_key, Some(7));
    assert_eq!(
        message.expires_at,
        Some("2029-12-31T23:00:00.123Z".parse().unwrap())
    );
    let trace = message.attribute("traceparent");
    assert_eq!(message.traceparent.as_deref(), trace);
    assert_eq!(message.attribute("sequence"), Some("007"));
    assert_eq!(message.attribute("tracestate"), Some("a=b"));

    for no_number in ["", "+7", "7.0", "18446744073709551616", "abc"] {
        let message = event(&format!(r#","sequence":"{no_number}""#)).unwrap();
        assert_eq!(message.sequence_key, None, "{no_number}");
    }
    assert_eq!(event(r#","sequence":7"#).unwrap().sequence_key, Some(7));
    let odd = event(r#","traceparent":"é""#).unwrap();
    assert_eq!(
        (odd.traceparent.as_deref(), odd.attribute("traceparent")),
        (None, Some("é"))
    );
    let long = "k".repeat(257);
    check_refused(
        "long",
        event(&format!(r#","partitionkey":"{long}""#)),
        "partitionkey",
    );
    check_refused(
        "old",
        event(r#","expirytime":"1960-01-01T00:00:00Z""#),
        "expirytime",
    );
}

/// Source and id are the identity, each for itself, and nothing else is.
#[test]
fn ids_of_events_are_pinned() {
    let id = |source, id| identity::of_event(source, id).to_string();
    assert_eq!(id("/s", "1"), "ce_7kY6bKUhKHogVJFGfqHgDzP0QrOZlwcU");
    assert_eq!(event("").unwrap().id.as_str(), id("/s", "1"));
    assert_eq!(
        event(r#","subject":"x""#).unwrap().id.as_str(),
        id("/s", "1")
    );
    for (source, other) in [("/s1", ""), ("/", "s1"), ("1", "/s"), ("/s", "1 ")] {
        assert_ne!(id(source, other), id("/s", "1"), "{source} {other}");
    }
}

#[test]
fn data_is_what_its_content_type_says() {
    let of = |more: &str| {
        let message = event(more).unwrap();
        let content_type = message.headers.first().map(|(_, value)| value.clone());
        let payload = String::from_utf8(message.payload.to_vec()).unwrap();
        (content_type.unwrap_or_default(), payload)
    };
    let pair = |content_type: &str, payload: &str| (content_type.to_owned(), payload.to_owned());
    let exact = r#"{ "n" : 1.50, "big":1e999,"s":"\u00e9" }"#;
    let json = pair("application/json", exact);
    assert_eq!(of(&format!(r#", "data" : {exact} "#)), json);
    let typed = r#","datacontenttype":"application/json""#;
    assert_eq!(of(&format!(r#"{typed},"data":{exact}"#)), json);
    // Whichever comes first.
    assert_eq!(of(&format!(r#","data":{exact}{typed}"#)), json);
    assert_eq!(
        of(r#","data":"\"a\"""#),
        pair("application/json", r#""\"a\"""#)
    );
    let text = r#","datacontenttype":"text/plain""#;
    assert_eq!(
        of(&format!(r#"{text},"data":"\"é\u00e9\"""#)),
        pair("text/plain", "\"éé\"")
    );
    assert_eq!(of(r#","data_base64":"YQ==""#), pair("", "a"));
    // No data, and the JSON value null.
    assert_eq!(of(r#","data":null"#), pair("", ""));
    assert_eq!(
        of(&format!(r#"{text},"data":null"#)),
        pair("text/plain", "")
    );
    assert_eq!(
        of(&format!(r#"{typed},"data":null"#)),
        pair("application/json", "null")
    );
    assert_eq!(of(r#","data":null,"data_base64":"YQ==""#), pair("", "a"));
    assert_eq!(
        of(r#","data":7,"data_base64":null"#),
        pair("application/json", "7")
    );

    check_refused("no text", event(&format!(r#"{text},"data":{{}}"#)), "data");
    check_refused("base64", event(r#","data_base64":"*""#), "data_base64");
    check_refused("number", event(r#","data_base64":7"#), "data_base64");
    check_refused("twice", event(r#","data":1,"data":2"#), "data");
    check_refused("twice", event(r#","subject":"a","subject":"b""#), "subject");
    check_refused("surrogate", event(r#","subject":"\ud800""#), "subject");
    let large = "x".repeat(1 << 10);
    let refused = event(&format!(r#","data":"{large}""#)).unwrap_err();
    assert_eq!(
        (&*refused.code, refused.field.as_deref()),
        ("payload-too-large", Some("data"))
    );
}

#[test]
fn extensions_are_what_the_format_has() {
    for (value, text) in [
        ("10", "10"),
        ("-0", "0"),
        ("2147483647", "2147483647"),
        ("true", "true"),
        (r#""TWE=""#, "TWE="),
        (r#""""#, ""),
    ] {
        let message = event(&format!(r#","ext":{value}"#)).unwrap();
        assert_eq!(message.attribute("ext"), Some(text), "{value}");
    }
    for value in ["2147483648", "1.0", "1e1", "{}", "[]"] {
        check_refused(value, event(&format!(r#","ext":{value}"#)), "ext");
    }
    assert_eq!(event(r#","ext":null"#).unwrap().attribute("ext"), None);
    let many: String = (0..61).map(|n| format!(r#","a{n}":"""#)).collect();
    assert_eq!(event(&many).unwrap().attributes.len(), 64);
    assert!(event(&(many.clone() + r#","b":"""#)).is_err());
    let far_more: String = (0..1000).map(|n| format!(r#","a{n}":null"#)).collect();
    assert_eq!(event(&far_more).unwrap_err().code, "malformed-body");
}

#[test]
fn binary_mode_names_the_header() {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let with = |more: &[(&str, &str)]| {
        let mut headers: Vec<_> = [
            ("ce-specversion", "1.0"),
            ("ce-id", "1"),
            ("ce-source", "/s"),
            ("ce-type", "t"),
        ]
        .iter()
        .map(own)
        .filter(|(name, _)| !more.iter().any(|(other, _)| other == name))
        .collect();
        headers.extend(more.iter().filter(|(_, value)| *value != "-").map(own));
        read_binary(&headers, "x")
    };
    let plain = with(&[
        ("x-a", "b"),
        ("CE-MyExt", "%C3%A9 \"b  c\""),
        ("content-type", "a/b"),
    ])
    .unwrap();
    assert_eq!(plain.attribute("myext"), Some("é b  c"));
    assert_eq!(plain.attributes.len(), 4);
    assert_eq!(
        plain.headers,
        [("content-type".to_owned(), "a/b".to_owned())]
    );
    assert!(with(&[]).unwrap().headers.is_empty());
    for name in ["ce-specversion", "ce-id", "ce-source", "ce-type"] {
        check_refused("missing", with(&[(name, "-")]), name);
        check_refused("empty", with(&[(name, "")]), name);
        check_refused("twice", with(&[(name, "1.0"), (name, "1.0")]), name);
    }
    for (name, value) in [
        ("ce-time", "lunchtime"),
        ("ce-subject", "%"),
        ("ce-subject", "a%0Ab"),
        ("ce-datacontenttype", "a/b"),
        ("ce-data", "x"),
        ("ce-my-ext", "x"),
        ("ce-", "x"),
        ("content-type", "xyz"),
    ] {
        check_refused(value, with(&[(name, value)]), name);
    }
}
