//! The configuration: one TOML file, then the environment, then flags.
//!
//! `file` is the file's shape as serde reads it, with every key documented; `resolve` checks it whole and turns
//! it into a [`Config`], whose values can be used as they are. Nothing else reads the file.
//!
//! A host starts although a channel's plugin or URL cannot be used: the other channels go on. `files` and `url`
//! find these for `wharf config check`, so what the check refuses is more than what a start refuses.

mod bounds;
mod file;
mod files;
mod nearest;
mod resolve;
mod source;
mod token;
mod url;
mod value;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use wharf_core::grant::HttpGrant;
use wharf_core::{ChannelName, Pairs, breaker, order, rate, retry, route};

use wharf_plugin::Folder;

use crate::disk::Marks;
use crate::egress::Tls;
use crate::retention::Policy;

pub use file::Overrides;
pub use files::check_plugins;
pub use resolve::load;
pub use source::Source;
pub use token::{Scope, Token};
pub use url::check_urls;

/// Everything that is wrong with a configuration, one sentence each, naming its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    /// The file, or the place that the configuration came from.
    pub origin: String,
    /// The sentences.
    pub problems: Vec<String>,
}

impl std::fmt::Display for Problems {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let count = self.problems.len();
        let plural = if count == 1 { "" } else { "s" };
        write!(
            f,
            "{}: {count} problem{plural} in the configuration",
            self.origin
        )?;
        for problem in &self.problems {
            write!(f, "\n  - {problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// A checked configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// The store's file.
    pub store_path: PathBuf,
    /// How much of its disk is to be free.
    pub(crate) marks: Marks,
    /// How long what is stored is kept.
    pub(crate) retention: Policy,
    /// Where the API listens.
    pub listen: SocketAddr,
    /// The API's tokens; none only on a loopback address.
    pub tokens: Vec<Token>,
    /// Whether a message that has no id, and comes without an idempotency key, is refused.
    pub require_idempotency: bool,
    /// Largest payload that is accepted.
    pub payload_bytes_max: usize,
    /// How long a stop waits for what is in flight.
    pub drain_timeout: Duration,
    /// Threads that serve the API.
    pub api_threads: usize,
    /// Networks that may be reached although they are not public.
    pub allow_addresses: Vec<IpNet>,
    /// Whom TLS connections trust, and who they say we are.
    pub(crate) tls: Tls,
    /// The plugin folder.
    pub plugin_dir: PathBuf,
    /// Where compiled plugins are kept.
    pub plugin_cache_dir: PathBuf,
    /// Live instances over all plugins.
    pub instances_max: Option<usize>,
    /// Time for compiling one plugin.
    pub compile_timeout: Option<Duration>,
    /// Memory for compiling one plugin.
    pub compile_memory_bytes_max: Option<u64>,
    /// What each plugin may do, by name.
    pub plugins: Vec<Plugin>,
    /// The channels.
    pub channels: Vec<Channel>,
    /// The routes.
    pub routes: route::Table,
    /// Where they are, if not in the file itself: the API may change them there.
    pub routes_file: Option<PathBuf>,
    /// What decides in the place of the routes.
    pub router: Option<HookUse>,
    /// Post-event hooks.
    pub post_event: Vec<PostEvent>,
}

/// What one plugin may do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plugin {
    /// Its name.
    pub name: String,
    /// What its requests may ask for, its own and those that the host makes for it.
    pub http: HttpGrant,
    /// Requests of its own at the same time.
    pub http_calls_max: Option<usize>,
    /// Folders that it may use.
    pub folders: Vec<Folder>,
    /// Time for one call.
    pub timeout: Option<Duration>,
    /// Memory of one instance.
    pub memory_bytes_max: Option<u64>,
    /// Live instances.
    pub instances_max: Option<usize>,
    /// What it may give back in one call.
    pub output_bytes_max: Option<u64>,
    /// Lines a second that each use of it may log.
    pub log_lines_per_second: Option<u32>,
    /// The digest that its file must have.
    pub sha256: Option<String>,
}

/// A use of a hook: a plugin and its settings.
#[derive(Clone, PartialEq, Eq)]
pub struct HookUse {
    /// The plugin's name.
    pub plugin: String,
    /// What `wasi:config/store` shows it.
    pub settings: Pairs,
}

impl std::fmt::Debug for HookUse {
    /// Settings can hold secrets: only their keys are shown.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let keys: Vec<_> = self.settings.iter().map(|(key, _)| key).collect();
        f.debug_struct("HookUse")
            .field("plugin", &self.plugin)
            .field("settings", &keys)
            .finish()
    }
}

/// A channel.
#[derive(Clone, Debug, PartialEq)]
pub struct Channel {
    /// Its name.
    pub name: ChannelName,
    /// What delivers.
    pub send: HookUse,
    /// What adds to a message first, in order.
    pub enrich: Vec<HookUse>,
    /// What makes the wire form, in order.
    pub convert: Vec<HookUse>,
    /// What notes facts of an attempt, in order.
    pub annotate: Vec<HookUse>,
    /// What reads reports of partners; none where they use our form.
    pub receive: Option<HookUse>,
    /// How long a report waits for the delivery that it is about.
    pub receipt_grace: Duration,
    /// Attempts at the same time.
    pub parallelism: usize,
    /// Time for one attempt's exchanges.
    pub timeout: Duration,
    /// What keeps it, and each of its lanes, from taking or being sent too much.
    pub protection: Protection,
    /// How it keeps the order of its keys; none where it does not.
    pub order: Option<order::Policy>,
    /// When to try again.
    pub retry: retry::Policy,
}

/// What bounds a channel and each of its lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protection {
    /// Attempts of one lane at the same time, where that is not left to their shares.
    pub lane_parallelism: Option<usize>,
    /// Attempts of the channel in a time.
    pub rate: Option<rate::Rate>,
    /// Attempts of one lane in a time.
    pub lane_rate: Option<rate::Rate>,
    /// When it, or a lane, is left alone.
    pub breaker: breaker::Policy,
}

/// A post-event hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostEvent {
    /// What its cursor is kept under.
    pub name: String,
    /// The plugin and its settings.
    pub hook: HookUse,
}
