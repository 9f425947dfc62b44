//! The settings, read and checked once an instance.

use std::collections::BTreeMap;

use minijinja::AutoEscape;
use wharf_plugin_common::header::{is_token, is_value};
use wharf_plugin_common::setting::Problem;

use crate::render::Templates;

pub(crate) const CONTENT_TYPE_DEFAULT: &str = "text/plain; charset=utf-8";
pub(crate) const ESCAPE_DEFAULT: &str = "none";

/// Names of templates: those of the settings.
pub(crate) const BODY: &str = "body";
pub(crate) const ENDPOINT: &str = "endpoint";

pub(crate) struct Settings {
    pub(crate) templates: Templates,
    pub(crate) content_type: String,
    /// Whether there is a template of this name.
    pub(crate) has_endpoint: bool,
    pub(crate) headers: Vec<Header>,
}

/// A header that is made.
pub(crate) struct Header {
    pub(crate) name: String,
    /// The name of its template.
    pub(crate) template: String,
}

impl Settings {
    /// Reads all of them through `get`. What is not a string in the configuration arrives as JSON
    /// text.
    pub(crate) fn read(
        get: impl Fn(&'static str) -> Result<Option<String>, Problem>,
    ) -> Result<Self, Problem> {
        let mut templates = Templates::new(BODY, escape(get("escape")?.as_deref())?);
        let body = get(BODY)?.ok_or_else(|| Problem::new(BODY, "is missing: a template"))?;
        let mut add = |key, text| {
            let added = templates.add(key, text);
            added.map_err(|problem| Problem::new(key, format!("is {problem}")))
        };
        add(BODY, body)?;
        let endpoint = get(ENDPOINT)?.map(|text| add(ENDPOINT, text)).transpose()?;
        Ok(Self {
            has_endpoint: endpoint.is_some(),
            headers: headers(get("headers")?.as_deref(), &mut templates)?,
            content_type: content_type(get("content-type")?)?,
            templates,
        })
    }
}

fn escape(text: Option<&str>) -> Result<AutoEscape, Problem> {
    match text.unwrap_or(ESCAPE_DEFAULT) {
        "none" => Ok(AutoEscape::None),
        "html" => Ok(AutoEscape::Html),
        "json" => Ok(AutoEscape::Json),
        _ => Err(Problem::new("escape", "must be none, html or json")),
    }
}

fn content_type(text: Option<String>) -> Result<String, Problem> {
    let text = text.unwrap_or_else(|| CONTENT_TYPE_DEFAULT.to_owned());
    match !text.is_empty() && is_value(&text) {
        true => Ok(text),
        false => Err(Problem::new(
            "content-type",
            "must be a media type, such as text/html",
        )),
    }
}

fn headers(text: Option<&str>, templates: &mut Templates) -> Result<Vec<Header>, Problem> {
    let problem = |what: String| Problem::new("headers", what);
    let Some(text) = text else { return Ok(vec![]) };
    let table: BTreeMap<String, String> = serde_json::from_str(text)
        .map_err(|_| problem("must be a table of header names to templates".to_owned()))?;
    let header = |(name, text): (String, String)| {
        if !is_token(&name) {
            let name = name.escape_debug();
            return Err(problem(format!("has `{name}`, not a header name")));
        }
        if name.eq_ignore_ascii_case("content-type") {
            return Err(problem(format!(
                "has `{name}`, for which the setting `content-type` is there"
            )));
        }
        let template = format!("headers.{name}");
        templates
            .add(&template, text)
            .map_err(|what| problem(format!("has for `{name}` {what}")))?;
        Ok(Header { name, template })
    };
    table.into_iter().map(header).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn read(pairs: &[(&str, &str)]) -> Result<Settings, Problem> {
        Settings::read(|key| {
            let found = pairs.iter().find(|(name, _)| *name == key);
            Ok(found.map(|(_, value)| (*value).to_owned()))
        })
    }

    #[test]
    fn a_body_is_enough() {
        let settings = read(&[("body", "")]).ok().unwrap();
        assert_eq!(settings.content_type, "text/plain; charset=utf-8");
        assert!(!settings.has_endpoint && settings.headers.is_empty());
        let problem = read(&[]).err().unwrap();
        assert_eq!(problem.to_string(), "setting `body` is missing: a template");
    }

    /// Each bad value is named, and where a template breaks off, its line.
    #[test]
    fn bad_values_name_the_setting() {
        let cases = [
            ("body", "a\n{{ x", "`body` is no template: line 2: "),
            ("body", "{% include 'x' %}", "unknown statement include"),
            ("body", "{% macro a() %}{% endmacro %}", "unknown statement"),
            (
                "endpoint",
                "{% if %}",
                "`endpoint` is no template: line 1: ",
            ),
            ("escape", "xml", "`escape` must be none, html or json"),
            ("content-type", "", "`content-type` must be"),
            ("content-type", "a/b\r\nx: y", "`content-type` must be"),
            ("headers", "[]", "`headers` must be a table"),
            ("headers", r#"{"a": 1}"#, "`headers` must be a table"),
            ("headers", r#"{"a b": ""}"#, "`headers` has `a b`, not"),
            (
                "headers",
                r#"{"Content-Type": ""}"#,
                "`Content-Type`, for which",
            ),
            (
                "headers",
                r#"{"a": "{{"}"#,
                "`headers` has for `a` no template: line 1: ",
            ),
        ];
        for (key, value, named) in cases {
            let mut pairs = vec![(key, value)];
            pairs.extend((key != "body").then_some(("body", "")));
            let text = read(&pairs).err().unwrap().to_string();
            assert!(text.contains(named), "{text}");
        }
    }
}
