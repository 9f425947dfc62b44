//! The settings, read and checked once an instance.

use std::collections::BTreeMap;

use wharf_plugin_common::header::{is_token, is_value};
use wharf_plugin_common::setting::Problem;

use crate::bindings::exports::wharf::delivery::enricher::{Call, Enrichment};
use crate::template::Template;

/// What is added where neither setting is set.
pub(crate) const HEADERS_DEFAULT: &str =
    r#"{"x-wharf-message-id":"{message-id}","x-wharf-accepted-at":"{accepted}"}"#;

#[derive(Debug)]
pub(crate) struct Settings {
    headers: Vec<(String, Template)>,
    attributes: Vec<(String, Template)>,
}

impl Settings {
    /// Reads both through `get`; the error is a sentence that names the setting.
    pub(crate) fn read(
        get: impl Fn(&'static str) -> Result<Option<String>, Problem>,
    ) -> Result<Self, String> {
        let (headers, attributes) = match (get("headers")?, get("attributes")?) {
            (None, None) => (Some(HEADERS_DEFAULT.to_owned()), None),
            set => set,
        };
        Ok(Self {
            headers: templates("headers", headers, is_header)?,
            attributes: templates("attributes", attributes, |key, _| !key.is_empty())?,
        })
    }

    pub(crate) fn enrichment(&self, c: &Call) -> Enrichment {
        let fill = |templates: &[(String, Template)]| {
            templates
                .iter()
                .map(|(name, template)| (name.clone(), template.fill(c)))
                .collect()
        };
        Enrichment {
            attributes: fill(&self.attributes),
            headers: fill(&self.headers),
            notes: vec![],
        }
    }
}

fn templates(
    setting: &str,
    text: Option<String>,
    allowed: impl Fn(&str, &str) -> bool,
) -> Result<Vec<(String, Template)>, String> {
    let Some(text) = text else { return Ok(vec![]) };
    let table: BTreeMap<String, String> = serde_json::from_str(&text)
        .map_err(|_| format!("setting `{setting}` must be a table of names to text templates"))?;
    let parse = |(name, template): (String, String)| {
        if !allowed(&name, &template) {
            let name = name.escape_debug();
            return Err(format!(
                "setting `{setting}` has `{name}`, which cannot be used there"
            ));
        }
        let template = Template::parse(&template)
            .map_err(|problem| format!("setting `{setting}`, `{name}`: {problem}"))?;
        Ok((name, template))
    };
    table.into_iter().map(parse).collect()
}

fn is_header(name: &str, value: &str) -> bool {
    is_token(name) && is_value(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::tests::call;

    fn read(headers: Option<&str>, attributes: Option<&str>) -> Result<Settings, String> {
        Settings::read(|key| {
            let set = if key == "headers" {
                headers
            } else {
                attributes
            };
            Ok(set.map(str::to_owned))
        })
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn without_settings_two_headers_are_added() {
        let enrichment = read(None, None).unwrap().enrichment(&call());
        assert_eq!(
            enrichment.headers,
            pairs(&[
                ("x-wharf-accepted-at", "2021-02-25T15:02:10.042Z"),
                ("x-wharf-message-id", "01J"),
            ])
        );
        assert!(enrichment.attributes.is_empty() && enrichment.notes.is_empty());
    }

    #[test]
    fn with_settings_only_they_count() {
        let settings = read(None, Some(r#"{"lane": "{route}/{channel}"}"#)).unwrap();
        let enrichment = settings.enrichment(&call());
        assert!(enrichment.headers.is_empty());
        assert_eq!(enrichment.attributes, pairs(&[("lane", "all/partner-a")]));
    }

    #[test]
    fn errors_name_the_setting_and_the_placeholder() {
        let cases = [
            (Some("[]"), None, "`headers`"),
            (Some(r#"{"a": 1}"#), None, "`headers`"),
            (Some(r#"{"a b": "x"}"#), None, "`a b`"),
            (Some("{\"a\": \"x\\ny\"}"), None, "`a`"),
            (Some(r#"{"a": "{nope}"}"#), None, "{nope}"),
            (None, Some(r#"{"": "x"}"#), "`attributes`"),
            (None, Some(r#"{"a": "{"}"#), "`attributes`, `a`"),
        ];
        for (headers, attributes, named) in cases {
            let error = read(headers, attributes).unwrap_err();
            assert!(error.contains(named), "{error}");
        }
    }
}
