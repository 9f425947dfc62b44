//! Values that TOML has no type for.

use std::path::Path;
use std::time;

use bytesize::ByteSize;
use serde::Deserialize;
use serde::de::{self, Deserializer};

/// A span of time, written `500ms`, `10s`, `5m`, `1h 30m`, `7d`; a day has 24 hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Duration(pub(super) time::Duration);

impl<'de> Deserialize<'de> for Duration {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bad = || {
            de::Error::custom(format!(
                "{text:?} is no span of time: write 500ms, 10s, 5m, 1h or 7d"
            ))
        };
        let span = text.parse().or_else(|_| {
            // What has days in it is a span of the calendar.
            let span: jiff::Span = text.parse().map_err(|_| bad())?;
            let days = jiff::SpanRelativeTo::days_are_24_hours();
            span.to_duration(days).map_err(|_| bad())
        })?;
        time::Duration::try_from(span)
            .map(Self)
            .map_err(|_| de::Error::custom(format!("{text:?} is negative")))
    }
}

/// A number of bytes, written `64KiB`, `1MiB`, `1GiB`, or as the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
pub(super) struct Size(pub(super) ByteSize);

impl Size {
    pub(super) fn as_u64(self) -> u64 {
        self.0.as_u64()
    }
}

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(
            untagged,
            expecting = "expected a size: 64KiB, 1MiB, 1GiB or a number of bytes"
        )]
        enum Written {
            Bytes(u64),
            Text(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Bytes(bytes) => Ok(Self(ByteSize(bytes))),
            Written::Text(text) => text.parse().map(Self).map_err(|_| {
                de::Error::custom(format!("{text:?} is no size: write 64KiB, 1MiB or 1GiB"))
            }),
        }
    }
}

/// How often something may happen, written `100/s`, `600/m` or `5000/h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rate {
    pub(super) count: u32,
    pub(super) per: time::Duration,
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let read = || {
            let (count, unit) = text.split_once('/')?;
            let seconds = match unit.trim() {
                "s" => 1,
                "m" => 60,
                "h" => 3600,
                _ => return None,
            };
            Some(Self {
                count: count.trim().parse().ok()?,
                per: time::Duration::from_secs(seconds),
            })
        };
        read().ok_or_else(|| {
            de::Error::custom(format!("{text:?} is no rate: write 100/s, 600/m or 5000/h"))
        })
    }
}

/// A text that is not to be in the file.
#[derive(Clone, Deserialize)]
#[serde(
    untagged,
    expecting = "expected a text, { env = \"NAME\" } or { file = \"path\" }"
)]
pub(super) enum Secret {
    Text(String),
    From(SecretFrom),
}

/// Where a secret comes from.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "lowercase")]
pub(super) enum SecretFrom {
    /// An environment variable.
    Env(String),
    /// A file; one line break at its end is cut.
    File(String),
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    /// The text, or what is wrong.
    pub(super) fn resolve(&self, base: &Path) -> Result<String, String> {
        match self {
            Self::Text(text) => Ok(text.clone()),
            Self::From(SecretFrom::Env(name)) => std::env::var(name)
                .map_err(|_| format!("the environment variable {name} is not set")),
            Self::From(SecretFrom::File(path)) => std::fs::read_to_string(base.join(path))
                .map(|text| text.strip_suffix('\n').map_or(text.clone(), str::to_owned))
                .map_err(|e| format!("the file {path} cannot be read: {e}")),
        }
    }
}

/// A plugin's setting: a secret's source, or any TOML value.
#[derive(Clone, Debug)]
pub(super) enum Setting {
    Secret(Secret),
    Value(toml::Value),
}

impl<'de> Deserialize<'de> for Setting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = toml::Value::deserialize(deserializer)?;
        // A table of exactly one key `env` or `file` names a secret's source; other tables are data.
        if let toml::Value::Table(table) = &value
            && table.len() == 1
            && table.keys().all(|key| key == "env" || key == "file")
        {
            return SecretFrom::deserialize(value)
                .map(|from| Self::Secret(Secret::From(from)))
                .map_err(de::Error::custom);
        }
        Ok(Self::Value(value))
    }
}

impl Setting {
    /// The text that the plugin is shown: text as it is, anything else as JSON.
    pub(super) fn resolve(&self, base: &Path) -> Result<String, String> {
        match self {
            Self::Secret(secret) => secret.resolve(base),
            Self::Value(toml::Value::String(text)) => Ok(text.clone()),
            Self::Value(value) => serde_json::to_string(value)
                .map_err(|e| format!("it cannot be written as JSON: {e}")),
        }
    }
}
