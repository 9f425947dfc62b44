//! What a plugin may use and reach: `[plugins.NAME]` of the configuration.

use std::borrow::Cow;
use std::time::Duration;

use crate::limits;

/// What one plugin is given. The default is enough for every hook that only computes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grants {
    /// Time for one guest call, instantiation included. Waiting for a free instance is bounded by the same span,
    /// but not charged to the guest. At most [`limits::CALL_TIMEOUT_CEILING`].
    pub timeout: Duration,
    /// Linear memory of one instance, at most [`limits::MEMORY_BYTES_CEILING`].
    pub memory_max_bytes: u64,
    /// The SHA-256 of the file, in hex. Any other file of this name is refused.
    pub sha256: Option<String>,
    /// Concurrent calls, over all bindings of the plugin.
    pub instances_max: usize,
}

impl Default for Grants {
    fn default() -> Self {
        Grants {
            timeout: limits::CALL_TIMEOUT,
            memory_max_bytes: limits::MEMORY_BYTES_MAX,
            sha256: None,
            instances_max: limits::PLUGIN_INSTANCES_MAX,
        }
    }
}

/// How an import of a component is met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Import {
    /// Linked for every plugin, and powerless.
    Baseline,
    /// Linked with the power that was granted, by this line of the configuration.
    Granted(Cow<'static, str>),
    /// A power that was not granted, with what would grant it.
    Ungranted(Cow<'static, str>),
    /// Refused whatever is granted, with what would help.
    Refused(Cow<'static, str>),
}

impl Grants {
    /// How an import of this plugin is met, by the import's full name.
    pub fn import(&self, name: &str, plugin: &str) -> Import {
        import(name, plugin, self)
    }
}

const NOT_PROVIDED: &str = "not provided by this version of wharf";

/// The WASI 0.2 packages that stock toolchains import whether or not the guest uses them.
const BASELINE_PACKAGES: [&str; 6] = [
    "wasi:cli",
    "wasi:io",
    "wasi:clocks",
    "wasi:random",
    "wasi:filesystem",
    "wasi:sockets",
];

/// Decides about one import of a plugin, by its full name such as `wasi:io/streams@0.2.6`. A power that a grant gives gets
/// its arm here, and its `add_to_linker` in `link.rs`.
fn import(name: &str, _plugin: &str, _grants: &Grants) -> Import {
    let refused = |help: &'static str| Import::Refused(help.into());
    let (path, version) = name.split_once('@').unwrap_or((name, ""));
    let package = path.split('/').next().unwrap_or(path);
    match (package, path) {
        _ if BASELINE_PACKAGES.contains(&package) => match version.strip_prefix("0.2.") {
            Some(patch) if patch.bytes().all(|byte| byte.is_ascii_digit()) => Import::Baseline,
            _ => refused("only WASI 0.2 is provided; build it for wasm32-wasip2"),
        },
        (_, "wasi:config/store") if version == "0.2.0-rc.1" => Import::Baseline,
        ("wasi:config", _) => refused("only wasi:config/store@0.2.0-rc.1 is provided"),
        (_, "wharf:delivery/log" | "wharf:delivery/types")
            if version == crate::CONTRACT_VERSION =>
        {
            Import::Baseline
        }
        ("wharf:delivery", _) => {
            refused("of this package only `log` of this host's draft can be imported")
        }
        ("wasi:http" | "wasi:keyvalue", _) => Import::Ungranted(NOT_PROVIDED.into()),
        _ => refused("unknown to wharf"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Only the powerless baseline passes, in the versions that this host links.
    #[test]
    fn only_the_baseline_is_met() {
        let import = |name: &str| Grants::default().import(name, "p");
        for name in [
            "wasi:cli/environment@0.2.3",
            "wasi:sockets/tcp@0.2.6",
            "wasi:config/store@0.2.0-rc.1",
            "wharf:delivery/log@0.1.0-draft.1",
            "wharf:delivery/types@0.1.0-draft.1",
        ] {
            assert_eq!(import(name), Import::Baseline, "{name}");
        }
        for name in [
            "wasi:cli/environment@0.3.0",
            "wasi:cli/environment@0.2.0-rc-2023",
            "wasi:cli/environment",
            "wasi:clipboard/read@0.2.0",
            "wasi:config/store@0.2.0",
            "wharf:delivery/log@0.1.0-draft.2",
            "wharf:delivery/converter@0.1.0-draft.1",
            "get-secret",
        ] {
            assert!(matches!(import(name), Import::Refused(_)), "{name}");
        }
        for name in [
            "wasi:http/outgoing-handler@0.2.0",
            "wasi:keyvalue/store@0.2.0-draft",
        ] {
            assert!(matches!(import(name), Import::Ungranted(_)), "{name}");
        }
    }
}
