//! A bound hook, with what the journal says of it: put together once a channel, not once an attempt.

use std::sync::Arc;
use std::time::Duration;

use wharf_core::journal::HookRun;
use wharf_plugin::Plugin;

/// A hook that is bound to a plugin.
pub(super) struct Bound<H> {
    pub(super) hook: H,
    plugin: String,
    /// Such as `converter json-map`.
    place: Arc<str>,
    digest: [u8; 32],
}

impl<H> Bound<H> {
    /// `place` is its part in an attempt, such as `converter`.
    pub(super) fn new(place: &str, plugin: &Plugin, hook: H) -> Self {
        let mut digest = [0; 32];
        hex::decode_to_slice(plugin.digest(), &mut digest)
            .expect("a plugin's digest is a SHA-256 in hex");
        Self {
            hook,
            plugin: plugin.name().to_owned(),
            place: format!("{place} {}", plugin.name()).into(),
            digest,
        }
    }

    /// The plugin's name.
    pub(super) fn plugin(&self) -> &str {
        &self.plugin
    }

    /// Its part in an attempt and the plugin's name.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// What the journal keeps of its part in an attempt.
    pub(super) fn ran(&self, took: Duration) -> HookRun {
        HookRun {
            hook: Arc::clone(&self.place),
            digest: self.digest,
            duration_us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        }
    }
}
