//! What a template can name.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use minijinja::Value;
use minijinja::value::Object;
use wharf_plugin_common::time::rfc3339;
use wharf_plugin_common::types::Call;

/// The variables of one message. The body is read as text or JSON only where a template asks.
#[derive(Debug)]
pub(crate) struct Scope {
    message: Value,
    attributes: Value,
    headers: Value,
    bytes: Vec<u8>,
    body: OnceLock<Option<Value>>,
    json: OnceLock<Option<Value>>,
}

impl Scope {
    pub(crate) fn new(c: Call, headers: &[(String, String)], body: Vec<u8>) -> Self {
        let message = [
            ("id", Value::from(c.message_id)),
            ("channel", Value::from(c.channel)),
            ("route", Value::from(c.route)),
            ("attempt", Value::from(c.attempt)),
            ("accepted", Value::from(rfc3339(c.accepted_ms))),
            ("now", Value::from(rfc3339(c.now_ms))),
        ];
        let ordering_key = c.ordering_key.map(|key| ("ordering_key", Value::from(key)));
        // A field that repeats is the list of its values (RFC 9110, 5.3).
        let mut fields: BTreeMap<String, String> = BTreeMap::new();
        for (name, value) in headers {
            fields
                .entry(name.to_ascii_lowercase())
                .and_modify(|all| *all = format!("{all}, {value}"))
                .or_insert_with(|| value.clone());
        }
        Self {
            message: Value::from_pairs(message.into_iter().chain(ordering_key)),
            attributes: Value::from_pairs(c.attributes),
            headers: Value::from_pairs(fields),
            bytes: body,
            body: OnceLock::new(),
            json: OnceLock::new(),
        }
    }
}

impl Object for Scope {
    /// None: undefined, and so an error wherever it is used.
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        match key.as_str()? {
            "message" => Some(self.message.clone()),
            "attributes" => Some(self.attributes.clone()),
            "headers" => Some(self.headers.clone()),
            "body" => {
                let text = || std::str::from_utf8(&self.bytes).ok().map(Value::from);
                self.body.get_or_init(text).clone()
            }
            "json" => {
                let json = || serde_json::from_slice(&self.bytes).ok();
                self.json.get_or_init(json).clone()
            }
            _ => None,
        }
    }
}
