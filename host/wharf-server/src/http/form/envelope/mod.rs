//! The envelope that a DIDComm agent writes to its outbound queue, as `application/msgpack`.
//!
//! The endpoint becomes the attribute `endpoint`, which says where a channel sends the message; the headers become the
//! message's; `retries`, which counts for the agent's own deliverer, is not looked at: a channel has its own policy. The
//! envelope has no place for an id and for other attributes, so the request may say them: see `beside`.

mod decode;

use axum::body::Bytes;
use axum::http::{HeaderMap, Uri};
use decode::decode;
use wharf_api::{Problem, ProblemCode};
use wharf_core::{Message, limits, message};

use super::Reading;
use super::beside::Beside;
use super::check::{self, invalid};

/// Its media types: the registered one, and those that were in use before.
pub(super) const MEDIA_TYPES: [&str; 3] = [
    "application/msgpack",
    "application/vnd.msgpack",
    "application/x-msgpack",
];

/// What a message's endpoint is called among its attributes.
const ENDPOINT: &str = "endpoint";

pub(super) fn read(
    headers: &HeaderMap,
    body: &Bytes,
    reading: &Reading<'_>,
) -> Result<Message, Problem> {
    let envelope = decode(body).map_err(|malformed| match malformed.field() {
        Some(field) => Problem::new(ProblemCode::InvalidField, malformed.to_string()).field(field),
        None => Problem::new(
            ProblemCode::MalformedBody,
            format!("the body is no MessagePack envelope: {malformed}"),
        ),
    })?;
    endpoint(envelope.endpoint)?;
    check::payload_size(envelope.payload.len(), "payload", reading.payload_bytes_max)?;
    let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    let Beside { id, mut attributes } = Beside::read(headers)?;
    if attributes
        .insert(ENDPOINT.to_owned(), envelope.endpoint.to_owned())
        .is_some()
    {
        return Err(invalid(
            "wharf-attribute-endpoint",
            "the envelope has the endpoint itself",
        ));
    }
    Ok(Message {
        id: match id {
            Some(id) => reading.own_id(id, "wharf-id")?,
            None => reading.given_id()?,
        },
        accepted_at: reading.now,
        attributes: check::attributes(attributes)?,
        headers: check::headers(envelope.headers.into_iter().map(own).collect())?,
        // Not a slice of the body, which would stay in memory with what was passed over.
        payload: Bytes::copy_from_slice(envelope.payload),
        ordering_key: None,
        sequence_global: None,
        sequence_key: None,
        deliver_after: None,
        expires_at: None,
        priority: message::Priority::Normal,
        traceparent: None,
    })
}

/// Where something can be posted to.
fn endpoint(text: &str) -> Result<(), Problem> {
    if text.len() > limits::VALUE_BYTES_MAX {
        return Err(invalid(
            ENDPOINT,
            &format!(
                "it has {} bytes, the most is {}",
                text.len(),
                limits::VALUE_BYTES_MAX
            ),
        ));
    }
    let uri: Option<Uri> = text.parse().ok();
    let can_be_posted_to = uri.is_some_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.host().is_some_and(|host| !host.is_empty())
    });
    if can_be_posted_to {
        return Ok(());
    }
    Err(invalid(
        ENDPOINT,
        "it must be a URL that can be posted to: http:// or https:// and a host",
    ))
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;
    use crate::http::form::tests::read_alone;

    fn envelope(endpoint: &str, headers: &[(&str, &str)], payload: &[u8]) -> Bytes {
        let mut bytes = Vec::new();
        rmp::encode::write_map_len(&mut bytes, 3).unwrap();
        rmp::encode::write_str(&mut bytes, "headers").unwrap();
        rmp::encode::write_map_len(&mut bytes, headers.len() as u32).unwrap();
        for (name, value) in headers {
            rmp::encode::write_str(&mut bytes, name).unwrap();
            rmp::encode::write_str(&mut bytes, value).unwrap();
        }
        rmp::encode::write_str(&mut bytes, "endpoint").unwrap();
        rmp::encode::write_str(&mut bytes, endpoint).unwrap();
        rmp::encode::write_str(&mut bytes, "payload").unwrap();
        rmp::encode::write_bin(&mut bytes, payload).unwrap();
        bytes.into()
    }

    fn read_with(beside: &[(&'static str, &str)], body: &Bytes) -> Result<Message, Problem> {
        let mut headers = HeaderMap::new();
        for (name, value) in beside {
            headers.append(
                HeaderName::from_static(name),
                HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            );
        }
        read_alone(|reading| read(&headers, body, reading))
    }

    #[track_caller]
    fn refused(beside: &[(&'static str, &str)], body: &Bytes, code: &str, field: &str) {
        let problem = read_with(beside, body).unwrap_err();
        let found = (problem.code.as_str(), problem.field.as_deref());
        assert_eq!(found, (code, Some(field)), "{problem}");
        assert!(problem.detail.starts_with(field), "{problem}");
    }

    #[test]
    fn an_envelope_becomes_a_message() {
        let body = envelope("https://a.example/x", &[("Content-Type", "a/b")], b"\xff\0");
        let plain = read_with(&[], &body).unwrap();
        assert_eq!(plain.attribute("endpoint"), Some("https://a.example/x"));
        assert_eq!(plain.headers, [("Content-Type".into(), "a/b".into())]);
        assert_eq!(&plain.payload[..], b"\xff\0");
        assert_eq!(plain.id.as_str().len(), 26);

        let beside = [
            ("wharf-id", "m1"),
            ("wharf-attribute-type", "é"),
            ("wharf-attribute-x-y", ""),
            ("content-type", "application/msgpack"),
        ];
        let named = read_with(&beside, &body).unwrap();
        assert_eq!(named.id.as_str(), "m1");
        let keys: Vec<&str> = named.attributes.iter().map(|(key, _)| &**key).collect();
        assert_eq!(keys, ["endpoint", "type", "x-y"]);
        assert_eq!(named.attribute("type"), Some("é"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for endpoint in [
            "",
            "a.example",
            "/path",
            "ws://a.example",
            "didcomm:transport/queue",
            "http://",
            "http:///path",
            "mailto:a@b.example",
            "https://a b.example",
        ] {
            let body = envelope(endpoint, &[], b"");
            refused(&[], &body, "invalid-field", "endpoint");
        }
        for endpoint in ["http://a", "HTTPS://A.example:8443/x?y", "http://[::1]:80"] {
            assert!(
                read_with(&[], &envelope(endpoint, &[], b"")).is_ok(),
                "{endpoint}"
            );
        }
        let long = format!("http://a/{}", "x".repeat(limits::VALUE_BYTES_MAX));
        refused(&[], &envelope(&long, &[], b""), "invalid-field", "endpoint");
        let bad = envelope("http://a", &[("a b", "c")], b"");
        refused(&[], &bad, "invalid-field", "headers");
        let large = envelope("http://a", &[], &[0; (1 << 10) + 1]);
        refused(&[], &large, "payload-too-large", "payload");

        let body = envelope("http://a", &[], b"");
        refused(&[("wharf-id", "a.b")], &body, "invalid-id", "wharf-id");
        let twice = [("wharf-id", "a"), ("wharf-id", "b")];
        refused(&twice, &body, "invalid-field", "wharf-id");
        let twice = [("wharf-attribute-a", "1"), ("wharf-attribute-a", "2")];
        refused(&twice, &body, "invalid-field", "wharf-attribute-a");
        let latin = read_with(&[("wharf-attribute-a", "x")], &body);
        assert!(latin.is_ok());
        for unknown in ["wharf-ids", "wharf-attribute-", "wharf-first-line"] {
            refused(&[(unknown, "1")], &body, "unknown-field", unknown);
        }
        let field = "wharf-attribute-endpoint";
        refused(&[(field, "http://b")], &body, "invalid-field", field);
        let other = read_with(&[], &Bytes::from_static(b"{}")).unwrap_err();
        assert_eq!((other.code.as_str(), other.field), ("malformed-body", None));
    }
}
