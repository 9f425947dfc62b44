//! The plugin folder: what is in it, what of it runs, and what becomes of a file that changes.
//!
//! A file is one plugin; its name without `.wasm` is the plugin's. A file that changes is read, compiled in a child
//! process, tried beside the version that runs, and put in its place in one step for every channel and hook that uses
//! it. What has begun ends on the version that it began with.
//!
//! | a file | state | what runs |
//! | --- | --- | --- |
//! | is a plugin of this host | `loaded` | it |
//! | is none, or lacks a hook that is in use | `refused` | the last good one |
//! | wants a power that it was not granted | `held`, or `refused` where nothing of its name runs | the last good one |
//! | is gone | `missing`, or forgotten where nothing uses it | the last good one |
//!
//! Each state but the first is told by the log (once), by `wharf plugin list` and by `/readyz`. Whatever is wrong, a
//! good file puts it right: a channel whose plugin was missing begins to deliver.
//!
//! Limits of the choice: the last good version is in memory only, so a restart has what is in the folder and nothing
//! else. Two files that belong together are swapped one after the other. What was refused for a reason that is not in
//! the file (no memory to compile it) is not tried again by itself: SIGHUP or a `touch` does that.
//!
//! `folder` decides when a file counts, `watch` wakes, `keeper` does what follows, `uses` has the channels and hooks,
//! `view` shows it, `check` does it all for one file without a host.

mod check;
mod compile;
mod folder;
mod keeper;
mod uses;
mod view;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wharf_plugin::{Grants, Host, Plugin};

use crate::config::{self, Config};
use crate::egress::{Client, PluginSender};
use crate::server::ServeError;

pub use check::check;
pub(crate) use check::load;
pub use compile::COMPILE_COMMAND;
pub(crate) use keeper::{Keeper, SetChannels};
pub(crate) use uses::{Find, Use, Uses, bind_router};
pub use wharf_plugin::{WorkerLimits, compile_stdin};

/// The plugins, shared by who keeps them and who shows them.
#[derive(Clone)]
pub(crate) struct Plugins {
    pub(crate) host: Host,
    dir: PathBuf,
    known: Arc<Mutex<Known>>,
}

#[derive(Default)]
struct Known {
    /// Why the folder cannot be read.
    problem: Option<String>,
    files: BTreeMap<String, File>,
}

/// A file of the folder, or one that was there.
#[derive(Clone, Debug, PartialEq, Eq)]
struct File {
    path: PathBuf,
    standing: Standing,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Standing {
    /// What runs is what is in it.
    Loaded,
    Refused(Verdict),
    Held(Verdict),
    /// It is gone; what was in it runs.
    Missing,
}

/// Why a file does not run.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Verdict {
    /// The file's SHA-256, where it could be read.
    digest: Option<String>,
    reason: String,
}

impl Plugins {
    pub(crate) fn new(config: &Config, client: &Arc<Client>) -> Result<Plugins, ServeError> {
        let sender = PluginSender {
            client: Arc::clone(client),
        };
        let mut options = wharf_plugin::Options {
            cache_dir: Some(config.plugin_cache_dir.clone()),
            compile: compile::child(Some(config)),
            http: Some(Arc::new(sender)),
            ..wharf_plugin::Options::default()
        };
        if let Some(most) = config.instances_max {
            options.instances_max = most;
        }
        Ok(Plugins {
            host: Host::new(options).map_err(ServeError::Engine)?,
            dir: config.plugin_dir.clone(),
            known: Arc::default(),
        })
    }

    /// A plugin by name; or why it is not there.
    pub(crate) fn plugin(&self, name: &str) -> Result<Plugin, String> {
        if let Some(plugin) = self.host.plugin(name) {
            return Ok(plugin);
        }
        let known = self.known();
        Err(match known.files.get(name).map(|file| &file.standing) {
            Some(Standing::Refused(verdict) | Standing::Held(verdict)) => {
                format!("plugin {name:?} was refused: {}", verdict.reason)
            }
            Some(Standing::Loaded | Standing::Missing) | None => {
                format!("there is no plugin {name:?} in the plugin folder")
            }
        })
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The names of the plugins that have a file.
pub(crate) fn names(dir: &Path) -> io::Result<BTreeSet<String>> {
    let files = folder::list(dir)?;
    Ok(files.keys().map(|file| folder::plugin_name(file)).collect())
}

/// What the configuration grants a plugin.
fn grants(plugins: &[config::Plugin], name: &str) -> Grants {
    let mut grants = Grants::default();
    let Some(plugin) = plugins.iter().find(|plugin| plugin.name == name) else {
        return grants;
    };
    if let Some(timeout) = plugin.timeout {
        grants.timeout = timeout;
    }
    if let Some(bytes) = plugin.memory_bytes_max {
        grants.memory_max_bytes = bytes;
    }
    if let Some(instances) = plugin.instances_max {
        grants.instances_max = instances;
    }
    if let Some(bytes) = plugin.output_bytes_max {
        grants.output_max_bytes = bytes;
    }
    if let Some(lines) = plugin.log_lines_per_second {
        grants.log_lines_per_second = lines;
    }
    if let Some(calls) = plugin.http_calls_max {
        grants.http_calls_max = calls;
    }
    grants.http = (!plugin.http.urls.is_empty()).then(|| plugin.http.clone());
    grants.folders = plugin.folders.clone();
    grants.sha256 = plugin.sha256.clone();
    grants
}

/// As much of a digest as people read.
fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}
