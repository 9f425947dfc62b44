//! One setting of the binding, and the failure that a wrong one is.

use std::fmt;

use crate::bindings::wasi::config::store;
use crate::types::{Effect, Failure, Scope};

/// A setting that cannot be used. Says which and why, never its value: it may be a secret.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// The setting's key.
    pub key: &'static str,
    /// The rest of the sentence "setting `key` …".
    pub what: String,
}

impl Problem {
    /// `what` finishes the sentence "setting `key` …".
    pub fn new(key: &'static str, what: impl Into<String>) -> Self {
        Self {
            key,
            what: what.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "setting `{}` {}", self.key, self.what)
    }
}

/// For the hooks whose errors are text.
impl From<Problem> for String {
    fn from(problem: Problem) -> Self {
        problem.to_string()
    }
}

/// The setting as the host has it: the text itself, or JSON text where the configuration has
/// something else than a string.
pub fn get(key: &'static str) -> Result<Option<String>, Problem> {
    store::get(key).map_err(|error| Problem::new(key, format!("could not be read: {error:?}")))
}

/// The failure of an attempt that cannot be made for its settings. `reason` names the setting,
/// never its value.
#[must_use]
pub fn bad(reason: impl fmt::Display) -> Failure {
    Failure {
        code: "bad-setting".to_owned(),
        reason: reason.to_string(),
        effect: Effect::None,
        scope: Scope::Channel,
        pause: false,
        after_ms: None,
        notes: vec![],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A wrong setting is the channel's fault, did nothing, and is named.
    #[test]
    fn a_problem_names_its_setting() {
        let failure = bad(Problem::new("timeout", "must be a time"));
        assert_eq!(failure.code, "bad-setting");
        assert_eq!(failure.reason, "setting `timeout` must be a time");
        assert_eq!(
            (failure.effect, failure.scope),
            (Effect::None, Scope::Channel)
        );
    }
}
