//! `wharf plugin check`: what loading a file would say, without a host.

use std::path::Path;

use wharf_api::{ImportMet, ImportView, PluginCheckView};
use wharf_plugin::{Grants, Host, Import, Options, Plugin};

use super::{compile, grants, view};
use crate::config::Config;
use crate::server::{ServeError, chain};

/// Loads a file under the grants that the configuration gives its name, its trial run included, and says what was
/// found out. Nothing is kept, and nothing runs afterwards.
pub async fn check(file: &Path, config: Option<&Config>) -> Result<PluginCheckView, ServeError> {
    let host = Host::new(Options {
        compile: compile::child(config),
        instances_max: 1,
        ..Options::default()
    })
    .map_err(ServeError::Engine)?;
    let name = file.file_stem().unwrap_or_default().to_string_lossy();
    let granted = config.map_or_else(Grants::default, |config| grants(&config.plugins, &name));
    let (info, found, problem) = match host.prepare(file, |_| granted.clone()).await {
        Ok(plugin) => (Some(plugin.info().clone()), plugin.findings(), None),
        Err(error) => (None, error.findings.clone(), Some(chain(&error))),
    };
    let description = info.and_then(|info| info.description);
    let import = |import: String| {
        let (met, by) = met(granted.import(&import, &name));
        ImportView {
            name: import,
            met,
            by,
        }
    };
    Ok(PluginCheckView {
        file: file.display().to_string(),
        problem,
        digest: found.digest().map(str::to_owned),
        size_bytes: found.file.as_ref().map(|(_, size_bytes)| *size_bytes),
        hooks: found.hooks.iter().map(ToString::to_string).collect(),
        imports: found.imports.into_iter().map(import).collect(),
        settings: description.as_ref().map(view::settings).unwrap_or_default(),
        version: description.as_ref().map(|d| d.version.clone()),
        summary: description.map(|d| d.summary),
        name: name.into_owned(),
    })
}

/// Loads a plugin of the folder as a host would, to be asked something without one.
pub(crate) async fn load(config: &Config, name: &str) -> Result<Plugin, String> {
    let host = Host::new(Options {
        cache_dir: Some(config.plugin_cache_dir.clone()),
        compile: compile::child(Some(config)),
        instances_max: 1,
        ..Options::default()
    });
    let host = host.map_err(|error| chain(&error))?;
    let file = config.plugin_dir.join(format!("{name}.wasm"));
    let loaded = host.prepare(&file, |name| grants(&config.plugins, name));
    loaded.await.map_err(|error| chain(&error))
}

fn met(import: Import) -> (ImportMet, Option<String>) {
    match import {
        Import::Baseline => (ImportMet::Baseline, None),
        Import::Granted(line) => (ImportMet::Granted, Some(line.into_owned())),
        Import::Ungranted(help) => (ImportMet::Ungranted, Some(help.into_owned())),
        Import::Refused(help) => (ImportMet::Refused, Some(help.into_owned())),
    }
}
