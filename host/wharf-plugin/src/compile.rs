//! From a file to machine code, with a cache on disk.
//!
//! Compiling takes from 40 ms for a Rust guest to 10 s for Python, loading what was compiled a few milliseconds.
//! A cached file is named after the SHA-256 of the component and the engine that compiled it, is written beside and
//! renamed into place, and has its own SHA-256 next to it: a torn, rotten or stale one is compiled again.
//!
//! **Cached files are machine code and are run as it.** The digest beside a file stops accidents, not attackers;
//! what stops them is that the folder and the files belong to us and that nobody else can write there. Where that
//! does not hold, nothing is cached.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::limits;
use crate::load::LoadProblem;

/// A component that can be linked.
pub(crate) struct Compiled {
    pub(crate) component: Component,
    /// The SHA-256 of the file, in hex.
    pub(crate) digest: String,
    pub(crate) size_bytes: u64,
    pub(crate) from_cache: bool,
}

/// Compiles components for one engine. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Compiler {
    engine: Engine,
    cache: Option<Arc<Cache>>,
}

impl Compiler {
    /// Opens the cache. A folder that cannot be trusted, or made, costs the cache and nothing else.
    pub(crate) fn new(engine: Engine, cache_dir: Option<PathBuf>) -> Compiler {
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
        Compiler { engine, cache }
    }

    /// Reads, checks and compiles one file on a thread where that may take its time.
    pub(crate) async fn compile(
        &self,
        path: &Path,
        pin: Option<&str>,
    ) -> Result<Compiled, LoadProblem> {
        let compiler = self.clone();
        let path = path.to_owned();
        let pin = pin.map(str::to_owned);
        let compile = move || compiler.compile_here(&path, pin.as_deref());
        tokio::task::spawn_blocking(compile)
            .await
            .unwrap_or_else(|_| {
                Err(LoadProblem::Compile {
                    reason: "the compiler panicked".to_owned(),
                })
            })
    }

    fn compile_here(&self, path: &Path, pin: Option<&str>) -> Result<Compiled, LoadProblem> {
        let wasm = read(path)?;
        let digest = hex::encode(Sha256::digest(&wasm));
        if let Some(pin) = pin
            && !pin.trim().eq_ignore_ascii_case(&digest)
        {
            return Err(LoadProblem::Digest {
                expected: pin.to_owned(),
                found: digest,
            });
        }
        check_format(&wasm)?;
        let size_bytes = wasm.len() as u64;

        if let Some(cache) = &self.cache
            && let Some(component) = cache.load(&self.engine, &digest)
        {
            return Ok(Compiled {
                component,
                digest,
                size_bytes,
                from_cache: true,
            });
        }
        let component =
            Component::from_binary(&self.engine, &wasm).map_err(|error| LoadProblem::Compile {
                reason: format!("{error:#}"),
            })?;
        if let Some(cache) = &self.cache
            && let Err(error) = cache.store(&component, &digest)
        {
            tracing::warn!(path = %path.display(), %error, "failed to cache a compiled plugin");
        }
        Ok(Compiled {
            component,
            digest,
            size_bytes,
            from_cache: false,
        })
    }
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

/// Tells the usual mistakes apart before the compiler's words about offsets do.
fn check_format(wasm: &[u8]) -> Result<(), LoadProblem> {
    const MAGIC: &[u8] = b"\0asm";
    // Version and layer, https://github.com/WebAssembly/component-model/blob/main/design/mvp/Binary.md
    const MODULE: &[u8] = &[1, 0, 0, 0];
    const COMPONENT: &[u8] = &[0x0d, 0, 1, 0];
    let what = match wasm.split_at_checked(4) {
        None if wasm.is_empty() => "the file is empty; copy it again",
        Some((MAGIC, rest)) if rest.starts_with(COMPONENT) => return Ok(()),
        Some((MAGIC, rest)) if rest.starts_with(MODULE) => {
            "it is a core module; build for wasm32-wasip2, or wrap it with `wasm-tools component new`"
        }
        Some((MAGIC, _)) => "its binary version is unknown; build for wasm32-wasip2",
        _ => "it does not start like WebAssembly; build for wasm32-wasip2",
    };
    Err(LoadProblem::NotAComponent { what })
}

struct Cache {
    dir: PathBuf,
    /// Names the engine: its version, its settings, the processor's features.
    engine: String,
}

impl Cache {
    fn open(dir: &Path, engine: &Engine) -> io::Result<Cache> {
        create_private(dir)?;
        trust(&fs::symlink_metadata(dir)?)?;
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        Ok(Cache {
            dir: dir.to_owned(),
            engine: format!("{:016x}", hasher.finish()),
        })
    }

    /// What was compiled before, if it is whole and ours.
    fn load(&self, engine: &Engine, digest: &str) -> Option<Component> {
        let path = self.path(digest, "cwasm");
        if !path.exists() {
            return None;
        }
        match self.try_load(engine, digest, &path) {
            Ok(component) => Some(component),
            Err(error) => {
                tracing::warn!(
                    path = %path.display(),
                    %error,
                    "a cached plugin cannot be used and is compiled again"
                );
                None
            }
        }
    }

    fn try_load(&self, engine: &Engine, digest: &str, path: &Path) -> io::Result<Component> {
        trust(&fs::symlink_metadata(&self.dir)?)?;
        trust(&fs::symlink_metadata(path)?)?;
        let expected = fs::read_to_string(self.path(digest, "sha256"))?;
        if hex::encode(Sha256::digest(fs::read(path)?)) != expected {
            return Err(io::Error::other("its content has changed"));
        }
        // SAFETY: wasmtime demands that the file was written by it and is not changed while it is mapped. The
        // folder and the file are ours and writable by us only, which `trust` has just checked; the digest that
        // `store` wrote beside it says that it is what `Component::serialize` gave; `replace` never writes into a
        // file but renames a new one over it, so that a mapped one stays as it is.
        #[allow(unsafe_code)]
        let component = unsafe { Component::deserialize_file(engine, path) };
        component.map_err(|error| io::Error::other(format!("{error:#}")))
    }

    fn store(&self, component: &Component, digest: &str) -> io::Result<()> {
        let code = component
            .serialize()
            .map_err(|error| io::Error::other(error.to_string()))?;
        let sum = hex::encode(Sha256::digest(&code));
        // The sum first: after a crash between the two it fits no code, and the code is compiled again.
        self.replace(&self.path(digest, "sha256"), sum.as_bytes())?;
        self.replace(&self.path(digest, "cwasm"), &code)
    }

    /// A file of its own first, readable by us only: nobody ever sees, or has mapped, one that is being written.
    fn replace(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let mut file = NamedTempFile::new_in(&self.dir)?;
        file.write_all(content)?;
        file.persist(path)?;
        Ok(())
    }

    fn path(&self, digest: &str, extension: &str) -> PathBuf {
        self.dir
            .join(format!("{digest}-{}.{extension}", self.engine))
    }
}

fn create_private(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

/// Whether only we can have written this file or folder, and no link leads elsewhere.
#[cfg(unix)]
fn trust(metadata: &fs::Metadata) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt;
    if metadata.is_symlink() {
        return Err(io::Error::other("it is a symbolic link"));
    }
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(io::Error::other("it belongs to another user"));
    }
    if metadata.mode() & 0o022 != 0 {
        return Err(io::Error::other("others can write to it; chmod go-w"));
    }
    Ok(())
}

/// Where files have no such permissions, the user's own folders are taken to be private.
#[cfg(not(unix))]
fn trust(_metadata: &fs::Metadata) -> io::Result<()> {
    Ok(())
}
