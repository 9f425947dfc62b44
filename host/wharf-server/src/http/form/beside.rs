//! What the headers of a request say of a message whose body has no place for it.
//!
//! | header | |
//! | --- | --- |
//! | `wharf-id` | the message's id |
//! | `wharf-attribute-NAME` | its attribute `NAME`, which is in lower case as all names of headers are; UTF-8 |
//!
//! With a body that has its own place for these they are refused, and so is any other header that begins with `wharf-`:
//! what a sender wrote is never dropped in silence.

use std::collections::BTreeMap;

use axum::http::HeaderMap;
use wharf_api::{Problem, ProblemCode};
use wharf_core::MessageId;

use super::check::invalid;

/// What the names of our own headers begin with.
pub(super) const PREFIX: &str = "wharf-";

#[derive(Debug, Default)]
pub(super) struct Beside {
    pub(super) id: Option<MessageId>,
    pub(super) attributes: BTreeMap<String, String>,
}

impl Beside {
    pub(super) fn read(headers: &HeaderMap) -> Result<Self, Problem> {
        let mut read = Self::default();
        for (name, value) in headers {
            let name = name.as_str();
            let Some(rest) = name.strip_prefix(PREFIX) else {
                continue;
            };
            let value = std::str::from_utf8(value.as_bytes())
                .map_err(|_| invalid(name, "it must be UTF-8"))?;
            let attribute = rest.strip_prefix("attribute-");
            let is_first = match attribute.filter(|attribute| !attribute.is_empty()) {
                None if rest == "id" => {
                    let id = MessageId::parse(value).map_err(|e| {
                        Problem::new(ProblemCode::InvalidId, format!("{name}: {e}")).field(name)
                    })?;
                    read.id.replace(id).is_none()
                }
                None => return Err(unknown(name)),
                Some(attribute) => {
                    let known = &mut read.attributes;
                    known
                        .insert(attribute.to_owned(), value.to_owned())
                        .is_none()
                }
            };
            if !is_first {
                return Err(invalid(name, "it is there twice"));
            }
        }
        Ok(read)
    }
}

/// Refuses every header of ours that is not `taken`.
pub(super) fn refuse(headers: &HeaderMap, taken: &str) -> Result<(), Problem> {
    let ours = headers.keys().map(|name| name.as_str());
    let mut ours = ours.filter(|name| name.starts_with(PREFIX) && *name != taken);
    match ours.next() {
        None => Ok(()),
        Some(name) => Err(unknown(name)),
    }
}

fn unknown(name: &str) -> Problem {
    Problem::new(
        ProblemCode::UnknownField,
        format!(
            "{name}: it is not read here; wharf-id and wharf-attribute-NAME go with a MessagePack envelope, \
             wharf-first-line with a batch"
        ),
    )
    .field(name)
}
