//! `wharf plugin`

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use wharf_api::{ImportView, PluginCheckView, PluginView, SettingView};
use wharf_server::config::{self, Overrides};
use wharf_server::plugins;

use crate::arguments::{PluginCheck, PluginList};
use crate::command::client;
use crate::failure::Failure;
use crate::output;

/// The configuration that is looked for where none is named.
const CONFIG: &str = "wharf.toml";

pub(crate) fn list(arguments: &PluginList) -> Result<(), Failure> {
    let view = client(&arguments.host).plugins()?;
    if arguments.json {
        return output::json(&view);
    }
    let rows: Vec<Vec<String>> = view.plugins.iter().map(row).collect();
    output::text(&output::table(
        &["NAME", "STATE", "VERSION", "HOOKS", "SIZE", "DIGEST", ""],
        &rows,
    ))?;
    if let Some(problem) = &view.problem {
        output::text(&format!("{}: {problem}", view.dir))?;
    }
    for plugin in &view.plugins {
        if let Some(reason) = &plugin.reason {
            let digest = plugin.file_digest.as_deref();
            let digest = digest.map_or(String::new(), |digest| format!(" ({})", short(digest)));
            let state = plugin.state.as_str();
            output::text(&format!("{state}: {}{digest}: {reason}", plugin.file))?;
        }
    }
    Ok(())
}

fn row(plugin: &PluginView) -> Vec<String> {
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    vec![
        plugin.name.clone(),
        plugin.state.as_str().to_owned(),
        or_none(plugin.version.clone()),
        or_none(Some(plugin.hooks.join(",")).filter(|hooks| !hooks.is_empty())),
        or_none(plugin.size_bytes.map(size)),
        or_none(plugin.digest.as_deref().map(short)),
        plugin.summary.clone().unwrap_or_default(),
    ]
}

pub(crate) fn check(arguments: &PluginCheck) -> Result<(), Failure> {
    let path = match &arguments.config {
        Some(path) => Some(path.clone()),
        None => Some(PathBuf::from(CONFIG)).filter(|path| path.exists()),
    };
    let config = path.as_deref().map(load).transpose()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")
        .map_err(Failure::failed)?;
    let view = runtime
        .block_on(plugins::check(&arguments.file, config.as_ref()))
        .map_err(Failure::failed)?;
    match arguments.json {
        true => output::json(&view)?,
        false => output::text(&text(&view))?,
    }
    match view.problem {
        None => Ok(()),
        Some(problem) => Err(Failure::failed(anyhow::anyhow!(problem))
            .hint("put it right, then run `wharf plugin check` again")),
    }
}

fn load(path: &Path) -> Result<config::Config, Failure> {
    let overrides = Overrides::default();
    config::load(path, overrides).map_err(|e| Failure::failed(e).hint("wharf config check"))
}

/// What was found out, a line each; why it would not load is the failure.
fn text(view: &PluginCheckView) -> String {
    let mut lines = vec![format!("{}: plugin {:?}", view.file, view.name)];
    let mut line = |key: &str, value: Option<String>| {
        lines.extend(value.map(|value| format!("{key:<12}{value}")));
    };
    line("digest", view.digest.clone());
    line("size", view.size_bytes.map(size));
    line("version", view.version.clone());
    line("summary", view.summary.clone());
    line(
        "hooks",
        Some(view.hooks.join(", ")).filter(|hooks| !hooks.is_empty()),
    );
    for (place, import) in view.imports.iter().enumerate() {
        line(
            if place == 0 { "imports" } else { "" },
            Some(import_text(import)),
        );
    }
    for (place, setting) in view.settings.iter().enumerate() {
        line(
            if place == 0 { "settings" } else { "" },
            Some(setting_text(setting)),
        );
    }
    lines.join("\n")
}

fn import_text(import: &ImportView) -> String {
    let by = import
        .by
        .as_deref()
        .map_or(String::new(), |by| format!(": {by}"));
    format!("{} ({}{by})", import.name, import.met.as_str())
}

fn setting_text(setting: &SettingView) -> String {
    let mut marks = Vec::new();
    if setting.required {
        marks.push("required".to_owned());
    }
    if setting.secret {
        marks.push("secret".to_owned());
    }
    marks.extend(
        setting
            .default
            .as_ref()
            .map(|text| format!("default {text}")),
    );
    let marks = match marks.as_slice() {
        [] => String::new(),
        marks => format!(" ({})", marks.join(", ")),
    };
    format!("{}{marks}: {}", setting.key, setting.doc)
}

fn size(bytes: u64) -> String {
    format!("{} KiB", bytes.div_ceil(1024))
}

/// As much of a digest as people read.
fn short(digest: &str) -> String {
    digest.chars().take(12).collect()
}
