//! Keeps what runs in step with the folder: looks, loads, swaps, and says what it did not.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;

use futures_util::FutureExt as _;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use wharf_plugin::{Findings, LoadError, LoadProblem, Plugin, is_whole};

use super::folder::{self, Change, Folder};
use super::uses::Uses;
use super::watch::Watch;
use super::{File, Plugins, Standing, Verdict, short};
use crate::config::{self, Config};
use crate::degraded::Degraded;
use crate::limits::{PLUGIN_FOLDER_GATHER, PLUGIN_FOLDER_POLL};
use crate::reload::Bound;
use crate::server::chain;

/// The one task that changes which plugins run.
pub(crate) struct Keeper {
    plugins: Plugins,
    uses: Uses,
    grants: Arc<[config::Plugin]>,
    degraded: Degraded,
    folder: Folder,
    watch: Watch,
    /// Asks for a look at everything, what was refused included.
    rescan: Arc<Notify>,
    /// Asks for other channels.
    asks: mpsc::Receiver<SetChannels>,
    loads: JoinSet<Loaded>,
    /// The load of the latest content of each file.
    loading: BTreeMap<OsString, AbortHandle>,
}

/// Asks the [`Keeper`] to have these channels in the place of those before, all or none of them.
pub(crate) struct SetChannels {
    pub(crate) channels: Vec<config::Channel>,
    pub(crate) answer: oneshot::Sender<Result<Vec<Bound>, String>>,
}

type Loaded = (OsString, Result<Plugin, LoadError>);

impl Keeper {
    /// Loads what is in the folder, all of it, and binds what uses it.
    pub(crate) async fn start(
        config: &Config,
        plugins: Plugins,
        uses: Uses,
        degraded: Degraded,
        rescan: Arc<Notify>,
        asks: mpsc::Receiver<SetChannels>,
    ) -> Keeper {
        let mut keeper = Keeper {
            // Before the first look, so that nothing is missed after it.
            watch: Watch::new(plugins.dir.clone()),
            plugins,
            uses,
            grants: config.plugins.as_slice().into(),
            degraded,
            folder: Folder::default(),
            rescan,
            asks,
            loads: JoinSet::new(),
            loading: BTreeMap::new(),
        };
        keeper.look(true).await;
        while let Some(ended) = keeper.loads.join_next_with_id().await {
            if let Some((name, result)) = keeper.ended(ended) {
                match result {
                    Ok(plugin) => keeper.adopt(&name, plugin),
                    Err(error) => keeper.refuse(&name, &error),
                }
            }
        }
        let plugins = keeper.plugins.clone();
        keeper.uses.bind_all(&|name| plugins.plugin(name));
        keeper
    }

    pub(crate) fn uses(&self) -> &Uses {
        &self.uses
    }

    /// Runs until `stop`. What is being loaded then is given up, and its compiler killed.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        loop {
            let again = self.look(false).await;
            let poll = Instant::now() + PLUGIN_FOLDER_POLL;
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.watch.woken() => sleep(PLUGIN_FOLDER_GATHER).await,
                () = self.rescan.notified() => self.forget_refused(),
                Some(ask) = self.asks.recv() => {
                    let plugins = self.plugins.clone();
                    let bound = self.uses.set_channels(ask.channels, &|name| plugins.plugin(name));
                    // Whoever has gone away does not miss it.
                    let _ = ask.answer.send(bound);
                }
                Some(ended) = self.loads.join_next_with_id() => {
                    if let Some((name, result)) = self.ended(ended) {
                        self.settle(&name, result);
                    }
                }
                () = sleep_until(again.map_or(poll, |again| again.min(poll))) => self.watch.renew(),
            }
        }
    }

    /// Looks at the folder, begins to load what has changed, and says when to look again. At a `start`, everything
    /// counts as it is.
    async fn look(&mut self, start: bool) -> Option<Instant> {
        let mut folder = std::mem::take(&mut self.folder);
        let dir = self.plugins.dir.clone();
        let renamed = self.watch.take_renamed();
        // The folder may be on a network.
        let looked = tokio::task::spawn_blocking(move || {
            let listing = match folder::list(&dir) {
                Ok(listing) => listing,
                Err(error) => return (folder, Err(error)),
            };
            // What cannot be read is refused, for that reason.
            let is_whole = |name: &OsString| is_whole(&dir.join(name)).unwrap_or(true);
            let all: BTreeSet<_> = listing.keys().cloned().collect();
            let at_once = if start { &all } else { &renamed };
            let looked = folder.look(&listing, at_once, is_whole, Instant::now());
            (folder, Ok(looked))
        });
        let (folder, looked) = match looked.await {
            Ok(looked) => looked,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        };
        self.folder = folder;
        let (changes, again) = match looked {
            Ok(looked) => looked,
            Err(error) => {
                self.tell_of_folder(Some(format!("it cannot be read: {error}")));
                return None;
            }
        };
        self.tell_of_folder(None);
        for change in changes {
            match change {
                Change::Put(name) => self.load(name),
                Change::Gone(name) => self.gone(&name),
            }
        }
        again
    }

    fn load(&mut self, name: OsString) {
        let path = self.plugins.dir.join(&name);
        let (host, grants) = (self.plugins.host.clone(), Arc::clone(&self.grants));
        let file = name.clone();
        let load = self.loads.spawn(async move {
            let load = host.prepare(&path, |plugin| super::grants(&grants, plugin));
            // A file that we have a bug for must not be more than a bad file.
            let loaded = AssertUnwindSafe(load).catch_unwind().await;
            let panicked = |_panic| LoadError {
                path: path.clone(),
                findings: Findings::default(),
                problem: LoadProblem::Panicked,
            };
            (file, loaded.map_err(panicked).flatten())
        });
        self.give_up(&name);
        self.loading.insert(name, load);
    }

    /// Ends a load of what is in the file no more.
    fn give_up(&mut self, name: &OsString) {
        if let Some(outdated) = self.loading.remove(name) {
            outdated.abort();
        }
    }

    /// A load that has ended, if it is the latest one of its file.
    fn ended(&mut self, ended: Result<(Id, Loaded), JoinError>) -> Option<Loaded> {
        let (id, loaded) = match ended {
            Ok(ended) => ended,
            Err(given_up) => {
                debug_assert!(given_up.is_cancelled(), "a load catches its panics");
                return None;
            }
        };
        let name = &loaded.0;
        if self.loading.get(name).is_none_or(|load| load.id() != id) {
            return None;
        }
        self.loading.remove(name);
        Some(loaded)
    }

    /// Puts a new version to use, or says why not.
    fn settle(&mut self, file: &OsString, loaded: Result<Plugin, LoadError>) {
        let plugin = match loaded {
            Ok(plugin) => plugin,
            Err(error) => {
                self.refuse(file, &error);
                return self.rebind_unbound(file);
            }
        };
        let name = plugin.name();
        let running = self.plugins.host.plugin(name);
        if running.is_some_and(|running| running.digest() == plugin.digest()) {
            return self.note(file, Standing::Loaded);
        }
        let find = |wanted: &str| match wanted == name {
            true => Ok(plugin.clone()),
            false => self.plugins.plugin(wanted),
        };
        match self.uses.rebind(name, &find) {
            Ok(()) => self.adopt(file, plugin),
            Err(reason) => {
                let verdict = Verdict {
                    digest: Some(plugin.digest().to_owned()),
                    reason,
                };
                self.note(file, Standing::Refused(verdict));
            }
        }
    }

    fn adopt(&mut self, file: &OsString, plugin: Plugin) {
        let info = plugin.info();
        let running = self.plugins.host.plugin(&info.name);
        tracing::info!(
            plugin = info.name,
            digest = info.digest,
            instead_of = running.as_ref().map(Plugin::digest),
            hooks = ?info.hooks,
            "plugin loaded"
        );
        self.plugins.host.adopt(plugin);
        self.note(file, Standing::Loaded);
    }

    fn refuse(&mut self, file: &OsString, error: &LoadError) {
        let verdict = Verdict {
            digest: error.findings.digest().map(str::to_owned),
            reason: chain(error),
        };
        let runs = self
            .plugins
            .host
            .plugin(&folder::plugin_name(file))
            .is_some();
        let standing = match error.problem {
            // A version that wants more than the last one is not worse than it: it waits.
            LoadProblem::Ungranted { .. } if runs => Standing::Held(verdict),
            _ => Standing::Refused(verdict),
        };
        self.note(file, standing);
    }

    /// What runs goes on; what nothing uses is let go.
    fn gone(&mut self, file: &OsString) {
        self.give_up(file);
        let name = folder::plugin_name(file);
        let runs = self.plugins.host.plugin(&name).is_some();
        if runs && self.uses.has(&name) {
            return self.note(file, Standing::Missing);
        }
        self.plugins.host.forget(&name);
        self.plugins.known().files.remove(&name);
        self.degraded
            .clear(&health_name(&self.plugins.dir.join(file)));
        tracing::info!(plugin = name, "plugin file removed; nothing ran on it");
        self.rebind_unbound(file);
    }

    /// What cannot be bound for want of this plugin says why, and that may be something else by now.
    fn rebind_unbound(&self, file: &OsString) {
        let name = folder::plugin_name(file);
        if self.plugins.host.plugin(&name).is_none() {
            let bound = self
                .uses
                .rebind(&name, &|wanted| self.plugins.plugin(wanted));
            debug_assert!(bound.is_ok(), "what does not work cannot be worse off");
        }
    }

    /// Notes down how a file stands, and tells of it where that is new.
    fn note(&mut self, file: &OsString, standing: Standing) {
        let name = folder::plugin_name(file);
        let path = self.plugins.dir.join(file);
        let health = health_name(&path);
        let running = self.plugins.host.plugin(&name);
        let noted = File {
            path: path.clone(),
            standing: standing.clone(),
        };
        let last = self.plugins.known().files.insert(name, noted);
        let is_new = last.is_none_or(|last| last.standing != standing);
        let goes_on = running.as_ref().map_or(String::new(), |running| {
            format!("; version {} goes on", short(running.digest()))
        });
        match &standing {
            Standing::Loaded => {
                self.degraded.clear(&health);
            }
            Standing::Refused(verdict) => {
                let reason = format!("{}{goes_on}", verdict.reason);
                if is_new {
                    tracing::error!(file = %path.display(), digest = verdict.digest, reason, "plugin refused");
                }
                self.degraded.set(&health, reason);
            }
            Standing::Held(verdict) => {
                let reason = format!(
                    "it wants more than it was granted: {}{goes_on}; grant it in the configuration and start again, \
                     or put the old file back",
                    verdict.reason
                );
                if is_new {
                    tracing::warn!(file = %path.display(), digest = verdict.digest, reason, "plugin held");
                }
                self.degraded.set(&health, reason);
            }
            Standing::Missing => {
                let reason =
                    format!("the file is gone{goes_on} until the next start; put the file back");
                if is_new {
                    tracing::warn!(file = %path.display(), reason, "plugin file missing");
                }
                self.degraded.set(&health, reason);
            }
        }
    }

    fn tell_of_folder(&self, problem: Option<String>) {
        let health = format!("plugin folder {}", self.plugins.dir.display());
        match &problem {
            Some(reason) => {
                if self.degraded.set(&health, &**reason) {
                    tracing::error!(dir = %self.plugins.dir.display(), reason, "the plugin folder is away");
                }
            }
            None => {
                self.degraded.clear(&health);
            }
        }
        self.plugins.known().problem = problem;
    }

    fn forget_refused(&mut self) {
        let known = self.plugins.known();
        for file in known.files.values() {
            if let (Standing::Refused(_) | Standing::Held(_), Some(name)) =
                (&file.standing, file.path.file_name())
            {
                self.folder.forget(&name.to_owned());
            }
        }
    }
}

fn health_name(path: &Path) -> String {
    format!("plugin file {}", path.display())
}
