//! What holds for the fields of a message, whatever form it comes in.

use std::collections::BTreeMap;

use wharf_api::{Problem, ProblemCode};
use wharf_core::{Pairs, TimeMs, limits};

pub(super) fn payload_size(bytes: usize, field: &str, most: usize) -> Result<(), Problem> {
    if bytes <= most {
        return Ok(());
    }
    Err(Problem::new(
        ProblemCode::PayloadTooLarge,
        format!("{field}: it has {bytes} bytes, this server takes {most} (api.payload-max)"),
    )
    .field(field))
}

pub(super) fn ordering_key(key: &str, field: &str) -> Result<(), Problem> {
    if (1..=limits::ORDERING_KEY_BYTES_MAX).contains(&key.len()) {
        return Ok(());
    }
    Err(invalid(
        field,
        &format!("it takes 1 to {} bytes", limits::ORDERING_KEY_BYTES_MAX),
    ))
}

/// Fields that a request can carry, in their order.
pub(super) fn headers(headers: Pairs) -> Result<Pairs, Problem> {
    if headers.len() > limits::HEADERS_COUNT_MAX {
        return Err(invalid(
            "headers",
            &format!(
                "there are {}, the most is {}",
                headers.len(),
                limits::HEADERS_COUNT_MAX
            ),
        ));
    }
    for (name, value) in &headers {
        if http::HeaderName::from_bytes(name.as_bytes()).is_err()
            || name.len() > limits::NAME_BYTES_MAX
        {
            return Err(invalid("headers", &format!("{name:?} is no header name")));
        }
        if http::HeaderValue::from_str(value).is_err() || value.len() > limits::VALUE_BYTES_MAX {
            return Err(invalid(
                "headers",
                &format!("the value of {name:?} cannot go into a header"),
            ));
        }
    }
    Ok(headers)
}

/// Sorted by key, as a `BTreeMap` gives them.
pub(super) fn attributes(attributes: BTreeMap<String, String>) -> Result<Pairs, Problem> {
    if attributes.len() > limits::ATTRIBUTES_COUNT_MAX {
        return Err(invalid(
            "attributes",
            &format!(
                "there are {}, the most is {}",
                attributes.len(),
                limits::ATTRIBUTES_COUNT_MAX
            ),
        ));
    }
    for (key, value) in &attributes {
        if key.is_empty() || key.len() > limits::NAME_BYTES_MAX {
            return Err(invalid(
                "attributes",
                &format!(
                    "the key {key:?} has {} bytes, it takes 1 to {}",
                    key.len(),
                    limits::NAME_BYTES_MAX
                ),
            ));
        }
        if value.len() > limits::VALUE_BYTES_MAX {
            return Err(invalid(
                "attributes",
                &format!(
                    "the value of {key:?} has {} bytes, the most is {}",
                    value.len(),
                    limits::VALUE_BYTES_MAX
                ),
            ));
        }
    }
    Ok(attributes.into_iter().collect())
}

/// RFC 3339, where it is there.
pub(super) fn time(field: &str, text: Option<&str>) -> Result<Option<TimeMs>, Problem> {
    text.map(|text| {
        text.parse()
            .map_err(|e: wharf_core::time::TimeError| invalid(field, &e.to_string()))
    })
    .transpose()
}

pub(super) fn traceparent(text: Option<String>) -> Result<Option<String>, Problem> {
    match text {
        Some(text) if text.len() > 256 || !text.is_ascii() => {
            Err(invalid("traceparent", "it is no W3C traceparent"))
        }
        other => Ok(other),
    }
}

/// A field with what is wrong with it.
pub(super) fn invalid(field: &str, why: &str) -> Problem {
    Problem::new(ProblemCode::InvalidField, format!("{field}: {why}")).field(field)
}
