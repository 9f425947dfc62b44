//! Finds what the pointers name and writes the result. Pure: bytes in, bytes out.
//!
//! The body is checked whole once; then each pointer descends through slices of its text, so what
//! is copied is what was written. A pointer costs a scan of each level that it passes through,
//! which is little next to the first check for the handful of shallow pointers that a map has.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::pointer::Pointer;
use crate::settings::{Missing, Settings, Source};
use crate::template::{self, Part};

/// Why a message cannot be converted. Says where, never what the body holds.
#[derive(Debug, PartialEq)]
pub(crate) enum Refused {
    NotJson { line: usize, column: usize },
    Missing { pointer: String },
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJson { line: 0, .. } => write!(f, "the body is not UTF-8"),
            Self::NotJson { line, column } => {
                write!(f, "the body is not JSON: see line {line}, column {column}")
            }
            Self::Missing { pointer } => write!(f, "the body has nothing at `{pointer}`"),
        }
    }
}

/// The new body.
pub(crate) fn object(settings: &Settings, body: &[u8]) -> Result<Vec<u8>, Refused> {
    let text = std::str::from_utf8(body).map_err(|_| Refused::NotJson { line: 0, column: 0 })?;
    let whole: &RawValue = serde_json::from_str(text).map_err(|error| Refused::NotJson {
        line: error.line(),
        column: error.column(),
    })?;

    let mut out = Vec::with_capacity(body.len());
    out.push(b'{');
    for field in &settings.fields {
        let value = match (value(whole.get(), &field.source), settings.missing) {
            (Ok(value), _) => value,
            (Err(_), Missing::Skip) => continue,
            (Err(_), Missing::Null) => "null".into(),
            (Err(pointer), Missing::Reject) => {
                return Err(Refused::Missing {
                    pointer: pointer.text.clone(),
                });
            }
        };
        if out.len() > 1 {
            out.push(b',');
        }
        out.extend_from_slice(field.key_json.as_bytes());
        out.extend_from_slice(value.as_bytes());
    }
    out.push(b'}');
    Ok(out)
}

/// The JSON text that `source` gives from the valid JSON text `json`. Err: the pointer that finds
/// nothing.
fn value<'a>(json: &'a str, source: &'a Source) -> Result<Cow<'a, str>, &'a Pointer> {
    match source {
        Source::Pointer(pointer) => {
            let found = find(json, &pointer.path).ok_or(pointer)?;
            Ok(found.into())
        }
        Source::Template(parts) => string(json, parts).map(Cow::from),
        Source::Constant(json) => Ok(json.into()),
    }
}

/// A JSON string of the parts. A string that is found is copied between its quotes, still escaped;
/// of anything else it is the JSON text.
fn string<'a>(json: &str, parts: &'a [Part]) -> Result<String, &'a Pointer> {
    let mut out = "\"".to_owned();
    for part in parts {
        match part {
            Part::Text(escaped) => out += escaped,
            Part::Found(pointer) => {
                let found = find(json, &pointer.path).ok_or(pointer)?;
                let inner = found
                    .strip_prefix('"')
                    .and_then(|rest| rest.strip_suffix('"'));
                match inner {
                    Some(escaped) => out += escaped,
                    None => out += &template::escape(found),
                }
            }
        }
    }
    out.push('"');
    Ok(out)
}

/// The text of the value at `path` in the valid JSON text `json`.
fn find<'a>(json: &'a str, path: &[String]) -> Option<&'a str> {
    let Some((token, rest)) = path.split_first() else {
        return Some(json);
    };
    let mut reader = serde_json::Deserializer::from_str(json);
    let found = match json.as_bytes().first()? {
        b'{' => reader.deserialize_map(Member(token)),
        b'[' => reader.deserialize_seq(Element(index(token)?)),
        _ => return None,
    };
    find(found.ok()??.get(), rest)
}

/// RFC 6901, section 4: digits without a leading zero. `-`, the element after the last, is never
/// there.
fn index(token: &str) -> Option<usize> {
    let digits = token.bytes().all(|b| b.is_ascii_digit());
    let canonical = token == "0" || !token.starts_with('0');
    if digits && canonical {
        token.parse().ok()
    } else {
        None
    }
}

#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

/// Finds the member of this name: of several, the last.
struct Member<'t>(&'t str);

impl<'de> Visitor<'de> for Member<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(Key(key)) = map.next_key()? {
            if key == self.0 {
                found = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// Finds the element at this index.
struct Element(usize);

impl<'de> Visitor<'de> for Element {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        for _ in 0..self.0 {
            if seq.next_element::<IgnoredAny>()?.is_none() {
                return Ok(None);
            }
        }
        let found = seq.next_element()?;
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::tests::read;

    #[track_caller]
    fn check(map: &str, missing: Option<&str>, body: &str, expected: Result<&str, Refused>) {
        let settings = read(map, missing).ok().unwrap();
        let made = object(&settings, body.as_bytes()).map(|out| String::from_utf8(out).unwrap());
        assert_eq!(made.as_deref(), expected.as_ref().map(|text| *text));
    }

    /// The examples of RFC 6901, section 5.
    #[test]
    fn the_examples_of_the_standard() {
        let body = r#"{"foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "e^f": 3,
                       "g|h": 4, "i\\j": 5, "k\"l": 6, " ": 7, "m~n": 8}"#;
        let cases = [
            ("/foo", r#"["bar", "baz"]"#),
            ("/foo/0", r#""bar""#),
            ("/", "0"),
            ("/a~1b", "1"),
            ("/c%d", "2"),
            ("/e^f", "3"),
            ("/g|h", "4"),
            ("/i\\\\j", "5"),
            ("/k\\\"l", "6"),
            ("/ ", "7"),
            ("/m~0n", "8"),
        ];
        for (pointer, value) in cases {
            check(
                &format!(r#"{{"x":"{pointer}"}}"#),
                None,
                body,
                Ok(&format!(r#"{{"x":{value}}}"#)),
            );
        }
        check(r#"{"x":""}"#, None, body, Ok(&format!(r#"{{"x":{body}}}"#)));
    }

    /// Numbers that no double can hold, escapes and the order of keys come out as they went in.
    #[test]
    fn values_keep_their_exact_text() {
        let body = r#"{"n": 12345678901234567890.10, "big": 1e999, "s": "é\u00e9\n", "o": {"b": 1, "a": 2}}"#;
        check(
            r#"{"z":"/o","y":"/s","x":"/big","w \"q\"":"/n"}"#,
            None,
            body,
            Ok(
                r#"{"z":{"b": 1, "a": 2},"y":"é\u00e9\n","x":1e999,"w \"q\"":12345678901234567890.10}"#,
            ),
        );
    }

    #[test]
    fn what_is_missing_is_skipped_null_or_refused() {
        let map = r#"{"a":"/a/b/c","d":"/d"}"#;
        for body in [
            r#"{"d":1}"#,
            r#"{"a":{"b":[]},"d":1}"#,
            r#"{"a":"b","d":1}"#,
        ] {
            check(map, None, body, Ok(r#"{"d":1}"#));
            check(map, Some("null"), body, Ok(r#"{"a":null,"d":1}"#));
            check(
                map,
                Some("reject"),
                body,
                Err(Refused::Missing {
                    pointer: "/a/b/c".to_owned(),
                }),
            );
        }
        check(
            map,
            Some("reject"),
            r#"{"a":{"b":{"c":null}},"d":1}"#,
            Ok(r#"{"a":null,"d":1}"#),
        );
    }

    #[test]
    fn templates_make_strings() {
        let body = r#"{"s": "a\"\u00e9\ud800", "n": 1.50, "t": true, "z": null, "e": "",
                       "o": {"k": "v\n"}, "l": [1, "x"]}"#;
        for (template, expected) in [
            ("", r#""""#),
            ("no pointer", r#""no pointer""#),
            ("<{/s}>", r#""<a\"\u00e9\ud800>""#),
            ("{/n}/{/t}", r#""1.50/true""#),
            ("{/z}", r#""null""#),
            ("{/e}", r#""""#),
            ("{/o}", r#""{\"k\": \"v\\n\"}""#),
            ("{/l}", r#""[1, \"x\"]""#),
            ("{/l/1}{/l/0}", r#""x1""#),
            ("{{{/n}}}", r#""{1.50}""#),
            ("é\\n{/n}", r#""é\n1.50""#),
        ] {
            check(
                &format!(r#"{{"x":{{"template":"{template}"}}}}"#),
                None,
                body,
                Ok(&format!(r#"{{"x":{expected}}}"#)),
            );
        }
        // What a pointer finds is not looked at again.
        check(
            r#"{"x":{"template":"{/a}"}}"#,
            None,
            r#"{"a":"{/b}","b":1}"#,
            Ok(r#"{"x":"{/b}"}"#),
        );
    }

    /// The whole key is missing where one of its pointers finds nothing.
    #[test]
    fn a_template_misses_what_its_pointers_miss() {
        let map = r##"{"a":{"template":"{/a}#{/b/c}"},"d":"/d"}"##;
        let body = r#"{"a":1,"b":{},"d":2}"#;
        check(map, None, body, Ok(r#"{"d":2}"#));
        check(map, Some("null"), body, Ok(r#"{"a":null,"d":2}"#));
        check(
            map,
            Some("reject"),
            body,
            Err(Refused::Missing {
                pointer: "/b/c".to_owned(),
            }),
        );
        let body = r#"{"a":1,"b":{"c":null},"d":2}"#;
        check(map, Some("reject"), body, Ok(r##"{"a":"1#null","d":2}"##));
    }

    /// A constant is written as it is in the settings, whatever is missing.
    #[test]
    fn constants_are_copied() {
        check(
            r#"{"v":{"value":1.50},"o":{"value":{"template": "{/a}"}},"n":{"value":null},"a":"/a"}"#,
            Some("reject"),
            r#"{"a":true}"#,
            Ok(r#"{"v":1.50,"o":{"template": "{/a}"},"n":null,"a":true}"#),
        );
    }

    #[test]
    fn array_indexes_are_canonical() {
        for pointer in ["/-", "/01", "/+1", "/2", "/", "/99999999999999999999"] {
            check(&format!(r#"{{"x":"{pointer}"}}"#), None, "[1, 2]", Ok("{}"));
        }
        check(r#"{"x":"/1"}"#, None, " [1, [2]] ", Ok(r#"{"x":[2]}"#));
    }

    #[test]
    fn the_last_of_equal_keys_counts() {
        check(
            r#"{"x":"/a/b"}"#,
            None,
            r#"{"a":{"b":1},"\u0061":{"b":2,"b":3}}"#,
            Ok(r#"{"x":3}"#),
        );
    }

    /// Broken text is refused even where no pointer looks at it, and the reason does not repeat it.
    #[test]
    fn what_is_not_json_is_refused() {
        for body in [
            "",
            "{",
            "{} x",
            "{'a': 1}",
            "[1,]",
            r#"{"a":1,"b":nope}"#,
            "\u{feff}{}",
        ] {
            let error =
                object(&read(r#"{"x":"/a"}"#, None).ok().unwrap(), body.as_bytes()).unwrap_err();
            assert!(
                matches!(error, Refused::NotJson { line: 1, .. }),
                "{body}: {error}"
            );
            assert!(!error.to_string().contains("nope"));
        }
        let settings = read("{}", None).ok().unwrap();
        let error = object(&settings, b"\"\xff\"").unwrap_err();
        assert_eq!(error.to_string(), "the body is not UTF-8");
    }
}
