//! The envelope's bytes: one MessagePack map. Pure: bytes in, parts of them out.
//!
//! | key | value |
//! | --- | --- |
//! | `endpoint` | str, in UTF-8 |
//! | `payload` | bin, or str whose bytes need not be UTF-8, as older writers have it |
//! | `headers` | map of str to str, in UTF-8; nil, or not there at all, for none |
//! | any other | anything; passed over |
//!
//! Keys come in any order and every length in any of its forms. A known key that is there twice, and bytes after the map,
//! are refused: another reader would take them another way.
//!
//! Nothing is allocated for a length that the bytes only claim, and nothing is read by recursion, so nesting needs no
//! limit of its own: a value is passed over by counting what is still to come, which the bytes that are left bound.

use rmp::Marker;
use wharf_core::limits::HEADERS_COUNT_MAX;

#[derive(Debug, PartialEq)]
pub(super) struct Envelope<'a> {
    pub(super) headers: Vec<(&'a str, &'a str)>,
    pub(super) endpoint: &'a str,
    pub(super) payload: &'a [u8],
}

/// Why the bytes are no envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    #[error("it ends in the middle of a value")]
    Ended,
    #[error("it has {0} bytes after its end")]
    Trailing(usize),
    #[error("it has the byte 0xc1, which MessagePack never uses")]
    Reserved,
    #[error("it is no map")]
    NoMap,
    #[error("{0}: it is missing")]
    Missing(&'static str),
    #[error("{0}: it is there twice")]
    Twice(&'static str),
    #[error("{field}: it must be {must_be}")]
    Wrong {
        field: &'static str,
        must_be: &'static str,
    },
    #[error("headers: there are {0}, the most is {HEADERS_COUNT_MAX}")]
    TooManyHeaders(u32),
}

impl Malformed {
    /// What it is about, where the rest can be read.
    pub(super) fn field(self) -> Option<&'static str> {
        match self {
            Self::Ended | Self::Trailing(_) | Self::Reserved | Self::NoMap => None,
            Self::Missing(field) | Self::Twice(field) | Self::Wrong { field, .. } => Some(field),
            Self::TooManyHeaders(_) => Some(HEADERS),
        }
    }
}

const ENDPOINT: &str = "endpoint";
const HEADERS: &str = "headers";
const PAYLOAD: &str = "payload";

pub(super) fn decode(bytes: &[u8]) -> Result<Envelope<'_>, Malformed> {
    let mut rest = Reader(bytes);
    let Value::Map(count) = rest.value()? else {
        return Err(Malformed::NoMap);
    };
    let (mut headers, mut endpoint, mut payload) = (None, None, None);
    for _ in 0..count {
        match rest.value()? {
            Value::Str(b"headers") => once(HEADERS, &mut headers, rest.headers()?)?,
            Value::Str(b"endpoint") => once(ENDPOINT, &mut endpoint, rest.text(ENDPOINT)?)?,
            Value::Str(b"payload") => match rest.value()? {
                Value::Bin(bytes) | Value::Str(bytes) => once(PAYLOAD, &mut payload, bytes)?,
                _ => return Err(wrong(PAYLOAD, "bin, or str")),
            },
            other => {
                rest.pass(other)?;
                let value = rest.value()?;
                rest.pass(value)?;
            }
        }
    }
    if !rest.0.is_empty() {
        return Err(Malformed::Trailing(rest.0.len()));
    }
    Ok(Envelope {
        headers: headers.unwrap_or_default(),
        endpoint: endpoint.ok_or(Malformed::Missing(ENDPOINT))?,
        payload: payload.ok_or(Malformed::Missing(PAYLOAD))?,
    })
}

fn once<T>(field: &'static str, place: &mut Option<T>, value: T) -> Result<(), Malformed> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(Malformed::Twice(field)),
    }
}

fn wrong(field: &'static str, must_be: &'static str) -> Malformed {
    Malformed::Wrong { field, must_be }
}

/// A value, or its head where it holds others, which follow.
enum Value<'a> {
    Nil,
    Str(&'a [u8]),
    Bin(&'a [u8]),
    Array(u32),
    Map(u32),
    /// A number, a truth value, or an extension.
    Other,
}

/// What is left to read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn value(&mut self) -> Result<Value<'a>, Malformed> {
        Ok(match Marker::from_u8(self.number(1)? as u8) {
            Marker::Null => Value::Nil,
            Marker::FixStr(len) => Value::Str(self.take(len.into())?),
            Marker::Str8 => Value::Str(self.counted(1)?),
            Marker::Str16 => Value::Str(self.counted(2)?),
            Marker::Str32 => Value::Str(self.counted(4)?),
            Marker::Bin8 => Value::Bin(self.counted(1)?),
            Marker::Bin16 => Value::Bin(self.counted(2)?),
            Marker::Bin32 => Value::Bin(self.counted(4)?),
            Marker::FixArray(len) => Value::Array(len.into()),
            Marker::Array16 => Value::Array(self.number(2)?),
            Marker::Array32 => Value::Array(self.number(4)?),
            Marker::FixMap(len) => Value::Map(len.into()),
            Marker::Map16 => Value::Map(self.number(2)?),
            Marker::Map32 => Value::Map(self.number(4)?),
            Marker::FixPos(_) | Marker::FixNeg(_) | Marker::True | Marker::False => Value::Other,
            Marker::U8 | Marker::I8 => self.other(1)?,
            Marker::U16 | Marker::I16 => self.other(2)?,
            Marker::U32 | Marker::I32 | Marker::F32 => self.other(4)?,
            Marker::U64 | Marker::I64 | Marker::F64 => self.other(8)?,
            // An extension has one byte for its type before its data.
            Marker::FixExt1 => self.other(1 + 1)?,
            Marker::FixExt2 => self.other(1 + 2)?,
            Marker::FixExt4 => self.other(1 + 4)?,
            Marker::FixExt8 => self.other(1 + 8)?,
            Marker::FixExt16 => self.other(1 + 16)?,
            Marker::Ext8 => self.extension(1)?,
            Marker::Ext16 => self.extension(2)?,
            Marker::Ext32 => self.extension(4)?,
            Marker::Reserved => return Err(Malformed::Reserved),
        })
    }

    /// Passes over what a value holds.
    fn pass(&mut self, value: Value<'a>) -> Result<(), Malformed> {
        let held = |value: Value<'a>| match value {
            Value::Array(len) => u64::from(len),
            Value::Map(len) => u64::from(len) * 2,
            Value::Nil | Value::Str(_) | Value::Bin(_) | Value::Other => 0,
        };
        let mut to_come = held(value);
        while to_come > 0 {
            // Each of them takes a byte at least.
            if to_come > self.0.len() as u64 {
                return Err(Malformed::Ended);
            }
            to_come = to_come - 1 + held(self.value()?);
        }
        Ok(())
    }

    fn headers(&mut self) -> Result<Vec<(&'a str, &'a str)>, Malformed> {
        let count = match self.value()? {
            Value::Map(count) => count,
            Value::Nil => 0,
            _ => return Err(wrong(HEADERS, "a map of str to str")),
        };
        if count as usize > HEADERS_COUNT_MAX {
            return Err(Malformed::TooManyHeaders(count));
        }
        let mut headers: Vec<(&str, &str)> = Vec::new();
        for _ in 0..count {
            let (name, value) = (self.text(HEADERS)?, self.text(HEADERS)?);
            if headers.iter().any(|(known, _)| *known == name) {
                return Err(Malformed::Twice(HEADERS));
            }
            headers.push((name, value));
        }
        Ok(headers)
    }

    /// A str that is a field's, or a part of it.
    fn text(&mut self, field: &'static str) -> Result<&'a str, Malformed> {
        match self.value()? {
            Value::Str(bytes) => {
                std::str::from_utf8(bytes).map_err(|_| wrong(field, "str in UTF-8"))
            }
            _ if field == HEADERS => Err(wrong(field, "a map of str to str")),
            _ => Err(wrong(field, "str")),
        }
    }

    fn other(&mut self, bytes: usize) -> Result<Value<'a>, Malformed> {
        self.take(bytes).map(|_| Value::Other)
    }

    fn extension(&mut self, bytes: usize) -> Result<Value<'a>, Malformed> {
        let len = self.number(bytes)? as usize;
        self.take(1)?;
        self.other(len)
    }

    /// Bytes whose number comes before them.
    fn counted(&mut self, bytes: usize) -> Result<&'a [u8], Malformed> {
        let len = self.number(bytes)? as usize;
        self.take(len)
    }

    /// An unsigned number of at most four bytes, big-endian.
    fn number(&mut self, bytes: usize) -> Result<u32, Malformed> {
        let bytes = self.take(bytes)?.iter();
        Ok(bytes.fold(0, |number, byte| number << 8 | u32::from(*byte)))
    }

    fn take(&mut self, bytes: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(bytes).ok_or(Malformed::Ended)?;
        self.0 = rest;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;
    use rmp::encode::{write_bin, write_map_len, write_nil, write_str};
    use serde_json::Value as Json;

    use super::*;

    const SUITE: &str = include_str!(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/data/msgpack/msgpack-test-suite.json"
    ));

    fn joined(parts: &[&[u8]]) -> Vec<u8> {
        parts.concat()
    }

    /// Two entries of a map, which are enough.
    const PLAIN: &[u8] = b"\xa8endpoint\xa1e\xa7payload\xc4\x01p";

    #[track_caller]
    fn refused(bytes: &[u8], expected: Malformed) {
        assert_eq!(decode(bytes), Err(expected), "{}", hex::encode(bytes));
    }

    /// Every encoding of every published value, in each place of an envelope: as what is passed over, it is passed over
    /// to its last byte; as a field it is taken, or refused by the field's name.
    #[test]
    fn every_published_value_in_each_place() {
        let suite: serde_json::Map<String, Json> = serde_json::from_str(SUITE).unwrap();
        let mut encodings = 0;
        for case in suite.values().flat_map(|group| group.as_array().unwrap()) {
            for encoding in case["msgpack"].as_array().unwrap() {
                let encoding = encoding.as_str().unwrap().replace('-', "");
                check_value(case, &hex::decode(encoding).unwrap());
                encodings += 1;
            }
        }
        assert_eq!(encodings, 233);
    }

    fn check_value(case: &Json, value: &[u8]) {
        let shown = format!("{case} as {}", hex::encode(value));
        let passed = joined(&[b"\x83\xa1x", value, PLAIN]);
        let expected = Envelope {
            headers: vec![],
            endpoint: "e",
            payload: b"p",
        };
        assert_eq!(decode(&passed), Ok(expected), "{shown}");
        let as_key = joined(&[b"\x83", value, b"\xc0", PLAIN]);
        assert!(decode(&as_key).is_ok(), "{shown}");
        for end in 0..passed.len() {
            refused(&passed[..end], Malformed::Ended);
        }

        let text = case["string"].as_str();
        let bytes = case["binary"]
            .as_str()
            .map(|text| hex::decode(text.replace('-', "")).unwrap());
        let as_endpoint = joined(&[b"\x82\xa8endpoint", value, b"\xa7payload\xc4\x01p"]);
        match (text, decode(&as_endpoint)) {
            (Some(text), Ok(envelope)) => assert_eq!(envelope.endpoint, text),
            (None, Err(malformed)) => assert_eq!(malformed.field(), Some(ENDPOINT), "{shown}"),
            (_, found) => panic!("{shown}: {found:?}"),
        }
        let as_payload = joined(&[b"\x82\xa8endpoint\xa1e\xa7payload", value]);
        let expected = bytes.or_else(|| Some(text?.as_bytes().to_vec()));
        match (expected, decode(&as_payload)) {
            (Some(expected), Ok(envelope)) => assert_eq!(envelope.payload, expected),
            (None, Err(malformed)) => assert_eq!(malformed.field(), Some(PAYLOAD), "{shown}"),
            (_, found) => panic!("{shown}: {found:?}"),
        }
        let as_headers = joined(&[b"\x83\xa7headers", value, PLAIN]);
        let map = case["map"].as_object();
        let texts: Option<Vec<(&str, &str)>> = match map {
            Some(map) => map
                .iter()
                .map(|(name, value)| Some((name.as_str(), value.as_str()?)))
                .collect(),
            None => case.get("nil").map(|_| vec![]),
        };
        match (texts, decode(&as_headers)) {
            (Some(texts), Ok(envelope)) => assert_eq!(envelope.headers, texts, "{shown}"),
            (None, Err(malformed)) => assert_eq!(malformed.field(), Some(HEADERS), "{shown}"),
            (_, found) => panic!("{shown}: {found:?}"),
        }
    }

    /// A text of the vectors: a list of pieces, each one itself or `[piece, times]`.
    fn text(pieces: &Json) -> String {
        let piece = |piece: &Json| match piece {
            Json::String(text) => text.clone(),
            run => run[0]
                .as_str()
                .unwrap()
                .repeat(run[1].as_u64().unwrap() as usize),
        };
        pieces.as_array().unwrap().iter().map(piece).collect()
    }

    /// What Python's msgpack wrote, the library of the agents: messages, and both sides of each length where the form
    /// changes. Values of repeated headers are joined there.
    #[test]
    fn what_the_agents_library_writes_is_read() {
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data");
        let vectors = std::fs::read(data.join("msgpack/envelopes.json")).unwrap();
        let vectors: Vec<Json> = serde_json::from_slice(&vectors).unwrap();
        assert_eq!(vectors.len(), 44);
        for case in &vectors {
            let element = hex::decode(text(&case["element"])).unwrap();
            let envelope = decode(&element).unwrap();
            let payload = match &case["payload"] {
                Json::String(path) => std::fs::read(data.join(path)).unwrap(),
                pieces => hex::decode(text(pieces)).unwrap(),
            };
            assert_eq!(envelope.payload, payload, "{}", case["name"]);
            assert_eq!(
                envelope.endpoint,
                text(&case["endpoint"]),
                "{}",
                case["name"]
            );
            for (name, value) in &envelope.headers {
                let headers = case["headers"].as_array().unwrap().iter();
                let same =
                    headers.filter(|pair| pair[0].as_str().unwrap().eq_ignore_ascii_case(name));
                let values: Vec<_> = same.map(|pair| text(&pair[1])).collect();
                assert_eq!(*value, values.join(", "), "{}", case["name"]);
            }
        }
    }

    #[test]
    fn what_is_no_envelope_is_refused() {
        refused(b"", Malformed::Ended);
        refused(b"\x93\x01\x02\x03", Malformed::NoMap);
        refused(b"{\"endpoint\":\"e\"}", Malformed::NoMap);
        refused(b"\x80", Malformed::Missing(ENDPOINT));
        refused(b"\x81\xa8endpoint\xa1e", Malformed::Missing(PAYLOAD));
        refused(&joined(&[b"\x82", PLAIN, b"\xc0"]), Malformed::Trailing(1));
        refused(b"\x81\xc1", Malformed::Reserved);
        let twice = joined(&[b"\x84", PLAIN, PLAIN]);
        refused(&twice, Malformed::Twice(ENDPOINT));
        let name_twice = joined(&[b"\x83\xa7headers\x82\xa1a\xa1b\xa1a\xa1c", PLAIN]);
        refused(&name_twice, Malformed::Twice(HEADERS));
        let not_utf8 = b"\x82\xa8endpoint\xa1\xff\xa7payload\xc4\x01p";
        refused(not_utf8, wrong(ENDPOINT, "str in UTF-8"));
    }

    proptest! {
        /// What rmp writes is read, whatever the order and whatever else is in it; and whatever the bytes, nothing panics.
        #[test]
        fn what_is_written_is_read(
            headers in prop::collection::btree_map(".{0,40}", ".{0,300}", 0..20),
            endpoint in ".{0,300}",
            payload: Vec<u8>,
            unknown in "x.{0,20}",
            order in Just([0, 1, 2, 3]).prop_shuffle(),
            any: Vec<u8>,
        ) {
            let mut bytes = Vec::new();
            write_map_len(&mut bytes, 4).unwrap();
            for entry in order {
                match entry {
                    0 => {
                        write_str(&mut bytes, HEADERS).unwrap();
                        write_map_len(&mut bytes, headers.len() as u32).unwrap();
                        for (name, value) in &headers {
                            write_str(&mut bytes, name).unwrap();
                            write_str(&mut bytes, value).unwrap();
                        }
                    }
                    1 => {
                        write_str(&mut bytes, ENDPOINT).unwrap();
                        write_str(&mut bytes, &endpoint).unwrap();
                    }
                    2 => {
                        write_str(&mut bytes, PAYLOAD).unwrap();
                        write_bin(&mut bytes, &payload).unwrap();
                    }
                    _ => {
                        write_str(&mut bytes, &unknown).unwrap();
                        write_nil(&mut bytes).unwrap();
                    }
                }
            }
            let expected = Envelope {
                headers: headers.iter().map(|(name, value)| (&**name, &**value)).collect(),
                endpoint: &endpoint,
                payload: &payload,
            };
            prop_assert_eq!(decode(&bytes), Ok(expected));
            let _ = decode(&any);
        }
    }

    /// Lengths that are only claimed cost nothing, and nesting no stack.
    #[test]
    fn claims_and_nesting_are_bounded() {
        for claim in [
            &b"\xdd\xff\xff\xff\xff"[..],
            b"\xdf\xff\xff\xff\xff",
            b"\xdb\xff\xff\xff\xff",
            b"\xc6\xff\xff\xff\xff",
            b"\xc9\xff\xff\xff\xff\x00",
        ] {
            refused(&joined(&[b"\x83\xa1x", claim, PLAIN]), Malformed::Ended);
        }
        refused(b"\xdf\xff\xff\xff\xff\xa1x\xc0", Malformed::Ended);
        let many = joined(&[b"\x83\xa7headers\xdf\xff\xff\xff\xff", PLAIN]);
        refused(&many, Malformed::TooManyHeaders(u32::MAX));
        let deep = joined(&[b"\x83\xa1x", &[0x91; 1 << 20], b"\xc0", PLAIN]);
        assert!(decode(&deep).is_ok());
        // Each array claims as many values as there are bytes left, so what is to come would grow without end.
        let wide = [0xdd, 0, 0, 0, 200].repeat(100);
        refused(&joined(&[b"\x83\xa1x", &wide]), Malformed::Ended);
    }

    /// Raw bytes of older writers need not be UTF-8.
    #[test]
    fn a_payload_of_str_is_bytes() {
        let raw = b"\x82\xa7payload\xa2\xff\x00\xa8endpoint\xa1e";
        assert_eq!(decode(raw).unwrap().payload, b"\xff\x00");
    }
}
