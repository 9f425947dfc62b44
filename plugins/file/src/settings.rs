//! The settings, read and checked once an instance.

use wharf_plugin_common::refusal;
use wharf_plugin_common::setting::Problem;
use wharf_plugin_common::types::Refusal;

use crate::path::Path;

/// What a host takes of a component in one write, and so what goes out whole.
const WHOLE_BYTES_MAX: usize = 64 << 10;

pub(crate) struct Settings {
    pub(crate) path: Path,
    pub(crate) format: Format,
    pub(crate) sync: bool,
    pub(crate) long_lines: LongLines,
}

/// What a line is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Format {
    Json,
    Raw,
}

/// What becomes of a line that does not go out whole.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum LongLines {
    Refuse,
    Parts,
}

impl Settings {
    /// Reads all of them through `get`. What is not a string in the configuration arrives as JSON
    /// text.
    pub(crate) fn read(
        get: impl Fn(&'static str) -> Result<Option<String>, Problem>,
    ) -> Result<Self, Problem> {
        let path = get("path")?.ok_or_else(|| Problem::new("path", "is missing"))?;
        Ok(Self {
            path: Path::parse(&path).map_err(|what| Problem::new("path", what))?,
            format: one_of(
                "format",
                get("format")?,
                &[("json", Format::Json), ("raw", Format::Raw)],
            )?,
            sync: one_of("sync", get("sync")?, &[("true", true), ("false", false)])?,
            long_lines: one_of(
                "long-lines",
                get("long-lines")?,
                &[("refuse", LongLines::Refuse), ("parts", LongLines::Parts)],
            )?,
        })
    }
}

/// The value of a word; the first one is the default.
fn one_of<T: Copy>(
    key: &'static str,
    word: Option<String>,
    known: &[(&str, T)],
) -> Result<T, Problem> {
    let Some(word) = word else {
        return Ok(known[0].1);
    };
    let found = known.iter().find(|(name, _)| *name == word);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<_> = known.iter().map(|(name, _)| *name).collect();
        Problem::new(key, format!("must be one of {}", names.join(", ")))
    })
}

impl LongLines {
    /// The line, if it may be written.
    pub(crate) fn check(self, line: Vec<u8>) -> Result<Vec<u8>, Refusal> {
        if self == Self::Refuse && line.len() > WHOLE_BYTES_MAX {
            let reason = format!(
                "its line has {} bytes, and more than {WHOLE_BYTES_MAX} are not written at once; \
                 `long-lines = \"parts\"` writes them one after the other, which takes \
                 `parallelism = 1`",
                line.len()
            );
            return Err(refusal::new("line-too-long", reason));
        }
        Ok(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Settings, Problem> {
        Settings::read(|key| {
            let found = pairs.iter().find(|(name, _)| *name == key);
            Ok(found.map(|(_, value)| (*value).to_owned()))
        })
    }

    #[test]
    fn the_defaults_are_the_careful_ones() {
        let settings = read(&[("path", "a")]).ok().unwrap();
        assert_eq!(settings.format, Format::Json);
        assert_eq!(settings.long_lines, LongLines::Refuse);
        assert!(settings.sync);
        let settings = read(&[
            ("path", "a"),
            ("format", "raw"),
            ("sync", "false"),
            ("long-lines", "parts"),
        ]);
        let settings = settings.ok().unwrap();
        assert_eq!(settings.format, Format::Raw);
        assert_eq!(settings.long_lines, LongLines::Parts);
        assert!(!settings.sync);
    }

    #[test]
    fn a_bad_value_is_named() {
        for (key, value) in [
            ("path", ""),
            ("format", "xml"),
            ("sync", "maybe"),
            ("long-lines", "cut"),
        ] {
            let mut pairs = vec![(key, value)];
            pairs.push(("path", "a"));
            let problem = read(&pairs).err().unwrap();
            assert_eq!(problem.key, key);
        }
        assert_eq!(read(&[]).err().unwrap().key, "path");
    }

    #[test]
    fn a_line_that_is_not_written_whole_is_refused() {
        let line = |len| vec![b'x'; len];
        assert!(LongLines::Refuse.check(line(WHOLE_BYTES_MAX)).is_ok());
        let refusal = LongLines::Refuse.check(line(WHOLE_BYTES_MAX + 1));
        assert_eq!(refusal.unwrap_err().code, "line-too-long");
        assert!(LongLines::Parts.check(line(WHOLE_BYTES_MAX + 1)).is_ok());
    }
}
