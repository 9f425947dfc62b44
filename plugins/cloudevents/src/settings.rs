//! The settings, read and checked once an instance.

use wharf_plugin_common::setting::Problem;

use crate::attribute;

pub(crate) const MODE_DEFAULT: &str = "binary";
pub(crate) const SOURCE_DEFAULT: &str = "wharf";

#[derive(Debug, PartialEq)]
pub(crate) struct Settings {
    pub(crate) mode: Mode,
    /// `source` of a message without that attribute.
    pub(crate) source: String,
    /// `type` of a message without that attribute.
    pub(crate) kind: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Mode {
    Binary,
    Structured,
}

impl Settings {
    /// Reads all of them through `get`.
    pub(crate) fn read(
        get: impl Fn(&'static str) -> Result<Option<String>, Problem>,
    ) -> Result<Self, Problem> {
        let attribute = |key: &'static str| match get(key)? {
            Some(value) => attribute::check(key, &value)
                .map(|()| Some(value))
                .map_err(|must_be| Problem::new(key, format!("must be {must_be}"))),
            None => Ok(None),
        };
        Ok(Self {
            mode: mode(get("mode")?.as_deref())?,
            source: attribute("source")?.unwrap_or_else(|| SOURCE_DEFAULT.to_owned()),
            kind: attribute("type")?,
        })
    }
}

fn mode(text: Option<&str>) -> Result<Mode, Problem> {
    match text.unwrap_or(MODE_DEFAULT) {
        "binary" => Ok(Mode::Binary),
        "structured" => Ok(Mode::Structured),
        _ => Err(Problem::new("mode", "must be binary or structured")),
    }
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
    fn settings_and_their_defaults() {
        assert_eq!(
            read(&[]),
            Ok(Settings {
                mode: Mode::Binary,
                source: "wharf".to_owned(),
                kind: None,
            })
        );
        let set = [
            ("mode", "structured"),
            ("source", "/shop"),
            ("type", "order.created"),
        ];
        assert_eq!(
            read(&set),
            Ok(Settings {
                mode: Mode::Structured,
                source: "/shop".to_owned(),
                kind: Some("order.created".to_owned()),
            })
        );
    }

    #[test]
    fn bad_values_name_the_setting() {
        for (key, value) in [
            ("mode", ""),
            ("mode", "batched"),
            ("source", ""),
            ("source", "my shop"),
            ("type", ""),
            ("type", "a\nb"),
        ] {
            let problem = read(&[(key, value)]).unwrap_err();
            let text = problem.to_string();
            assert!(
                text.starts_with(&format!("setting `{key}` must be ")),
                "{text}"
            );
        }
    }
}
