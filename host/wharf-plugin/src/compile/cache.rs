//! Compiled components on disk.
//!
//! A cached file is named after the SHA-256 of the component and the engine that compiled it, is written beside and
//! renamed into place, and has its own SHA-256 next to it: a torn, rotten or stale one is compiled again.
//!
//! **Cached files are machine code and are run as it.** The digest beside a file stops accidents, not attackers;
//! what stops them is that the folder and the files belong to us and that nobody else can write there. Where that
//! does not hold, nothing is cached.
//!
//! What was not used lately goes: every load writes the digest beside the code anew, so its time tells the last use.
//! Beside what a host runs, [`limits::CACHE_SPARES_MAX`] components are kept and
//! [`limits::CACHE_SPARE_BYTES_MAX`], whichever is reached first. A mapped file that goes stays mapped; the next
//! start compiles it again.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use sha2::{Digest, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::limits;

/// How the name of a file begins that is being written.
const UNFINISHED: &str = ".wharf-";

pub(super) struct Cache {
    dir: PathBuf,
    /// Names the engine: its version, its settings, the processor's features.
    engine: String,
}

impl Cache {
    pub(super) fn open(dir: &Path, engine: &Engine) -> io::Result<Cache> {
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
    pub(super) fn load(&self, engine: &Engine, digest: &str) -> Option<Component> {
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
        let sum = self.path(digest, "sha256");
        let expected = fs::read_to_string(&sum)?;
        if hex::encode(Sha256::digest(fs::read(path)?)) != expected {
            return Err(io::Error::other("its content has changed"));
        }
        // SAFETY: wasmtime demands that the file was written by it and is not changed while it is mapped. The
        // folder and the file are ours and writable by us only, which `trust` has just checked; the digest that
        // `store` wrote beside it says that it is what the compiler gave; `replace` never writes into a file but
        // renames a new one over it, so that a mapped one stays as it is.
        #[allow(unsafe_code)]
        let component = unsafe { Component::deserialize_file(engine, path) };
        let component = component.map_err(|error| io::Error::other(format!("{error:#}")))?;
        // Its time is when the code was last used. Losing that costs a compilation at some later start.
        let _ = self.replace(&sum, expected.as_bytes());
        Ok(component)
    }

    pub(super) fn store(&self, code: &[u8], digest: &str) -> io::Result<()> {
        let sum = hex::encode(Sha256::digest(code));
        // The sum first: after a crash between the two it fits no code, and the code is compiled again.
        self.replace(&self.path(digest, "sha256"), sum.as_bytes())?;
        self.replace(&self.path(digest, "cwasm"), code)
    }

    /// A file of its own first, readable by us only: nobody ever sees, or has mapped, one that is being written.
    fn replace(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let mut file = tempfile::Builder::new()
            .prefix(UNFINISHED)
            .tempfile_in(&self.dir)?;
        file.write_all(content)?;
        file.persist(path)?;
        Ok(())
    }

    fn path(&self, digest: &str, extension: &str) -> PathBuf {
        self.dir
            .join(format!("{digest}-{}.{extension}", self.engine))
    }

    /// Removes what was used longest ago, of other engines and what a crash left half-written too, down to the
    /// limits. What is `in_use` is never removed and does not count.
    pub(super) fn prune(&self, in_use: &BTreeSet<String>) -> io::Result<()> {
        let mut spares: Vec<_> = self
            .entries()?
            .into_iter()
            .filter(|(stem, _)| !self.is_in_use(stem, in_use))
            .map(|(_, entry)| entry)
            .collect();
        spares.sort_by_key(|entry| std::cmp::Reverse(entry.used_at));
        let mut bytes = 0;
        for (place, entry) in spares.iter().enumerate() {
            bytes += entry.size_bytes;
            if place < limits::CACHE_SPARES_MAX && bytes <= limits::CACHE_SPARE_BYTES_MAX {
                continue;
            }
            for file in &entry.files {
                match fs::remove_file(file) {
                    // Another host on this folder was faster.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    removed => removed?,
                }
            }
        }
        Ok(())
    }

    fn is_in_use(&self, stem: &str, in_use: &BTreeSet<String>) -> bool {
        stem.strip_suffix(&self.engine)
            .and_then(|rest| rest.strip_suffix('-'))
            .is_some_and(|digest| in_use.contains(digest))
    }

    /// Our files by what they belong to: a component and an engine, or a write that never ended. What else is in
    /// the folder is not ours to remove.
    fn entries(&self) -> io::Result<BTreeMap<String, Entry>> {
        let mut entries: BTreeMap<String, Entry> = BTreeMap::new();
        for file in fs::read_dir(&self.dir)? {
            let file = file?;
            let path = file.path();
            let Some(stem) = file.file_name().to_str().and_then(stem).map(str::to_owned) else {
                continue;
            };
            // One that another host on this folder has just removed or renamed counts no more.
            let Ok(metadata) = file.metadata() else {
                continue;
            };
            let used_at = metadata.modified()?;
            let entry = entries.entry(stem).or_insert(Entry {
                files: Vec::new(),
                size_bytes: 0,
                used_at,
            });
            entry.size_bytes += metadata.len();
            entry.used_at = entry.used_at.max(used_at);
            entry.files.push(path);
        }
        Ok(entries)
    }
}

struct Entry {
    files: Vec<PathBuf>,
    size_bytes: u64,
    used_at: SystemTime,
}

/// What a file of ours belongs to, by its name.
fn stem(file_name: &str) -> Option<&str> {
    if file_name.starts_with(UNFINISHED) {
        return Some(file_name);
    }
    let stem = file_name
        .strip_suffix(".cwasm")
        .or_else(|| file_name.strip_suffix(".sha256"))?;
    let (digest, engine) = stem.split_once('-')?;
    let is_hex = |text: &str, digits: usize| {
        text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    (is_hex(digest, 64) && is_hex(engine, 16)).then_some(stem)
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Of what is not in use the most recently used stay, up to the limit; other people's files always do.
    #[test]
    fn what_was_not_used_lately_goes() {
        let engine = Engine::default();
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("cache");
        let cache = Cache::open(&dir, &engine).unwrap();
        let digest = |number: usize| format!("{number:064x}");
        let set_age = |path: &Path, number: usize| {
            let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(number as u64);
            fs::File::open(path).unwrap().set_modified(time).unwrap();
        };
        let many = limits::CACHE_SPARES_MAX + 10;
        for number in 0..many {
            cache.store(b"code", &digest(number)).unwrap();
            for extension in ["cwasm", "sha256"] {
                set_age(&cache.path(&digest(number), extension), number);
            }
        }
        for foreign in ["wharf.redb", "notes.sha256", ".wharf-unfinished"] {
            fs::write(dir.join(foreign), b"x").unwrap();
            set_age(&dir.join(foreign), 0);
        }
        let in_use = BTreeSet::from([digest(0), digest(1)]);
        cache.prune(&in_use).unwrap();

        let mut left: Vec<_> = fs::read_dir(&dir)
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        let kept = (0..2).chain(many - limits::CACHE_SPARES_MAX..many);
        let mut expected: Vec<_> = kept
            .flat_map(|number| {
                ["cwasm", "sha256"].map(|extension| {
                    let path = cache.path(&digest(number), extension);
                    path.file_name().unwrap().to_str().unwrap().to_owned()
                })
            })
            .chain(["wharf.redb", "notes.sha256"].map(str::to_owned))
            .collect();
        expected.sort();
        assert_eq!(left, expected);
    }
}
