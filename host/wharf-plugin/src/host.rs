//! The host: one engine, the plugins it runs, and what they share.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use wasmtime::Engine;
use wasmtime::component::Linker;

use crate::budget::Budget;
use crate::compile::Compiler;
use crate::engine::{self, EngineError};
use crate::grants::Grants;
use crate::guest_log::lock;
use crate::http::HttpSender;
use crate::limits;
use crate::link;
use crate::load::{LoadError, LoadProblem, load};
use crate::plugin::{Plugin, PluginInfo};
use crate::state::State;
use crate::stats::{PluginStats, Stats};

/// What holds for all plugins of a host.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where machine code is kept. None: everything is compiled at every start. Only a directory that nobody else
    /// can write is used, since its contents are run.
    pub cache_dir: Option<PathBuf>,
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
    plugins: RwLock<BTreeMap<String, Plugin>>,
    /// By name: what is counted outlives the file that was loaded.
    stats: Mutex<BTreeMap<String, Arc<Stats>>>,
}

impl Inner {
    pub(crate) fn stats(&self, plugin: &str) -> Arc<Stats> {
        let mut stats = lock(&self.stats);
        Arc::clone(stats.entry(plugin.to_owned()).or_default())
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
            compiler: Compiler::new(engine.clone(), options.cache_dir.clone()),
            budget: Arc::new(Budget::new(options.instances_max)),
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

    /// Loads one file, and puts it in the place of an older one of its name. What is bound to the older one goes
    /// on with it; after an error the older one stays.
    pub async fn load(
        &self,
        file: &Path,
        grants: impl Fn(&str) -> Grants,
    ) -> Result<PluginInfo, LoadError> {
        let name = file.file_stem().and_then(|stem| stem.to_str());
        let name = name.ok_or_else(|| LoadError::new(file, LoadProblem::Name))?;
        let plugin = load(&self.0, name, file, grants(name))
            .await
            .map_err(|problem| LoadError::new(file, problem))?;
        let info = plugin.info().clone();
        self.write().insert(info.name.clone(), plugin);
        Ok(info)
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
