//! The plugin folder: loaded at start, shown by the API.

use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;

use wharf_api::{PluginView, PluginsView, RefusedPluginView, SettingView};
use wharf_plugin::{Grants, Host, Plugin};

use crate::config::Config;
use crate::degraded::Degraded;
use crate::egress::{Client, PluginSender};
use crate::server::{ServeError, chain};

/// The plugin folder, loaded.
pub(crate) struct Plugins {
    pub(crate) host: Host,
    pub(crate) view: PluginsView,
}

impl Plugins {
    pub(crate) async fn load(config: &Config, client: &Arc<Client>) -> Result<Self, ServeError> {
        let sender = PluginSender {
            client: Arc::clone(client),
        };
        let mut options = wharf_plugin::Options {
            cache_dir: Some(config.plugin_cache_dir.clone()),
            http: Some(Arc::new(sender)),
            ..wharf_plugin::Options::default()
        };
        if let Some(most) = config.instances_max {
            options.instances_max = most;
        }
        let host = Host::new(options).map_err(ServeError::Engine)?;
        let loaded = host
            .load_dir(&config.plugin_dir, |name| grants(config, name))
            .await;
        let mut refused = Vec::new();
        for file in loaded {
            match file {
                Ok(info) => {
                    tracing::info!(plugin = info.name, digest = info.digest, hooks = ?info.hooks, "plugin loaded")
                }
                Err(error) => {
                    tracing::error!(file = %error.path.display(), error = &error as &dyn std::error::Error, "plugin refused");
                    refused.push(RefusedPluginView {
                        file: error.path.display().to_string(),
                        reason: chain(&error),
                    });
                }
            }
        }
        let view = PluginsView {
            plugins: host.plugins().iter().map(view).collect(),
            refused,
        };
        Ok(Self { host, view })
    }

    /// Tells what was refused.
    pub(crate) fn report(&self, degraded: &Degraded) {
        for refused in &self.view.refused {
            degraded.set(
                &format!("plugin file {}", refused.file),
                refused.reason.clone(),
            );
        }
    }

    /// A plugin by name; or why it is not there.
    pub(crate) fn plugin(&self, name: &str) -> Result<Plugin, String> {
        if let Some(plugin) = self.host.plugin(name) {
            return Ok(plugin);
        }
        let file = format!("{name}.wasm");
        let refused = self
            .view
            .refused
            .iter()
            .find(|refused| Path::new(&refused.file).file_name() == Some(OsStr::new(&file)));
        Err(match refused {
            Some(refused) => format!("plugin {name:?} was refused: {}", refused.reason),
            None => format!("there is no plugin {name:?} in the plugin folder"),
        })
    }
}

fn grants(config: &Config, name: &str) -> Grants {
    let mut grants = Grants::default();
    let Some(plugin) = config.plugins.iter().find(|plugin| plugin.name == name) else {
        return grants;
    };
    if let Some(timeout) = plugin.timeout {
        grants.timeout = timeout;
    }
    if let Some(bytes) = plugin.memory_bytes_max {
        grants.memory_max_bytes = bytes;
    }
    if let Some(instances) = plugin.instances_max {
        grants.instances_max = instances;
    }
    if let Some(bytes) = plugin.output_bytes_max {
        grants.output_max_bytes = bytes;
    }
    if let Some(lines) = plugin.log_lines_per_second {
        grants.log_lines_per_second = lines;
    }
    if let Some(calls) = plugin.http_calls_max {
        grants.http_calls_max = calls;
    }
    grants.http = (!plugin.http.urls.is_empty()).then(|| plugin.http.clone());
    grants.folders = plugin.folders.clone();
    grants.sha256 = plugin.sha256.clone();
    grants
}

fn view(info: &wharf_plugin::PluginInfo) -> PluginView {
    let description = info.description.as_ref();
    PluginView {
        name: info.name.clone(),
        version: description.map(|d| d.version.clone()),
        summary: description.map(|d| d.summary.clone()),
        hooks: info.hooks.iter().map(ToString::to_string).collect(),
        imports: info.imports.clone(),
        digest: info.digest.clone(),
        size_bytes: info.size_bytes,
        settings: description
            .map(|d| d.settings.as_slice())
            .unwrap_or_default()
            .iter()
            .map(|setting| SettingView {
                key: setting.key.clone(),
                doc: setting.doc.clone(),
                required: setting.required,
                secret: setting.secret,
                default: setting.default.clone(),
            })
            .collect(),
    }
}
