//! The queue element: one MessagePack map of three entries. Pure: parts in, bytes out.
//!
//! ```text
//! fixmap(3)
//!   "headers"  → map of str to str
//!   "endpoint" → str
//!   "payload"  → bin
//! ```
//!
//! Byte for byte what the agent's own library writes: the keys in this order, every length in its
//! shortest form.

use std::borrow::Cow;
use std::convert::Infallible;

use rmp::encode::{ByteBuf, ValueWriteError, write_bin_len, write_map_len, write_str};

/// The element's bytes.
pub(crate) fn bytes(headers: &[(String, String)], endpoint: &str, payload: &[u8]) -> Vec<u8> {
    // Memory takes every write: the error has no value.
    let Ok(head) = head(headers, endpoint, payload.len());
    // Exact: spare capacity would cost another copy where the bytes leave the component.
    [head.as_slice(), payload].concat()
}

/// Everything up to the payload's first byte.
fn head(
    headers: &[(String, String)],
    endpoint: &str,
    payload_len: usize,
) -> Result<ByteBuf, ValueWriteError<Infallible>> {
    let headers = joined(headers);
    let mut head = ByteBuf::new();
    write_map_len(&mut head, 3)?;
    write_str(&mut head, "headers")?;
    write_map_len(&mut head, length(headers.len()))?;
    for (name, value) in &headers {
        write_str(&mut head, name)?;
        write_str(&mut head, value)?;
    }
    write_str(&mut head, "endpoint")?;
    write_str(&mut head, endpoint)?;
    write_str(&mut head, "payload")?;
    write_bin_len(&mut head, length(payload_len))?;
    Ok(head)
}

/// MessagePack has no more; neither has a component's memory, which is 32 bits wide.
fn length(len: usize) -> u32 {
    u32::try_from(len).expect("a message is far under 4 GiB")
}

/// The keys of a map are unique: the values of a repeated name are joined under its first spelling,
/// as RFC 9110, 5.3 allows.
fn joined(headers: &[(String, String)]) -> Vec<(&str, Cow<'_, str>)> {
    let mut joined: Vec<(&str, Cow<'_, str>)> = Vec::with_capacity(headers.len());
    for (name, value) in headers {
        let known = joined
            .iter_mut()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        match known {
            Some((_, values)) => {
                let values = values.to_mut();
                values.push_str(", ");
                values.push_str(value);
            }
            None => joined.push((name, value.into())),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn data(path: &str) -> Vec<u8> {
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data");
        std::fs::read(data.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// A text of the vectors: a list of pieces, each one itself or `[piece, times]`.
    fn text(pieces: &Value) -> String {
        let piece = |piece: &Value| match piece {
            Value::String(text) => text.clone(),
            run => {
                let times = usize::try_from(run[1].as_u64().unwrap()).unwrap();
                run[0].as_str().unwrap().repeat(times)
            }
        };
        pieces.as_array().unwrap().iter().map(piece).collect()
    }

    /// Every vector that Python's msgpack wrote: messages of agents, and both sides of each length
    /// where the form changes.
    #[test]
    fn bytes_are_those_of_the_agents_library() {
        let vectors: Value = serde_json::from_slice(&data("msgpack/envelopes.json")).unwrap();
        let vectors = vectors.as_array().unwrap();
        for case in vectors {
            let headers: Vec<(String, String)> = case["headers"]
                .as_array()
                .unwrap()
                .iter()
                .map(|pair| (pair[0].as_str().unwrap().to_owned(), text(&pair[1])))
                .collect();
            let payload = match &case["payload"] {
                Value::String(path) => data(path),
                pieces => hex::decode(text(pieces)).unwrap(),
            };
            let element = bytes(&headers, &text(&case["endpoint"]), &payload);
            assert!(
                hex::encode(&element) == text(&case["element"]),
                "{} begins with {}",
                case["name"],
                hex::encode(&element[..element.len().min(160)])
            );
        }
        assert_eq!(vectors.len(), 44);
    }

    /// Every published text, row of bytes and map of texts, in the place where an element can have it, is written in the
    /// shortest of its encodings, which is the first there.
    #[test]
    fn published_values_are_in_their_shortest_form() {
        let suite: Value =
            serde_json::from_slice(&data("msgpack/msgpack-test-suite.json")).unwrap();
        let groups = suite.as_object().unwrap().values();
        let mut checked = [0; 3];
        for case in groups.flat_map(|group| group.as_array().unwrap()) {
            let hex =
                |value: &Value| hex::decode(value.as_str().unwrap().replace('-', "")).unwrap();
            let shortest = hex(&case["msgpack"][0]);
            let headers = case["map"].as_object().and_then(|map| {
                let pair = |(name, value): (&String, &Value)| {
                    Some((name.clone(), value.as_str()?.to_owned()))
                };
                map.iter().map(pair).collect::<Option<Vec<_>>>()
            });
            let (place, expected, element) = if let Some(text) = case["string"].as_str() {
                let before = [b"\x83\xa7headers\x80\xa8endpoint", &shortest[..]].concat();
                let whole = [&before[..], b"\xa7payload\xc4\x00"].concat();
                (0, whole, bytes(&[], text, b""))
            } else if !case["binary"].is_null() {
                let before = b"\x83\xa7headers\x80\xa8endpoint\xa1e\xa7payload";
                let payload = hex(&case["binary"]);
                (
                    1,
                    [before, &shortest[..]].concat(),
                    bytes(&[], "e", &payload),
                )
            } else if let Some(headers) = headers {
                let before = [b"\x83\xa7headers", &shortest[..]].concat();
                let whole = [&before[..], b"\xa8endpoint\xa1e\xa7payload\xc4\x00"].concat();
                (2, whole, bytes(&headers, "e", b""))
            } else {
                continue;
            };
            assert_eq!(hex::encode(element), hex::encode(expected), "{case}");
            checked[place] += 1;
        }
        assert_eq!(checked, [11, 3, 2]);
    }

    proptest! {
        /// Another reader finds exactly what was put in, to the last byte, and would write it with
        /// the same bytes.
        #[test]
        fn what_is_written_is_read(
            headers in prop::collection::btree_map("[a-z-]{1,40}", ".{0,300}", 0..20),
            endpoint in ".{0,300}",
            payload in prop::collection::vec(any::<u8>(), 0..700),
        ) {
            let headers: Vec<(String, String)> = headers.into_iter().collect();
            let element = bytes(&headers, &endpoint, &payload);

            let mut rest = element.as_slice();
            let read = rmpv::decode::read_value(&mut rest).unwrap();
            prop_assert!(rest.is_empty());
            let pair = |(name, value): (String, String)| (name.into(), value.into());
            let headers = headers.into_iter().map(pair).collect();
            let expected = rmpv::Value::Map(vec![
                ("headers".into(), rmpv::Value::Map(headers)),
                ("endpoint".into(), endpoint.into()),
                ("payload".into(), payload.into()),
            ]);
            prop_assert_eq!(&read, &expected);

            let mut again = vec![];
            rmpv::encode::write_value(&mut again, &read).unwrap();
            prop_assert_eq!(again, element);
        }
    }
}
