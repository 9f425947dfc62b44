//! What the tests of the host share: a host with guests from tests/guests, and the values they are called with.

#![allow(dead_code, reason = "each test binary uses its share")]

use std::error::Error;
use std::fs;

use tempfile::TempDir;
use wharf_plugin::{Binding, Call, Converter, Grants, Host, Options, Plugin, Wire};
use wharf_testkit::guest;

/// A folder of plugins, given as (name, guest), all loaded.
pub(crate) async fn host(
    options: Options,
    grants: Grants,
    plugins: &[(&str, &str)],
) -> (Host, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    for (name, guest_name) in plugins {
        fs::copy(
            guest(guest_name),
            dir.path().join(name).with_extension("wasm"),
        )
        .unwrap();
    }
    let host = Host::new(options).unwrap();
    for loaded in host.load_dir(dir.path(), |_| grants.clone()).await {
        loaded.unwrap();
    }
    (host, dir)
}

pub(crate) async fn misbehave(options: Options, grants: Grants) -> Plugin {
    let (host, _dir) = host(options, grants, &[("misbehave", "misbehave")]).await;
    host.plugin("misbehave").unwrap()
}

pub(crate) fn binding(name: &str, settings: &[(&str, &str)]) -> Binding {
    let settings = settings
        .iter()
        .map(|(key, value)| (key.to_string(), value.to_string()));
    Binding {
        name: name.to_owned(),
        settings: settings.collect(),
    }
}

pub(crate) fn call(mode: &str) -> Call {
    Call {
        channel: "partner-a".to_owned(),
        route: "orders".to_owned(),
        message_id: "01JMESSAGE".to_owned(),
        delivery: 7,
        idempotency_key: "01JMESSAGE".to_owned(),
        attempt: 1,
        accepted_ms: 1,
        now_ms: 2,
        ordering_key: None,
        attributes: vec![("misbehave".to_owned(), mode.to_owned())],
        extra: Vec::new(),
    }
}

pub(crate) fn message() -> Wire {
    Wire {
        endpoint: Some("https://example.com/in".to_owned()),
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: br#"{"order":1}"#.to_vec(),
    }
}

pub(crate) async fn answer(converter: &Converter, mode: &str) -> String {
    let wire = converter
        .convert(&call(mode), &message())
        .await
        .unwrap()
        .unwrap();
    String::from_utf8(wire.body).unwrap()
}

pub(crate) fn chain(error: &dyn Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}
