//! Who a message is: the id that de-duplication goes by, from what the message or its request says.
//!
//! | what there is | the id |
//! | --- | --- |
//! | an id of the message's own | that one |
//! | a CloudEvent's `source` and `id` | `ce_` and a hash of both |
//! | `Idempotency-Key` | `ik_` and a hash of the key, the name of the caller's token, and the line within a batch |
//! | neither | a ULID; refused where `api.require-idempotency` is set |
//!
//! So a key needs no table of its own: that one id is one message is what the store decides anyway, in the commit. Two
//! requests with one key at the same time are one message too: the second is answered like the first, once that is on
//! disk, where the draft of the header (draft-ietf-httpapi-idempotency-key-header) would have it refused with 409 and
//! sent again.
//!
//! # Limits of the choice
//!
//! The whole content is compared, not the payload alone: the same payload with another attribute is another message. A
//! key is known as long as its id is. It belongs to the token's name: where a caller gets a token of another name, its
//! keys begin anew.

use std::sync::Mutex;

use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use wharf_api::{Problem, ProblemCode};
use wharf_core::MessageId;

use super::App;
use super::auth::Caller;
use crate::limits::IDEMPOTENCY_KEY_BYTES_MAX;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// How much of a hash an id has, in bytes: two of them with one id are not found within 2^96 tries. 24 bytes are 32
/// characters without padding.
const HASH_BYTES: usize = 24;

/// Makes ids for messages that come without one: ULIDs that rise within the process.
pub(crate) struct MessageIds(Mutex<ulid::Generator>);

impl MessageIds {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(ulid::Generator::new()))
    }

    fn next(&self) -> MessageId {
        let mut generator = self.0.lock().expect("making an id does not panic");
        let ulid = generator
            .generate()
            .unwrap_or_else(|_| ulid::Ulid::generate());
        MessageId::parse(&ulid.to_string()).expect("a ULID is 26 of Crockford's base32")
    }
}

/// What a request says about who its messages are.
pub(super) struct Identity<'a> {
    ids: &'a MessageIds,
    is_required: bool,
    key: Option<Key>,
}

/// An idempotency key. A key of one caller is not that of another.
struct Key {
    text: String,
    caller: Option<Caller>,
}

impl<'a> Identity<'a> {
    pub(super) fn of(app: &'a App, head: &Parts) -> Result<Self, Problem> {
        Ok(Self {
            ids: &app.ids,
            is_required: app.require_idempotency,
            key: key(&head.headers)?.map(|text| Key {
                text,
                caller: head.extensions.get().cloned(),
            }),
        })
    }

    /// Of a message that comes by itself.
    pub(super) fn without_key(ids: &'a MessageIds) -> Self {
        Self {
            ids,
            is_required: false,
            key: None,
        }
    }

    /// The id of a message that has one, in its `field`. With a key for this one message it would have two.
    pub(super) fn own(
        &self,
        id: MessageId,
        field: &str,
        line: Option<u64>,
    ) -> Result<MessageId, Problem> {
        if self.key.is_some() && line.is_none() {
            return Err(Problem::new(
                ProblemCode::TwoIdentities,
                format!(
                    "idempotency-key: the message has an identity of its own, its {field}; send one of the two"
                ),
            )
            .field("idempotency-key"));
        }
        Ok(id)
    }

    /// The id of a message that has none.
    pub(super) fn given(&self, line: Option<u64>) -> Result<MessageId, Problem> {
        match &self.key {
            Some(key) => Ok(key.message_id(line)),
            None if self.is_required => Err(Problem::new(
                ProblemCode::IdempotencyKeyRequired,
                "the message has no id and the request no idempotency-key; this server takes nothing that cannot be \
                 sent again safely (api.require-idempotency)",
            )
            .field("idempotency-key")),
            None => Ok(self.ids.next()),
        }
    }

    /// That a message with this id was accepted before with other content.
    pub(super) fn conflict(&self, id: &MessageId, line: Option<u64>) -> Problem {
        match &self.key {
            Some(key) if key.message_id(line) == *id => Problem::new(
                ProblemCode::IdempotencyKeyReused,
                format!(
                    "the idempotency key {:?} was used before for other content; nothing changed",
                    key.text
                ),
            )
            .field("idempotency-key"),
            _ => Problem::new(
                ProblemCode::IdConflict,
                format!("the id {id} was accepted before with other content; nothing changed"),
            )
            .field("id"),
        }
    }
}

impl Key {
    fn message_id(&self, line: Option<u64>) -> MessageId {
        let caller = self.caller.as_ref().map_or("", |caller| &caller.0);
        let line = line.map(u64::to_le_bytes);
        let mut parts = vec![caller.as_bytes(), self.text.as_bytes()];
        parts.extend(line.as_ref().map(<[u8; 8]>::as_slice));
        derive(
            "ik_",
            "wharf message id of an idempotency key, 2026",
            &parts,
        )
    }
}

/// The id of a CloudEvent: `source` and `id` together are what tells it from every other.
pub(super) fn of_event(source: &str, id: &str) -> MessageId {
    derive(
        "ce_",
        "wharf message id of a CloudEvent, 2026",
        &[source.as_bytes(), id.as_bytes()],
    )
}

/// An id from what identifies a message elsewhere. It is stored, so neither the context nor the layout ever changes:
/// each part is preceded by its length, so that no two rows of parts read the same.
fn derive(prefix: &str, context: &str, parts: &[&[u8]]) -> MessageId {
    let mut hasher = blake3::Hasher::new_derive_key(context);
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    let hash = URL_SAFE_NO_PAD.encode(&hasher.finalize().as_bytes()[..HASH_BYTES]);
    MessageId::parse(&format!("{prefix}{hash}")).expect("base64url is within the alphabet of ids")
}

/// The key of a request, where it has one.
fn key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let malformed = |why: &str| {
        Problem::new(
            ProblemCode::IdempotencyKeyMalformed,
            format!("idempotency-key: {why}"),
        )
        .field("idempotency-key")
    };
    if values.next().is_some() {
        return Err(malformed("it is there twice"));
    }
    let key = unquoted(value).ok_or_else(|| {
        malformed(
            "write it as \"8e03978e-40d5\", in quotes, or bare if it has no blanks and quotes",
        )
    })?;
    if key.is_empty() || key.len() > IDEMPOTENCY_KEY_BYTES_MAX {
        return Err(malformed(&format!(
            "it has {} bytes, it takes 1 to {IDEMPOTENCY_KEY_BYTES_MAX}",
            key.len()
        )));
    }
    Ok(Some(key))
}

/// A string of RFC 8941, section 3.3.3, or the characters of a token, section 3.3.4, whichever of them is the first: many
/// senders write a bare UUID. `"a"` and `a` are the same key.
fn unquoted(value: &HeaderValue) -> Option<String> {
    let text = value.to_str().ok()?.trim_matches([' ', '\t']);
    let Some(quoted) = text.strip_prefix('"') else {
        let is_bare = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&*+-.^_`|~:/=".contains(&b);
        return text.bytes().all(is_bare).then(|| text.to_owned());
    };
    let mut key = String::with_capacity(quoted.len());
    let mut characters = quoted.strip_suffix('"')?.chars();
    while let Some(character) = characters.next() {
        key.push(match character {
            '\\' => characters.next().filter(|c| matches!(c, '"' | '\\'))?,
            ' '..='~' if character != '"' => character,
            _ => return None,
        });
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;

    const STRINGS: &str = include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/data/http-fields/structured-fields-string.json"
    ));

    #[track_caller]
    fn check(values: &[&str], expected: Result<Option<&str>, ()>) {
        let mut headers = HeaderMap::new();
        for value in values {
            // What no header can carry never comes here.
            let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) else {
                assert_eq!(expected, Err(()));
                return;
            };
            headers.append(IDEMPOTENCY_KEY, value);
        }
        let found = key(&headers);
        if let Err(problem) = &found {
            assert_eq!(problem.code, "idempotency-key-malformed");
        }
        let found = found.as_ref().map(Option::as_deref).map_err(|_| ());
        assert_eq!(found, expected, "{values:?}");
    }

    #[test]
    fn keys_are_strings_or_bare() {
        check(&[], Ok(None));
        for bare in [
            "a",
            "8e03978e-40d5-43e8-bc93-6894a57f9324",
            "*x",
            "dGVzdA==",
            "a/b:c",
        ] {
            check(&[bare], Ok(Some(bare)));
            check(&[&format!("\"{bare}\"")], Ok(Some(bare)));
        }
        check(&["\"a b\""], Ok(Some("a b")));
        check(&[r#""a\"b\\c""#], Ok(Some(r#"a"b\c"#)));
        let longest = "x".repeat(IDEMPOTENCY_KEY_BYTES_MAX);
        check(&[&longest], Ok(Some(&longest)));
        for bad in [
            "",
            "\"\"",
            "a b",
            "a,b",
            "a;p=1",
            "\"a\";p=1",
            "\"a\" x",
            "é",
            "\"",
            "a\"b",
        ] {
            check(&[bad], Err(()));
        }
        check(&[&format!("{longest}x")], Err(()));
        check(&["a", "a"], Err(()));
    }

    proptest! {
        /// As a string every key of printable ASCII comes back.
        #[test]
        fn quoted_keys_come_back(text in "[ -~]{1,512}") {
            let quoted = text.replace('\\', r"\\").replace('"', r#"\""#);
            check(&[&format!("\"{quoted}\"")], Ok(Some(&text)));
        }
    }

    /// The published vectors of RFC 8941's strings. The one in two lines may fail, and does here; an empty one is a
    /// string, but no key.
    #[test]
    fn published_strings() {
        let cases: serde_json::Value = serde_json::from_str(STRINGS).unwrap();
        let cases = cases.as_array().unwrap();
        assert_eq!(cases.len(), 14);
        for case in cases {
            let raw: Vec<&str> = case["raw"]
                .as_array()
                .unwrap()
                .iter()
                .map(|line| line.as_str().unwrap())
                .collect();
            let fails = case["must_fail"] == true || case["can_fail"] == true;
            match case["expected"][0].as_str() {
                Some(text) if !fails && !text.is_empty() => check(&raw, Ok(Some(text))),
                _ => check(&raw, Err(())),
            }
        }
    }

    /// What is stored never changes, and each part counts.
    #[test]
    fn ids_of_keys_are_pinned() {
        let id = |caller: Option<&str>, text: &str, line| {
            let key = Key {
                text: text.to_owned(),
                caller: caller.map(|name| Caller(Arc::from(name))),
            };
            key.message_id(line).to_string()
        };
        let ids = [
            id(None, "k", None),
            id(None, "k", Some(1)),
            id(None, "k", Some(2)),
            id(Some("k"), "k", None),
            id(Some("k"), "", None),
            id(None, "kk", None),
        ];
        let pinned = [
            "ik_HLzS_i6ZrPf3mhmeWqSbAtW9BoyY5zTF",
            "ik_QI1dIsH3wmLowJFqXh5AvoKvZtf3PMqM",
            "ik_V6JS4ryAgvOTUC8feaH5M5R4aYj0_rZR",
        ];
        assert_eq!([&ids[0], &ids[1], &ids[3]], pinned);
        let unique: std::collections::BTreeSet<_> = ids.iter().collect();
        assert_eq!(unique.len(), ids.len());
    }
}
