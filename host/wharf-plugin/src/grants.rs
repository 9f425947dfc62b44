//! What a plugin may use and reach: `[plugins.NAME]` of the configuration.

use std::borrow::Cow;
use std::path::PathBuf;
use std::time::Duration;

use wharf_core::grant::HttpGrant;

use crate::limits;

/// What one plugin is given. The default is enough for every hook that only computes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grants {
    /// Time for one guest call, instantiation included; for a `channel`, whose channel bounds the call, time that it
    /// computes. Waiting for a free instance is bounded by the same span, but not charged to the guest. At most
    /// [`limits::CALL_TIMEOUT_CEILING`].
    pub timeout: Duration,
    /// Linear memory of one instance, at most [`limits::MEMORY_BYTES_CEILING`].
    pub memory_max_bytes: u64,
    /// The SHA-256 of the file, in hex. Any other file of this name is refused.
    pub sha256: Option<String>,
    /// Concurrent calls, over all bindings of the plugin.
    pub instances_max: usize,
    /// What it may hand to the host in one call. Must exceed the largest message.
    pub output_max_bytes: u64,
    /// Lines a second that each binding may log in the long run.
    pub log_lines_per_second: u32,
    /// What its own requests through `wasi:http` may ask for. None: it is refused if it imports that.
    pub http: Option<HttpGrant>,
    /// Requests through `wasi:http` in flight, over all bindings of the plugin.
    pub http_calls_max: usize,
    /// The folders of the host that it finds among its preopened directories.
    pub folders: Vec<Folder>,
}

/// A folder that a plugin may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// Where it is.
    pub path: PathBuf,
    /// What the plugin knows it by, such as `/out`.
    pub at: String,
    /// Whether the plugin may change what is in it.
    pub is_writable: bool,
}

impl Default for Grants {
    fn default() -> Self {
        Grants {
            timeout: limits::CALL_TIMEOUT,
            memory_max_bytes: limits::MEMORY_BYTES_MAX,
            sha256: None,
            instances_max: limits::PLUGIN_INSTANCES_MAX,
            output_max_bytes: limits::OUTPUT_BYTES_MAX,
            log_lines_per_second: limits::LOG_LINES_PER_SECOND,
            http: None,
            http_calls_max: limits::HTTP_CALLS_MAX,
            folders: Vec::new(),
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

/// The WASI 0.2 packages that stock toolchains import whether or not the guest uses them.
const BASELINE_PACKAGES: [&str; 6] = [
    "wasi:cli",
    "wasi:io",
    "wasi:clocks",
    "wasi:random",
    "wasi:filesystem",
    "wasi:sockets",
];

const ONLY_WASI_0_2: &str = "only WASI 0.2 is provided; build it for wasm32-wasip2";

/// Decides about one import of a plugin, by its full name such as `wasi:io/streams@0.2.6`. A power that a grant gives
/// gets its arm here, and its `add_to_linker` in `link.rs`.
fn import(name: &str, plugin: &str, grants: &Grants) -> Import {
    let refused = |help: &'static str| Import::Refused(help.into());
    let (path, version) = name.split_once('@').unwrap_or((name, ""));
    let package = path.split('/').next().unwrap_or(path);
    match (package, path) {
        _ if BASELINE_PACKAGES.contains(&package) => match is_wasi_0_2(version) {
            true => Import::Baseline,
            false => refused(ONLY_WASI_0_2),
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
        (_, "wasi:http/types" | "wasi:http/outgoing-handler") => match &grants.http {
            _ if !is_wasi_0_2(version) => refused(ONLY_WASI_0_2),
            Some(_) => Import::Granted(format!("`allow-http` in [plugins.{plugin}]").into()),
            None => Import::Ungranted(
                format!(
                    "not granted; `allow-http = [\"https://example.com\"]` in [plugins.{plugin}] would \
                     grant it, for the URLs that are named"
                )
                .into(),
            ),
        },
        ("wasi:http", _) => refused("of wasi:http only outgoing-handler is provided"),
        ("wasi:keyvalue", _) => refused("not provided by this version of wharf"),
        _ => refused("unknown to wharf"),
    }
}

fn is_wasi_0_2(version: &str) -> bool {
    version
        .strip_prefix("0.2.")
        .is_some_and(|patch| !patch.is_empty() && patch.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How an import is met: `baseline`, `granted`, `ungranted` or `refused`.
    #[track_caller]
    fn check(name: &str, grants: &Grants, expected: &str) {
        let met = grants.import(name, "p");
        let found = match &met {
            Import::Baseline => "baseline",
            Import::Granted(_) => "granted",
            Import::Ungranted(_) => "ungranted",
            Import::Refused(_) => "refused",
        };
        assert_eq!(found, expected, "{name}: {met:?}");
    }

    /// Only the powerless baseline passes, in the versions that this host links.
    #[test]
    fn only_the_baseline_is_met() {
        let none = Grants::default();
        for name in [
            "wasi:cli/environment@0.2.3",
            "wasi:sockets/tcp@0.2.6",
            "wasi:config/store@0.2.0-rc.1",
            "wharf:delivery/log@0.1.0-draft.4",
            "wharf:delivery/types@0.1.0-draft.4",
        ] {
            check(name, &none, "baseline");
        }
        for name in [
            "wasi:cli/environment@0.3.0",
            "wasi:cli/environment@0.2.",
            "wasi:cli/environment@0.2.0-rc-2023",
            "wasi:cli/environment",
            "wasi:clipboard/read@0.2.0",
            "wasi:config/store@0.2.0",
            "wasi:keyvalue/store@0.2.0-draft",
            "wharf:delivery/log@0.1.0-draft.1",
            "wharf:delivery/converter@0.1.0-draft.4",
            "get-secret",
        ] {
            check(name, &none, "refused");
        }
    }

    /// A grant meets what it is for, and no more.
    #[test]
    fn http_is_met_where_it_is_granted() {
        let granted = Grants {
            http: Some(HttpGrant::default()),
            ..Grants::default()
        };
        check("wasi:http/types@0.2.12", &granted, "granted");
        let handler = "wasi:http/outgoing-handler@0.2.0";
        check(handler, &granted, "granted");
        check("wasi:http/incoming-handler@0.2.0", &granted, "refused");
        check("wasi:http/client@0.3.0", &granted, "refused");
        check("wasi:http/types@0.3.0", &granted, "refused");

        let Import::Ungranted(help) = Grants::default().import(handler, "p") else {
            panic!("it was met")
        };
        assert!(
            help.contains("allow-http") && help.contains("[plugins.p]"),
            "{help}"
        );
    }
}
