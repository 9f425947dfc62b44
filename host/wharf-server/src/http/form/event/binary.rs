//! An event in binary mode: HTTP Protocol Binding for CloudEvents 1.0.2, section 3.1. The attributes are `ce-` headers,
//! `datacontenttype` is `content-type`, and the body is the data as it is.

use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use wharf_api::Problem;
use wharf_core::Message;

use super::super::Reading;
use super::super::check::invalid;
use super::{Draft, Mode, header};

/// What names of attributes have before them in headers.
pub(in crate::http::form) const PREFIX: &str = "ce-";

pub(in crate::http::form) fn read(
    headers: &HeaderMap,
    body: Bytes,
    reading: &Reading<'_>,
) -> Result<Message, Problem> {
    let mut draft = Draft::new(Mode::Binary);
    for (name, value) in headers {
        let field = name.as_str();
        let (name, value) = if name == CONTENT_TYPE {
            let text = std::str::from_utf8(value.as_bytes());
            ("datacontenttype", text.ok().map(str::to_owned))
        } else if let Some(name) = field.strip_prefix(PREFIX) {
            (name, header::decode(value.as_bytes()))
        } else {
            continue;
        };
        if field == "ce-datacontenttype" {
            return Err(invalid(field, "the header `content-type` says it"));
        }
        let value = value.ok_or_else(|| {
            invalid(
                field,
                "its quotes or percent-encoding are broken, or it is no UTF-8",
            )
        })?;
        draft.attribute(name, value)?;
    }
    draft.finish(body, reading)
}
