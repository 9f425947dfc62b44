//! The settings, read and checked once an instance.

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer as _};
use serde_json::value::RawValue;
use wharf_plugin_common::setting::Problem;

use crate::pointer::Pointer;
use crate::template::{self, Part};

pub(crate) struct Settings {
    pub(crate) fields: Vec<Field>,
    pub(crate) missing: Missing,
}

/// One key of the result.
pub(crate) struct Field {
    /// The key as JSON, with its colon: `"id":`.
    pub(crate) key_json: String,
    pub(crate) source: Source,
}

/// Where a value comes from.
#[derive(Debug, PartialEq)]
pub(crate) enum Source {
    /// What is there, as it is written.
    Pointer(Pointer),
    /// A string.
    Template(Vec<Part>),
    /// This JSON text.
    Constant(String),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Missing {
    Skip,
    Null,
    Reject,
}

impl Settings {
    /// Reads both through `get`.
    pub(crate) fn read(
        get: impl Fn(&'static str) -> Result<Option<String>, Problem>,
    ) -> Result<Self, Problem> {
        let missing_map = || Problem::new("map", "is missing: a table of key to JSON pointer");
        let map = get("map")?.ok_or_else(missing_map)?;
        Ok(Self {
            fields: fields(&map)?,
            missing: missing(get("missing")?.as_deref())?,
        })
    }
}

fn missing(text: Option<&str>) -> Result<Missing, Problem> {
    match text {
        None | Some("skip") => Ok(Missing::Skip),
        Some("null") => Ok(Missing::Null),
        Some("reject") => Ok(Missing::Reject),
        Some(other) => Err(Problem::new(
            "missing",
            format!("is `{other}`, expected skip, null or reject"),
        )),
    }
}

fn fields(text: &str) -> Result<Vec<Field>, Problem> {
    let problem = |what: String| Problem::new("map", what);
    let mut json = serde_json::Deserializer::from_str(text);
    let pairs = json
        .deserialize_map(Pairs)
        .and_then(|pairs| json.end().map(|()| pairs));
    let pairs = pairs.map_err(|error| problem(format!("must be a table: {error}")))?;
    let mut fields: Vec<Field> = Vec::with_capacity(pairs.len());
    for (key, written) in pairs {
        let key_json = format!("{}:", serde_json::Value::from(key.as_str()));
        if fields.iter().any(|field| field.key_json == key_json) {
            return Err(problem(format!("has the key `{key}` twice")));
        }
        let source =
            source(written).map_err(|what| problem(format!("has for the key `{key}` {what}")))?;
        fields.push(Field { key_json, source });
    }
    Ok(fields)
}

/// The error finishes the sentence "setting `map` has for the key `k` …".
fn source(written: &RawValue) -> Result<Source, String> {
    /// What is no pointer: a table of exactly one of these keys.
    #[derive(Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Made<'a> {
        Template(String),
        #[serde(borrow)]
        Value(&'a RawValue),
    }

    let text = written.get();
    if text.starts_with('"') {
        let pointer: String =
            serde_json::from_str(text).map_err(|_| "text with half a surrogate pair".to_owned())?;
        return Pointer::parse(&pointer).map(Source::Pointer);
    }
    match serde_json::from_str(text) {
        Ok(Made::Template(text)) => template::parse(&text).map(Source::Template),
        Ok(Made::Value(json)) => Ok(Source::Constant(json.get().to_owned())),
        Err(_) => Err(
            "something else than a JSON pointer, { template = \"…\" } or { value = … }".to_owned(),
        ),
    }
}

/// The pairs of an object, in order, with the values as they are written.
struct Pairs;

impl<'de> Visitor<'de> for Pairs {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut pairs = vec![];
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(pairs)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn read(map: &str, missing: Option<&str>) -> Result<Settings, Problem> {
        Settings::read(|key| {
            Ok(match key {
                "map" => Some(map.to_owned()),
                _ => missing.map(str::to_owned),
            })
        })
    }

    /// A value is a pointer, a template or a constant, which keeps its text.
    #[test]
    fn the_three_kinds_of_values() {
        let map = r##"{"a": "/x", "b": {"template": "#{/x}"}, "c": {"value": {"template": [1.50]}},
                       "d": {"value": null}}"##;
        let settings = read(map, None).ok().unwrap();
        let pointer = || Pointer::parse("/x").unwrap();
        let expected = [
            ("\"a\":", Source::Pointer(pointer())),
            (
                "\"b\":",
                Source::Template(vec![Part::Text("#".to_owned()), Part::Found(pointer())]),
            ),
            (
                "\"c\":",
                Source::Constant(r#"{"template": [1.50]}"#.to_owned()),
            ),
            ("\"d\":", Source::Constant("null".to_owned())),
        ];
        assert_eq!(settings.fields.len(), expected.len());
        for (field, (key_json, source)) in settings.fields.iter().zip(expected) {
            assert_eq!(
                (field.key_json.as_str(), &field.source),
                (key_json, &source)
            );
        }
    }

    #[test]
    fn bad_settings_are_named() {
        let cases = [
            ("[]", None, "`map` must be a table"),
            ("{\"a\": 1}", None, "`map` has for the key `a` something"),
            ("{\"a\": \"b\"}", None, "for the key `a` `b`, not a JSON"),
            (
                "{\"a\": \"\\ud800\"}",
                None,
                "for the key `a` text with half",
            ),
            ("{\"a\": {}}", None, "for the key `a` something"),
            (
                "{\"a\": {\"template\": 1}}",
                None,
                "for the key `a` something",
            ),
            (
                "{\"a\": {\"pointer\": \"/b\"}}",
                None,
                "for the key `a` something",
            ),
            (
                "{\"a\": {\"template\": \"\", \"value\": 1}}",
                None,
                "for the key `a` something",
            ),
            (
                "{\"a\": {\"template\": \"{/b\"}}",
                None,
                "for the key `a` a lone `{`",
            ),
            ("{\"a\": \"/b\", \"a\": \"/c\"}", None, "`a` twice"),
            ("{\"a\": \"/b\"} x", None, "`map`"),
            ("{}", Some("drop"), "`missing`"),
        ];
        for (map, missing, named) in cases {
            let error = read(map, missing).err().unwrap().to_string();
            assert!(error.contains(named), "{error}");
        }
        let error = Settings::read(|_| Ok(None)).err().unwrap().to_string();
        assert!(error.contains("`map` is missing"), "{error}");
    }
}
