//! The context attributes that a message has as a CloudEvent.

use std::fmt;

use wharf_plugin_common::time::rfc3339;
use wharf_plugin_common::types::Call;

use crate::attribute;
use crate::settings::Settings;

/// Attributes that never come from the message's attributes: we write the version, the header
/// `content-type` is the content type, and the last name is forbidden.
const NOT_FROM_ATTRIBUTES: [&str; 3] = ["specversion", "datacontenttype", "data"];

#[derive(Debug, PartialEq)]
pub(crate) struct Event {
    /// Names and values, checked, in the order in which they are written.
    pub(crate) attributes: Vec<(String, String)>,
    /// `datacontenttype`. It stands apart: in binary mode it is no attribute's header.
    pub(crate) content_type: Option<String>,
}

/// Why a message is no CloudEvent. Names what is wrong, never its value.
#[derive(Debug, PartialEq)]
pub(crate) enum Refused {
    NoType,
    BadAttribute { name: String, must_be: &'static str },
    Nested,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoType => write!(
                f,
                "the message has no attribute `type`, and the setting `type` is not set"
            ),
            Self::BadAttribute { name, must_be } => {
                write!(f, "attribute `{name}` must be {must_be}")
            }
            Self::Nested => write!(
                f,
                "the header `content-type` says that the body is a CloudEvent itself, which only \
                 `mode = \"structured\"` can carry"
            ),
        }
    }
}

impl Event {
    /// The event that the message of this call is; `headers` are the message's.
    pub(crate) fn new(
        settings: &Settings,
        c: Call,
        headers: &[(String, String)],
    ) -> Result<Self, Refused> {
        let mut given = c.attributes;
        let mut take = |name: &str| {
            let at = given.iter().position(|(key, _)| key == name)?;
            Some(given.remove(at).1)
        };
        let extra = |name: &str| {
            let found = c.extra.iter().find(|(key, _)| key == name);
            found.map(|(_, value)| value.as_str())
        };
        let kind = take("type").or_else(|| settings.kind.clone());
        let known = [
            ("specversion", Some("1.0".to_owned())),
            ("id", take("id").or(Some(c.message_id))),
            (
                "source",
                take("source").or_else(|| Some(settings.source.clone())),
            ),
            ("type", Some(kind.ok_or(Refused::NoType)?)),
            ("subject", take("subject")),
            ("time", take("time").or_else(|| timestamp(c.accepted_ms))),
            ("dataschema", take("dataschema")),
            // The attribute is taken in any case: an event has each name once.
            (
                "partitionkey",
                match (c.ordering_key, take("partitionkey")) {
                    (Some(key), _) => Some(key),
                    (None, attribute) => attribute,
                },
            ),
            (
                "expirytime",
                take("expirytime").or_else(|| extra("expires-at").and_then(expiry)),
            ),
            (
                "traceparent",
                take("traceparent").or_else(|| extra("traceparent").map(str::to_owned)),
            ),
        ];
        let mut attributes = Vec::with_capacity(known.len() + given.len());
        for (name, value) in known {
            attributes.extend(value.map(|value| (name.to_owned(), value)));
        }
        given.retain(|(name, _)| {
            attribute::is_name(name) && !NOT_FROM_ATTRIBUTES.contains(&name.as_str())
        });
        attributes.append(&mut given);
        let content_type = headers
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case("content-type"))
            .map(|(_, value)| value.clone());

        let event = Self {
            attributes,
            content_type,
        };
        event.check()?;
        Ok(event)
    }

    /// Whether the body is a CloudEvent, or a batch of them, by the rule that receivers follow.
    pub(crate) fn is_nested(&self) -> bool {
        const PREFIX: &str = "application/cloudevents";
        let content_type = self.content_type.as_deref().unwrap_or_default();
        let start = content_type.get(..PREFIX.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
    }

    /// Every attribute, the content type as the last.
    pub(crate) fn members(&self) -> impl Iterator<Item = (&str, &str)> {
        let attributes = self.attributes.iter();
        let attributes = attributes.map(|(name, value)| (name.as_str(), value.as_str()));
        let content_type = self.content_type.as_deref();
        attributes.chain(content_type.map(|value| ("datacontenttype", value)))
    }

    fn check(&self) -> Result<(), Refused> {
        for (name, value) in self.members() {
            attribute::check(name, value).map_err(|must_be| Refused::BadAttribute {
                name: name.to_owned(),
                must_be,
            })?;
        }
        Ok(())
    }
}

/// What the host hands over, milliseconds since the Unix epoch, as a time. A text is taken as the
/// time itself, and checked with the other attributes.
fn expiry(text: &str) -> Option<String> {
    match text.parse() {
        Ok(ms) => timestamp(ms),
        Err(_) => Some(text.to_owned()),
    }
}

/// None past the year 9999: there is no RFC 3339 time for it.
fn timestamp(ms: u64) -> Option<String> {
    Some(rfc3339(ms)).filter(|text| attribute::is_timestamp(text))
}
