//! `folders` of `[plugins.NAME]`: that they are there, and that no plugin is given what the host runs on.

use std::path::{Path, PathBuf};

use wharf_plugin::Folder;

use super::super::file::{self, beside};
use super::super::{Config, Plugin};
use super::Resolver;

impl Resolver<'_> {
    pub(super) fn folders(&mut self, plugin: &str, folders: Vec<file::Folder>) -> Vec<Folder> {
        let mut resolved: Vec<Folder> = Vec::new();
        for folder in folders {
            let file::Folder { path, at, write } = folder;
            let named = format!("plugins.{plugin}.folders: {:?}", path.display().to_string());
            if !is_absolute(&at) {
                self.problem(format!(
                    "{named}: at = {at:?} takes an absolute path such as \"/out\""
                ));
            }
            if resolved.iter().any(|known| known.at == at) {
                self.problem(format!("{named}: there are two at {at:?}"));
            }
            let path = beside(self.base, &path);
            match std::fs::metadata(&path) {
                Ok(found) if found.is_dir() => {}
                Ok(_) => self.problem(format!("{named} is no folder")),
                Err(e) => self.problem(format!(
                    "{named} cannot be opened: {e}; make it, or change the path"
                )),
            }
            resolved.push(Folder {
                path,
                at,
                is_writable: write,
            });
        }
        resolved
    }

    /// What a plugin can write must hold neither the configuration nor what is run: it could grant itself more.
    pub(super) fn check_folders(&mut self, config: &Config) {
        let guarded = [
            ("wharf.toml", Some(self.base)),
            ("the plugin folder", Some(config.plugin_dir.as_path())),
            ("the cache", Some(config.plugin_cache_dir.as_path())),
            ("the store", config.store_path.parent()),
        ];
        let guarded: Vec<_> = guarded
            .into_iter()
            .filter_map(|(what, path)| Some((what, real(path?)?)))
            .collect();
        for Plugin { name, folders, .. } in &config.plugins {
            for folder in folders.iter().filter(|folder| folder.is_writable) {
                let Some(writable) = real(&folder.path) else {
                    continue;
                };
                let inside = guarded.iter().find(|(_, path)| path.starts_with(&writable));
                if let Some((what, _)) = inside {
                    let path = folder.path.display().to_string();
                    self.problem(format!(
                        "plugins.{name}.folders: {path:?} holds {what}, which no plugin may change; give it a folder of \
                         its own, or take `write` away"
                    ));
                }
            }
        }
    }
}

/// As guests write paths, whatever this machine's are like.
fn is_absolute(at: &str) -> bool {
    at.strip_prefix('/')
        .is_some_and(|rest| rest.split('/').all(|part| !matches!(part, "" | "." | "..")))
}

/// The path without links; none of what is not there yet.
fn real(path: &Path) -> Option<PathBuf> {
    let path = if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    };
    path.canonicalize().ok()
}

#[cfg(test)]
mod tests {
    use super::is_absolute;

    #[test]
    fn a_place_is_absolute_and_plain() {
        for good in ["/out", "/var/out", "/a b"] {
            assert!(is_absolute(good), "{good}");
        }
        for bad in [
            "", "/", "out", "./out", "/out/", "/a//b", "/../etc", "/a/./b",
        ] {
            assert!(!is_absolute(bad), "{bad}");
        }
    }
}
