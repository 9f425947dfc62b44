//! The plugin files that a configuration names. A host starts without them, degraded, and the deliveries wait;
//! `wharf config check` calls them problems.

use super::nearest::nearest;
use super::{Config, HookUse};
use crate::plugins;

/// What names a plugin that has no file in the plugin folder, one sentence each.
#[must_use]
pub fn check_plugins(config: &Config) -> Vec<String> {
    let named = named(config);
    if named.is_empty() {
        return Vec::new();
    }
    let dir = config.plugin_dir.display();
    let files = match plugins::names(&config.plugin_dir) {
        Ok(files) => files,
        Err(e) => return vec![format!("plugins.dir: {dir} cannot be read: {e}")],
    };
    named
        .into_iter()
        .filter(|(_, name)| !files.contains(*name))
        .map(|(at, name)| {
            let near = nearest(name, files.iter().map(String::as_str))
                .map(|near| format!("; did you mean {near:?}?"))
                .unwrap_or_default();
            format!("{at}: there is no file \"{name}.wasm\" in {dir}{near}")
        })
        .collect()
}

/// Logs the tables of plugins that have no file: what they grant, and above all what they pin, has no effect.
/// `wharf config check` keeps no log and names them as problems.
pub(super) fn warn_of_idle_tables(config: &Config) {
    // A folder that cannot be read is told by what loads from it.
    let Ok(files) = plugins::names(&config.plugin_dir) else {
        return;
    };
    for plugin in &config.plugins {
        if !files.contains(&plugin.name) {
            tracing::warn!(
                plugin = plugin.name,
                "a table of the configuration has no plugin file"
            );
        }
    }
}

/// Every place that names a plugin, and the name.
fn named(config: &Config) -> Vec<(String, &str)> {
    let mut named = Vec::new();
    for channel in &config.channels {
        let at = format!("channel {:?}", channel.name.as_str());
        named.push((format!("{at}: plugin"), channel.send.plugin.as_str()));
        for (key, hooks) in [
            ("enrich", &channel.enrich),
            ("convert", &channel.convert),
            ("annotate", &channel.annotate),
        ] {
            named.extend(place(&format!("{at}: {key}"), hooks));
        }
        named.extend(place(&format!("{at}: receive"), &channel.receive));
    }
    let hooks = config.post_event.iter().map(|told| &told.hook);
    named.extend(place("hooks.post-event", hooks));
    named.extend(place("hooks.router", &config.router));
    let tables = config.plugins.iter();
    named.extend(tables.map(|plugin| (format!("plugins.{}", plugin.name), plugin.name.as_str())));
    named
}

fn place<'a>(
    at: &str,
    hooks: impl IntoIterator<Item = &'a HookUse>,
) -> impl Iterator<Item = (String, &'a str)> {
    hooks
        .into_iter()
        .map(move |hook| (at.to_owned(), hook.plugin.as_str()))
}
