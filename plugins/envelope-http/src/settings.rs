//! The settings, read and checked once an instance.

use wharf_plugin_common::request::{reject_on, timeout_ms};
use wharf_plugin_common::setting::Problem;

#[derive(Debug, PartialEq)]
pub(crate) struct Settings {
    pub(crate) timeout_ms: u32,
    pub(crate) reject_on: Vec<u16>,
}

impl Settings {
    pub(crate) fn read(
        get: impl Fn(&'static str) -> Result<Option<String>, Problem>,
    ) -> Result<Self, Problem> {
        Ok(Self {
            timeout_ms: timeout_ms(get("timeout")?)?,
            reject_on: reject_on(get("reject-on")?)?,
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn read(set: &[(&str, &str)]) -> Result<Settings, Problem> {
        Settings::read(|key| {
            let found = set.iter().find(|(name, _)| *name == key);
            Ok(found.map(|(_, value)| (*value).to_owned()))
        })
    }

    #[test]
    fn settings_are_read_and_the_wrong_one_is_named() {
        let settings = |timeout_ms, reject_on: &[u16]| Settings {
            timeout_ms,
            reject_on: reject_on.to_vec(),
        };
        assert_eq!(read(&[]), Ok(settings(15_000, &[])));
        let set = [("timeout", "1500ms"), ("reject-on", "[400]")];
        assert_eq!(read(&set), Ok(settings(1_500, &[400])));
        for (key, value) in [("timeout", "15"), ("reject-on", "[200]")] {
            assert_eq!(read(&[(key, value)]).unwrap_err().key, key);
        }
    }
}
