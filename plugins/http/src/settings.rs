//! The settings, read and checked once an instance.

use std::collections::BTreeMap;

use wharf_plugin_common::header::{is_token, is_value};
use wharf_plugin_common::request::{is_http, reject_on, timeout_ms};
use wharf_plugin_common::setting::Problem;

use crate::request;
use crate::signer::Signer;

pub(crate) const METHOD_DEFAULT: &str = "POST";

pub(crate) struct Settings {
    pub(crate) url: Option<String>,
    pub(crate) method: String,
    pub(crate) signer: Option<Signer>,
    pub(crate) timeout_ms: u32,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) reject_on: Vec<u16>,
}

impl Settings {
    /// Reads all of them through `get`. What is not a string in the configuration arrives as JSON
    /// text.
    pub(crate) fn read(
        get: impl Fn(&'static str) -> Result<Option<String>, Problem>,
    ) -> Result<Self, Problem> {
        Ok(Self {
            url: get("url")?.map(url).transpose()?,
            method: method(get("method")?)?,
            signer: signer(get("secret")?, get("secret-previous")?)?,
            timeout_ms: timeout_ms(get("timeout")?)?,
            headers: get("headers")?.map_or(Ok(vec![]), |text| headers(&text))?,
            reject_on: reject_on(get("reject-on")?)?,
        })
    }
}

fn url(text: String) -> Result<String, Problem> {
    match is_http(&text) {
        true => Ok(text),
        false => Err(Problem::new("url", "must start with http:// or https://")),
    }
}

fn method(text: Option<String>) -> Result<String, Problem> {
    let method = text
        .unwrap_or_else(|| METHOD_DEFAULT.to_owned())
        .to_ascii_uppercase();
    match is_token(&method) {
        true => Ok(method),
        false => Err(Problem::new(
            "method",
            "must be one HTTP method, such as POST",
        )),
    }
}

fn signer(secret: Option<String>, previous: Option<String>) -> Result<Option<Signer>, Problem> {
    let Some(secret) = secret else {
        return match previous {
            None => Ok(None),
            Some(_) => Err(Problem::new(
                "secret-previous",
                "is set, but `secret` is not",
            )),
        };
    };
    let mut signer = Signer::new(&secret).map_err(|what| Problem::new("secret", what))?;
    if let Some(previous) = previous {
        signer
            .add(&previous)
            .map_err(|what| Problem::new("secret-previous", what))?;
    }
    Ok(Some(signer))
}

fn headers(text: &str) -> Result<Vec<(String, String)>, Problem> {
    let problem = |what: String| Problem::new("headers", what);
    let table: BTreeMap<String, String> = serde_json::from_str(text)
        .map_err(|_| problem("must be a table of header names to text values".to_owned()))?;
    for (name, value) in &table {
        if !is_token(name) {
            return Err(problem(format!(
                "has `{}`, not a header name",
                name.escape_debug()
            )));
        }
        if request::is_ours(name) {
            return Err(problem(format!(
                "must not set `{name}`, which the request sets itself"
            )));
        }
        if !is_value(value) {
            return Err(problem(format!(
                "has a control character in the value of `{name}`"
            )));
        }
    }
    Ok(table.into_iter().collect())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    pub(crate) fn read(pairs: &[(&str, &str)]) -> Result<Settings, Problem> {
        Settings::read(|key| {
            let found = pairs.iter().find(|(name, _)| *name == key);
            Ok(found.map(|(_, value)| (*value).to_owned()))
        })
    }

    #[test]
    fn nothing_set_gives_the_documented_defaults() {
        let settings = read(&[]).unwrap();
        assert_eq!(settings.method, "POST");
        assert_eq!(settings.timeout_ms, 15_000);
        assert!(settings.url.is_none() && settings.signer.is_none());
        assert!(settings.headers.is_empty() && settings.reject_on.is_empty());
    }

    #[test]
    fn everything_set_is_read() {
        let settings = read(&[
            ("url", "HTTPS://a.example/x"),
            ("method", "put"),
            ("secret", SECRET),
            ("timeout", "1500ms"),
            ("headers", r#"{"X-A": "1", "authorization": "Bearer t"}"#),
            ("reject-on", "[400,422]"),
        ])
        .unwrap();
        assert_eq!(settings.method, "PUT");
        assert_eq!(settings.timeout_ms, 1500);
        assert_eq!(settings.headers.len(), 2);
        assert_eq!(settings.reject_on, [400, 422]);
        assert!(settings.signer.is_some());
    }

    /// Each bad value is refused with a reason that names its setting and does not show it.
    #[test]
    fn bad_values_name_the_setting_and_hide_the_value() {
        let short = "whsec_c2hvcnQ=";
        let long = format!("whsec_{}", "QUFB".repeat(22));
        let cases: &[(&str, &str)] = &[
            ("url", "ftp://a.example"),
            ("url", ""),
            ("method", "PO ST"),
            ("secret", ""),
            ("secret", "whsec_"),
            ("secret", short),
            ("secret", &long),
            ("secret", "whsec_!!!not-base64!!!"),
            (
                "secret",
                "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=",
            ),
            ("secret", "whsk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBb"),
            ("secret-previous", SECRET),
            ("timeout", "15"),
            ("timeout", "0s"),
            ("timeout", "99years"),
            ("headers", r#"{"a": 1}"#),
            ("headers", r#"{"a b": "1"}"#),
            ("headers", r#"{"Host": "x"}"#),
            ("headers", r#"{"webhook-id": "x"}"#),
            ("headers", "{\"a\": \"x\\r\\ny: z\"}"),
            ("reject-on", "422"),
            ("reject-on", "[200]"),
            ("reject-on", r#"["4xx"]"#),
        ];
        for (key, value) in cases {
            let Err(problem) = read(&[(key, value)]) else {
                panic!("{key} = {value} was taken")
            };
            assert_eq!(problem.key, *key);
            let text = problem.to_string();
            assert!(text.starts_with(&format!("setting `{key}` ")), "{text}");
            assert!(
                value.len() < 3 || !text.contains(value),
                "{text} shows {value}"
            );
        }
        let both = [("secret", SECRET), ("secret-previous", short)];
        assert_eq!(
            read(&both).err().map(|problem| problem.key),
            Some("secret-previous")
        );
    }
}
