//! From a file to machine code, with a cache on disk.
//!
//! Compiling takes from 40 ms for a Rust guest to 10 s for Python, loading what was compiled a few milliseconds. A
//! component that nobody has looked at can be a *compile bomb*, which takes all the memory and all the time there is:
//! so a host compiles in a child process with limits ([`Compile::Child`]), which is this program again and has nothing
//! of what its parent knows. `child` is the parent's half, `worker` the child's.

mod cache;
mod child;
mod format;
mod worker;

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::limits;
use crate::problem::LoadProblem;
use cache::Cache;

pub use child::Child;
pub use format::is_whole;
pub use worker::{CompileWorkerError, WorkerLimits, compile_stdin};

/// Where components are compiled.
#[derive(Clone, Debug, Default)]
pub enum Compile {
    /// In this process, without limits: for components that are known, as in tests.
    #[default]
    InProcess,
    /// In a child process with limits.
    Child(Child),
}

/// A component file that was read.
#[derive(Clone)]
pub(crate) struct Source {
    pub(crate) wasm: Bytes,
    /// The SHA-256 of the file, in hex.
    pub(crate) digest: String,
}

impl Source {
    /// Reads a file, on a thread where that may take its time.
    pub(crate) async fn read(path: &Path) -> Result<Source, LoadProblem> {
        let path = path.to_owned();
        blocking(move || {
            let wasm = read(&path)?;
            let digest = hex::encode(Sha256::digest(&wasm));
            Ok(Source {
                wasm: wasm.into(),
                digest,
            })
        })
        .await
    }

    pub(crate) fn size_bytes(&self) -> u64 {
        self.wasm.len() as u64
    }
}

/// A component that can be linked.
pub(crate) struct Compiled {
    pub(crate) component: Component,
    pub(crate) from_cache: bool,
}

/// Compiles components for one engine. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Compiler {
    engine: Engine,
    cache: Option<Arc<Cache>>,
    compile: Compile,
}

impl Compiler {
    /// Opens the cache. A folder that cannot be trusted, or made, costs the cache and nothing else.
    pub(crate) fn new(engine: Engine, cache_dir: Option<PathBuf>, compile: Compile) -> Compiler {
        let cache = cache_dir.and_then(|dir| match Cache::open(&dir, &engine) {
            Ok(cache) => Some(Arc::new(cache)),
            Err(error) => {
                tracing::warn!(
                    dir = %dir.display(),
                    %error,
                    "not caching compiled plugins; every start compiles them again"
                );
                None
            }
        });
        Compiler {
            engine,
            cache,
            compile,
        }
    }

    /// Makes a component of a file. What is `in_use` stays in the cache, whatever its limits.
    pub(crate) async fn compile(
        &self,
        source: &Source,
        in_use: BTreeSet<String>,
    ) -> Result<Compiled, LoadProblem> {
        format::check(&source.wasm)?;
        if let Some(cache) = self.cache.clone() {
            let (engine, digest) = (self.engine.clone(), source.digest.clone());
            let cached = blocking(move || Ok(cache.load(&engine, &digest))).await?;
            if let Some(component) = cached {
                return Ok(Compiled {
                    component,
                    from_cache: true,
                });
            }
        }
        let code = match &self.compile {
            Compile::Child(child) => child.compile(source.wasm.clone()).await?,
            Compile::InProcess => {
                let (engine, wasm) = (self.engine.clone(), source.wasm.clone());
                blocking(move || compile(&engine, &wasm)).await?
            }
        };
        let (compiler, digest) = (self.clone(), source.digest.clone());
        let component = blocking(move || compiler.keep(&code, &digest, &in_use)).await?;
        Ok(Compiled {
            component,
            from_cache: false,
        })
    }

    /// Puts machine code into the cache and loads it from there, where its pages are shared; else from memory.
    fn keep(
        &self,
        code: &[u8],
        digest: &str,
        in_use: &BTreeSet<String>,
    ) -> Result<Component, LoadProblem> {
        if let Some(cache) = &self.cache {
            let stored = cache.store(code, digest);
            let component = stored
                .as_ref()
                .ok()
                .and_then(|()| cache.load(&self.engine, digest));
            if let Err(error) = stored.and_then(|()| cache.prune(in_use)) {
                tracing::warn!(digest, %error, "failed to cache a compiled plugin");
            }
            if let Some(component) = component {
                return Ok(component);
            }
        }
        // SAFETY: wasmtime demands that the bytes were written by it. They come from `compile`, in this process or
        // in a child that runs this program and nothing else, over a pipe that only the two have.
        #[allow(unsafe_code)]
        let component = unsafe { Component::deserialize(&self.engine, code) };
        component.map_err(|error| LoadProblem::Compile {
            reason: format!("{error:#}"),
        })
    }
}

fn compile(engine: &Engine, wasm: &[u8]) -> Result<Vec<u8>, LoadProblem> {
    engine
        .precompile_component(wasm)
        .map_err(|error| LoadProblem::Compile {
            reason: format!("{error:#}"),
        })
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LoadProblem> + Send + 'static,
) -> Result<T, LoadProblem> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|_panic| {
            Err(LoadProblem::Compile {
                reason: "the compiler panicked".to_owned(),
            })
        })
}

fn read(path: &Path) -> Result<Vec<u8>, LoadProblem> {
    let file = fs::File::open(path).map_err(LoadProblem::Read)?;
    let size_bytes = file.metadata().map_err(LoadProblem::Read)?.len();
    if size_bytes > limits::PLUGIN_BYTES_MAX {
        return Err(LoadProblem::TooLarge { size_bytes });
    }
    // The file may grow while it is read.
    let mut wasm = Vec::with_capacity(size_bytes as usize);
    file.take(limits::PLUGIN_BYTES_MAX)
        .read_to_end(&mut wasm)
        .map_err(LoadProblem::Read)?;
    Ok(wasm)
}
