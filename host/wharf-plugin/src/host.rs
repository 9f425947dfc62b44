//! The host: one engine, the plugins it runs, and what they share.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use tokio::sync::Semaphore;
use wasmtime::Engine;
use wasmtime::component::Linker;

use crate::budget::Budget;
use crate::compile::{Compile, Compiler};
use crate::engine::{self, EngineError};
use crate::grants::Grants;
use crate::guest_log::lock;
use crate::http::HttpSender;
use crate::limits;
use crate::link;
use crate::load::load;
use crate::plugin::{Plugin, PluginInfo};
use crate::problem::{Findings, LoadError, LoadProblem};
use crate::state::State;
use crate::stats::{PluginStats, Stats};

/// What holds for all plugins of a host.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where machine code is kept. None: everything is compiled at every start. Only a directory that nobody else
    /// can write is used, since its contents are run.
    pub cache_dir: Option<PathBuf>,
    /// Where components are compiled. In this process, an unknown one can take all of its memory and time.
    pub compile: Compile,
    /// Instances alive at once over all plugins. Each plugin may always run one more.
    pub instances_max: usize,
    /// Calls after which an instance retires. 1: every message gets a fresh one.
    pub calls_per_instance_max: u64,
    /// Makes the exchanges of plugins that were granted `wasi:http`. None: such exchanges are denied.
    pub http: Option<Arc<dyn HttpSender>>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            cache_dir: None,
            compile: Compile::InProcess,
            instances_max: limits::INSTANCES_MAX,
            calls_per_instance_max: limits::CALLS_PER_INSTANCE_MAX,
            http: None,
        }
    }
}

/// Runs plugins. Cheap to clone.
#[derive(Clone)]
pub struct Host(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) options: Options,
    pub(crate) engine: Engine,
    pub(crate) linker: Linker<State>,
    pub(crate) compiler: Compiler,
    pub(crate) budget: Arc<Budget>,
    loads: Semaphore,
    plugins: RwLock<BTreeMap<String, Plugin>>,
    /// By name: what is counted outlives the file that was loaded.
    stats: Mutex<BTreeMap<String, Arc<Stats>>>,
}

impl Inner {
    pub(crate) fn stats(&self, plugin: &str) -> Arc<Stats> {
        let mut stats = lock(&self.stats);
        Arc::clone(stats.entry(plugin.to_owned()).or_default())
    }

    /// The digests of what is loaded.
    pub(crate) fn digests(&self) -> BTreeSet<String> {
        let plugins = self.plugins.read().unwrap_or_else(PoisonError::into_inner);
        plugins
            .values()
            .map(|plugin| plugin.digest().to_owned())
            .collect()
    }
}

impl Host {
    /// Starts the engine and the thread that moves its epoch, which ends with the last clone of the host, its
    /// plugins and its bound hooks.
    pub fn new(options: Options) -> Result<Host, EngineError> {
        let engine = engine::start(options.instances_max)?;
        let linker =
            link::baseline(&engine).map_err(|error| EngineError::Link(format!("{error:#}")))?;
        Ok(Host(Arc::new(Inner {
            compiler: Compiler::new(
                engine.clone(),
                options.cache_dir.clone(),
                options.compile.clone(),
            ),
            budget: Arc::new(Budget::new(options.instances_max)),
            loads: Semaphore::new(limits::LOADS_MAX),
            plugins: RwLock::default(),
            stats: Mutex::default(),
            linker,
            engine,
            options,
        })))
    }

    /// Loads every `*.wasm` of a folder, by name. One bad file does not stop the others.
    pub async fn load_dir(
        &self,
        dir: &Path,
        grants: impl Fn(&str) -> Grants,
    ) -> Vec<Result<PluginInfo, LoadError>> {
        let files = match wasm_files(dir) {
            Ok(files) => files,
            Err(source) => {
                return vec![Err(LoadError::new(dir, LoadProblem::Read(source)))];
            }
        };
        let mut loaded = Vec::with_capacity(files.len());
        for file in files {
            loaded.push(self.load(&file, &grants).await);
        }
        loaded
    }

    /// Loads one file, and puts it in the place of an older one of its name: [`Host::prepare`], then
    /// [`Host::adopt`]. After an error the older one stays.
    pub async fn load(
        &self,
        file: &Path,
        grants: impl Fn(&str) -> Grants,
    ) -> Result<PluginInfo, LoadError> {
        let plugin = self.prepare(file, grants).await?;
        let info = plugin.info().clone();
        self.adopt(plugin);
        Ok(info)
    }

    /// Makes a plugin of a file, beside an older one of its name: checked, compiled and tried, and known to nobody
    /// but the caller. Only so many are made at once; the others wait.
    pub async fn prepare(
        &self,
        file: &Path,
        grants: impl Fn(&str) -> Grants,
    ) -> Result<Plugin, LoadError> {
        let name = file.file_stem().and_then(|stem| stem.to_str());
        let name = name.ok_or_else(|| LoadError::new(file, LoadProblem::Name))?;
        let loads = self.0.loads.acquire().await;
        let _place = loads.expect("the semaphore of loads is never closed");
        let mut findings = Findings::default();
        load(&self.0, name, file, grants(name), &mut findings)
            .await
            .map_err(|problem| LoadError {
                path: file.to_owned(),
                findings,
                problem,
            })
    }

    /// Puts a plugin in the place of an older one of its name. What is bound to the older one goes on with it, and
    /// the older one with its instances goes when nothing is bound to it any more.
    pub fn adopt(&self, plugin: Plugin) {
        self.write().insert(plugin.name().to_owned(), plugin);
    }

    /// Takes a plugin out. What is bound to it goes on.
    pub fn forget(&self, name: &str) {
        self.write().remove(name);
    }

    /// Instances alive over all plugins, idle ones and those of older versions included.
    pub fn instances_count(&self) -> usize {
        self.0.budget.alive_count()
    }

    /// The plugin of this name, if it was loaded.
    pub fn plugin(&self, name: &str) -> Option<Plugin> {
        self.read().get(name).cloned()
    }

    /// What is loaded, by name.
    pub fn plugins(&self) -> Vec<PluginInfo> {
        self.read()
            .values()
            .map(|plugin| plugin.info().clone())
            .collect()
    }

    /// What was counted of each plugin since the host was made, by name; of those too that are no longer there.
    pub fn stats(&self) -> Vec<(String, PluginStats)> {
        lock(&self.0.stats)
            .iter()
            .map(|(name, stats)| (name.clone(), stats.snapshot()))
            .collect()
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, BTreeMap<String, Plugin>> {
        self.0
            .plugins
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, BTreeMap<String, Plugin>> {
        self.0
            .plugins
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn wasm_files(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "wasm")
            && path.is_file()
        {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
