//! The whole conversion, on the published events and on what they do not cover.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::*;
use crate::settings::tests::read;

const PAIRS: &str = include_str!(concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../tests/data/cloudevents/http/spec-structured-binary-pairs.json"
));

macro_rules! structured {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../tests/data/cloudevents/structured/", $name, ".json"
        )))),*]
    };
}

/// The published events that a message can be. The others have attributes that a message cannot
/// have: fail_numeric_decimal and fail_numeric_long break the type Integer, and every attribute of a
/// message is text.
const STRUCTURED_EVENTS: [(&str, &str); 15] = structured![
    "base64_json_data",
    "base64_json_data_with_ext",
    "base64_text_data",
    "base64_xml_data",
    "binary_attr",
    "json_data",
    "json_data_with_ext",
    "json_data_with_ext_invalid",
    "json_data_with_ext_upper_case",
    "json_data_with_fractional_time",
    "min",
    "min_subject_null",
    "numeric_ext",
    "text_data",
    "xml_data",
];

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let own = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    pairs.iter().map(own).collect()
}

fn call(attributes: Vec<(String, String)>) -> Call {
    Call {
        channel: "partner-a".to_owned(),
        route: "all".to_owned(),
        message_id: "01J".to_owned(),
        delivery: 1,
        idempotency_key: "01J".to_owned(),
        attempt: 1,
        accepted_ms: 1_614_265_330_042,
        now_ms: 1_614_265_331_000,
        ordering_key: None,
        attributes,
        extra: vec![],
    }
}

fn wire(headers: &[(&str, &str)], body: &[u8]) -> Wire {
    Wire {
        endpoint: Some("https://a.example".to_owned()),
        headers: pairs(headers),
        body: body.to_vec(),
    }
}

/// A published event, taken apart into what a message has.
struct Given {
    attributes: Vec<(String, String)>,
    content_type: Option<String>,
    /// None: the event has no data.
    data: Option<Vec<u8>>,
}

impl Given {
    fn new(event: &Map<String, Value>) -> Self {
        let mut given = Self {
            attributes: vec![],
            content_type: None,
            data: None,
        };
        let is_json = match event.get("datacontenttype") {
            Some(content_type) => content_type.as_str().unwrap().ends_with("json"),
            None => true,
        };
        for (name, value) in event {
            match (name.as_str(), value) {
                (_, Value::Null) => {}
                ("datacontenttype", Value::String(text)) => given.content_type = Some(text.clone()),
                ("data", Value::String(text)) if !is_json => {
                    given.data = Some(text.clone().into_bytes());
                }
                ("data", json) => given.data = Some(json.to_string().into_bytes()),
                ("data_base64", Value::String(text)) => {
                    given.data = Some(STANDARD.decode(text).unwrap());
                }
                (_, Value::String(text)) => given.attributes.push((name.clone(), text.clone())),
                (_, other) => given.attributes.push((name.clone(), other.to_string())),
            }
        }
        // A `data` without a content type is JSON, says the format.
        if event.contains_key("data") && given.content_type.is_none() {
            given.content_type = Some("application/json".to_owned());
        }
        given
    }

    fn convert(&self, mode: &str) -> Wire {
        let content_type = self.content_type.as_deref();
        let headers: Vec<_> = content_type
            .map(|value| ("content-type", value))
            .into_iter()
            .collect();
        convert(
            &read(&[("mode", mode)]).unwrap(),
            call(self.attributes.clone()),
            wire(&headers, self.data.as_deref().unwrap_or_default()),
        )
        .unwrap()
    }

    /// What is expected of the attributes: a message always has a time, and no illegal names.
    fn expected(&self) -> BTreeMap<String, String> {
        let mut expected: BTreeMap<_, _> = self.attributes.iter().cloned().collect();
        expected.retain(|name, _| attribute::is_name(name));
        let accepted = "2021-02-25T15:02:10.042Z".to_owned();
        expected.entry("time".to_owned()).or_insert(accepted);
        expected
    }
}

#[track_caller]
fn check_structured(name: &str, given: &Given) {
    let wire = given.convert("structured");
    let headers = pairs(&[("content-type", "application/cloudevents+json")]);
    assert_eq!(wire.headers, headers, "{name}");
    let mut event: Map<String, Value> = serde_json::from_slice(&wire.body).unwrap();
    let (data, base64) = (event.remove("data"), event.remove("data_base64"));
    let content_type = event.remove("datacontenttype");
    assert_eq!(
        content_type.as_ref().and_then(Value::as_str),
        given.content_type.as_deref(),
        "{name}"
    );
    let texts = event.into_iter().map(|(name, value)| match value {
        Value::String(text) => (name, text),
        other => panic!("{name} = {other}"),
    });
    assert_eq!(
        texts.collect::<BTreeMap<_, _>>(),
        given.expected(),
        "{name}"
    );
    let is_json = content_type.is_some_and(|text| text.as_str().unwrap().ends_with("json"));
    let data = match (data, base64) {
        (None, None) => None,
        (Some(Value::String(text)), None) if !is_json => Some(text.into_bytes()),
        (Some(json), None) => Some(json.to_string().into_bytes()),
        (None, Some(base64)) => Some(STANDARD.decode(base64.as_str().unwrap()).unwrap()),
        (Some(_), Some(_)) => panic!("{name} has both members"),
    };
    assert_eq!(data, given.data, "{name}");
}

#[track_caller]
fn check_binary(name: &str, given: &Given) {
    let wire = given.convert("binary");
    let mut headers: BTreeMap<_, _> = wire.headers.iter().cloned().collect();
    assert_eq!(headers.len(), wire.headers.len(), "{name}");
    assert_eq!(headers.remove("content-type"), given.content_type, "{name}");
    let expected = given.expected().into_iter();
    let expected = expected.map(|(name, value)| (format!("ce-{name}"), value));
    assert_eq!(headers, expected.collect(), "{name}");
    assert_eq!(wire.body, given.data.clone().unwrap_or_default(), "{name}");
}

/// Each event goes out in both modes with the attributes and the data that it has.
#[test]
fn published_events_in_both_modes() {
    for (name, text) in STRUCTURED_EVENTS {
        let given = Given::new(&serde_json::from_str(text).unwrap());
        check_structured(name, &given);
        check_binary(name, &given);
    }
}

/// The specification's own pairs: what is binary in the one column comes out as in the other, and
/// the structured form has the same attributes and data. In the first pair the specification left
/// the data out, so only its attributes count.
#[test]
fn pairs_of_the_specification() {
    let vectors: Value = serde_json::from_str(PAIRS).unwrap();
    let all = vectors["pairs"].as_array().unwrap();
    assert_eq!(all.len(), 6);
    for pair in all {
        let name = pair["line"].to_string();
        let mut event = pair["structured"].as_object().unwrap().clone();
        if pair["binary"]["body"].is_null() {
            event.remove("data_base64");
        }
        let given = Given::new(&event);
        let mut binary: BTreeMap<String, String> = pair["binary"]["headers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|header| serde_json::from_value(header.clone()).unwrap())
            .collect();
        assert_eq!(binary.remove("content-type"), given.content_type, "{name}");
        let attributes = given.attributes.iter();
        let attributes = attributes.map(|(name, value)| (format!("ce-{name}"), value.clone()));
        assert_eq!(binary, attributes.collect(), "{name}");
        check_binary(&name, &given);
        check_structured(&name, &given);

        // The bytes of the binary form, which are JSON written another way, are kept too.
        if let Some(body) = pair["binary"]["body"].as_str() {
            let given = Given {
                data: Some(body.as_bytes().to_vec()),
                ..given
            };
            check_binary(&name, &given);
            let structured = String::from_utf8(given.convert("structured").body).unwrap();
            let is_embedded = event.contains_key("data") && !body.starts_with('<');
            assert_eq!(
                structured.contains(&format!(r#","data":{body}}}"#)),
                is_embedded
            );
        }
    }
}

/// What a message lacks comes from the call and the settings, and what it has wins over them.
#[test]
fn what_the_attributes_lack_is_filled_in() {
    let settings = read(&[("source", "/shop"), ("type", "order.created")]).unwrap();
    let plain = |pairs: &[(&str, &str)]| {
        let mut expected = self::pairs(&[("x-a", "1"), ("Content-Type", "a/b")]);
        let own = |(name, value): &(&str, &str)| (format!("ce-{name}"), (*value).to_owned());
        expected.extend(pairs.iter().map(own));
        expected
    };
    let msg = || wire(&[("x-a", "1"), ("Content-Type", "a/b")], b"\0\xff");

    let mut c = call(vec![]);
    c.ordering_key = Some("order 7".to_owned());
    c.extra = pairs(&[
        (
            "traceparent",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ),
        ("expires-at", "1614265390000"),
        ("collected", "1"),
    ]);
    let made = convert(&settings, c, msg()).unwrap();
    assert_eq!(
        made.headers,
        plain(&[
            ("specversion", "1.0"),
            ("id", "01J"),
            ("source", "/shop"),
            ("type", "order.created"),
            ("time", "2021-02-25T15:02:10.042Z"),
            ("partitionkey", "order%207"),
            ("expirytime", "2021-02-25T15:03:10.000Z"),
            (
                "traceparent",
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
            ),
        ])
    );
    assert_eq!(made.body, b"\0\xff");
    assert_eq!(made.endpoint.as_deref(), Some("https://a.example"));

    let mut c = call(pairs(&[
        ("b2", "x"),
        ("specversion", "0.3"),
        ("datacontenttype", "c/d"),
        ("data", "x"),
        ("tenant-id", "x"),
        ("id", "A 1"),
        ("source", "/s"),
        ("type", "t"),
        ("subject", "é"),
        ("time", "2018-04-26T14:48:09+02:00"),
        ("dataschema", "urn:x:y"),
        ("partitionkey", "attribute"),
        ("expirytime", "2018-04-26T14:48:10Z"),
        ("traceparent", "own"),
        ("a1", "100%"),
    ]));
    c.extra = pairs(&[("traceparent", "host"), ("expires-at", "0")]);
    let own = plain(&[
        ("specversion", "1.0"),
        ("id", "A%201"),
        ("source", "/s"),
        ("type", "t"),
        ("subject", "%C3%A9"),
        ("time", "2018-04-26T14:48:09+02:00"),
        ("dataschema", "urn:x:y"),
        ("partitionkey", "attribute"),
        ("expirytime", "2018-04-26T14:48:10Z"),
        ("traceparent", "own"),
        ("b2", "x"),
        ("a1", "100%25"),
    ]);
    assert_eq!(convert(&settings, c.clone(), msg()).unwrap().headers, own);

    // The ordering key alone wins over its attribute: it is what wharf orders by.
    c.ordering_key = Some("key".to_owned());
    let made = convert(&settings, c, msg()).unwrap().headers;
    assert!(made.contains(&("ce-partitionkey".to_owned(), "key".to_owned())));
    assert_eq!(made.len(), own.len());
}

/// A time that RFC 3339 cannot write is left out; another text than a number is the time itself.
#[test]
fn the_expiry_of_the_host() {
    for (given, expected) in [
        ("253402300799999", Some("9999-12-31T23:59:59.999Z")),
        ("253402300800000", None),
        ("2018-04-05T17:31:00Z", Some("2018-04-05T17:31:00Z")),
    ] {
        let mut c = call(pairs(&[("type", "t")]));
        c.accepted_ms = u64::MAX;
        c.extra = pairs(&[("expires-at", given)]);
        let headers = convert(&read(&[]).unwrap(), c, wire(&[], b""))
            .unwrap()
            .headers;
        let header = |name: &str| {
            let found = headers.iter().find(|(key, _)| key == name);
            found.map(|(_, value)| value.as_str())
        };
        assert_eq!(header("ce-expirytime"), expected);
        assert_eq!(header("ce-time"), None);
    }
}

/// Headers of an event that the message brought never mix with ours, in either mode.
#[test]
fn headers_of_another_event_are_dropped() {
    let brought = [
        ("CE-Id", "theirs"),
        ("ce-datacontenttype", "a/b"),
        ("ce-stale", "1"),
        ("Ce-", "1"),
        ("ceremony", "1"),
        ("Content-Type", "application/json"),
        ("content-type", "text/plain"),
    ];
    let run = |mode| {
        let settings = read(&[("mode", mode), ("type", "t")]).unwrap();
        convert(&settings, call(vec![]), wire(&brought, b"{}")).unwrap()
    };
    assert_eq!(
        run("binary").headers,
        pairs(&[
            ("ceremony", "1"),
            ("Content-Type", "application/json"),
            ("content-type", "text/plain"),
            ("ce-specversion", "1.0"),
            ("ce-id", "01J"),
            ("ce-source", "wharf"),
            ("ce-type", "t"),
            ("ce-time", "2021-02-25T15:02:10.042Z"),
        ])
    );
    let structured = run("structured");
    assert_eq!(
        structured.headers,
        pairs(&[
            ("ceremony", "1"),
            ("content-type", "application/cloudevents+json"),
        ])
    );
    assert_eq!(
        String::from_utf8(structured.body).unwrap(),
        r#"{"specversion":"1.0","id":"01J","source":"wharf","type":"t","time":"2021-02-25T15:02:10.042Z","datacontenttype":"application/json","data":{}}"#
    );
}

/// Each wrong value is refused, in both modes, with a reason that names it and does not show it.
#[test]
fn what_is_no_event_is_refused() {
    let cases: &[(&str, &str)] = &[
        ("id", ""),
        ("source", "my secret shop"),
        ("type", ""),
        ("subject", ""),
        ("time", "lunchtime"),
        ("dataschema", "/relative"),
        ("expirytime", "2019-04-05"),
        ("partitionkey", "a\nb"),
        ("traceparent", "a\u{85}b"),
        ("comexample1", "line1\r\nline2"),
    ];
    for mode in ["binary", "structured"] {
        let settings = read(&[("mode", mode)]).unwrap();
        for (name, value) in cases {
            let mut attributes = pairs(&[("type", "t")]);
            attributes.retain(|(key, _)| key != name);
            attributes.extend(pairs(&[(name, value)]));
            let refused = convert(&settings, call(attributes), wire(&[], b"")).unwrap_err();
            let Fault::Rejected(refusal) = rejected(&refused) else {
                panic!("{refused:?}")
            };
            assert_eq!(refusal.code, "bad-attribute");
            let start = format!("attribute `{name}` must be ");
            assert!(refusal.reason.starts_with(&start), "{}", refusal.reason);
            assert!(
                value.is_empty() || !refusal.reason.contains(value),
                "{}",
                refusal.reason
            );
        }

        let typed = || call(pairs(&[("type", "t")]));
        let refused = convert(&settings, typed(), wire(&[("content-type", "xyz")], b""));
        assert!(
            matches!(&refused, Err(Refused::BadAttribute { name, .. }) if name == "datacontenttype")
        );

        let mut c = typed();
        c.extra = pairs(&[("expires-at", "soon")]);
        let refused = convert(&settings, c, wire(&[], b""));
        assert!(
            matches!(&refused, Err(Refused::BadAttribute { name, .. }) if name == "expirytime")
        );

        let refused = convert(&settings, call(vec![]), wire(&[], b"")).unwrap_err();
        let Fault::Rejected(refusal) = rejected(&refused) else {
            panic!("{refused:?}")
        };
        assert_eq!(refusal.code, "no-type");
        assert!(
            refusal.reason.contains("setting `type`"),
            "{}",
            refusal.reason
        );
    }
}

/// Receivers take a body for the event whose content type begins like this, so only the structured
/// form can carry one as data.
#[test]
fn an_event_as_data_needs_the_structured_form() {
    for content_type in [
        "application/cloudevents+json",
        "Application/CloudEvents-batch+json; charset=utf-8",
    ] {
        let run = |mode| {
            let settings = read(&[("mode", mode), ("type", "t")]).unwrap();
            convert(
                &settings,
                call(vec![]),
                wire(&[("content-type", content_type)], b"[]"),
            )
        };
        assert_eq!(run("binary"), Err(Refused::Nested));
        let body = String::from_utf8(run("structured").unwrap().body).unwrap();
        assert!(body.ends_with(r#","data":[]}"#), "{body}");
    }
}
