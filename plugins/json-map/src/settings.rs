//! The settings, read and checked once an instance.

use std::fmt;

use serde::Deserializer as _;
use serde::de::{MapAccess, Visitor};
use wharf_plugin_common::setting::Problem;

pub(crate) struct Settings {
    pub(crate) fields: Vec<Field>,
    pub(crate) missing: Missing,
}

/// One key of the result.
pub(crate) struct Field {
    /// The key as JSON, with its colon: `"id":`.
    pub(crate) key_json: String,
    /// The pointer as it was written, for messages.
    pub(crate) pointer: String,
    /// The pointer's reference tokens, unescaped.
    pub(crate) path: Vec<String>,
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
    let pairs = pairs
        .map_err(|error| problem(format!("must be a table of key to JSON pointer: {error}")))?;
    let mut fields: Vec<Field> = Vec::with_capacity(pairs.len());
    for (key, pointer) in pairs {
        let key_json = format!("{}:", serde_json::Value::from(key.as_str()));
        if fields.iter().any(|field| field.key_json == key_json) {
            return Err(problem(format!("has the key `{key}` twice")));
        }
        let path = path(&pointer).ok_or_else(|| {
            problem(format!(
                "has `{pointer}` for `{key}`, not a JSON pointer: it starts with / or is empty, and \
                 ~ is written ~0, / in a name ~1"
            ))
        })?;
        fields.push(Field {
            key_json,
            pointer,
            path,
        });
    }
    Ok(fields)
}

/// RFC 6901, sections 3 and 4. None: not a pointer.
fn path(pointer: &str) -> Option<Vec<String>> {
    if pointer.is_empty() {
        return Some(vec![]);
    }
    pointer
        .strip_prefix('/')?
        .split('/')
        .map(unescape)
        .collect()
}

fn unescape(token: &str) -> Option<String> {
    let mut parts = token.split('~');
    let mut name = parts.next()?.to_owned();
    for part in parts {
        let (escape, rest) = part.split_at_checked(1)?;
        name.push(match escape {
            "0" => '~',
            "1" => '/',
            _ => return None,
        });
        name.push_str(rest);
    }
    Some(name)
}

/// The pairs of an object of strings, in order.
struct Pairs;

impl<'de> Visitor<'de> for Pairs {
    type Value = Vec<(String, String)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object whose values are strings")
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

    #[test]
    fn pointers_are_rfc_6901() {
        let cases: &[(&str, Option<&[&str]>)] = &[
            ("", Some(&[])),
            ("/", Some(&[""])),
            ("/foo/0", Some(&["foo", "0"])),
            ("/a~1b/m~0n", Some(&["a/b", "m~n"])),
            ("/~01", Some(&["~1"])),
            ("/c%d/ /k\"l", Some(&["c%d", " ", "k\"l"])),
            ("//é", Some(&["", "é"])),
            ("foo", None),
            ("#/foo", None),
            ("/~", None),
            ("/a~2", None),
            ("/~é", None),
        ];
        for (pointer, expected) in cases {
            assert_eq!(
                path(pointer).as_deref(),
                expected.map(|all| all.map_owned()).as_deref()
            );
        }
    }

    trait MapOwned {
        fn map_owned(&self) -> Vec<String>;
    }

    impl MapOwned for [&str] {
        fn map_owned(&self) -> Vec<String> {
            self.iter().map(|text| (*text).to_owned()).collect()
        }
    }

    #[test]
    fn bad_settings_are_named() {
        let cases = [
            ("[]", None, "`map`"),
            ("{\"a\": 1}", None, "`map`"),
            ("{\"a\": \"b\"}", None, "`map`"),
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
