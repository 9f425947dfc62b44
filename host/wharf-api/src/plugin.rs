//! Plugins on the wire.

use serde::{Deserialize, Serialize};

/// The plugin folder as the host sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PluginsView {
    /// The folder.
    pub dir: String,
    /// Why it cannot be read; what runs goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// One for each file, and for each one that is gone and still runs, by name.
    pub plugins: Vec<PluginView>,
}

/// A file of the folder, and what runs under its name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PluginView {
    /// The plugin's name: the file's without `.wasm`.
    pub name: String,
    /// The file.
    pub file: String,
    /// How the file stands.
    pub state: PluginState,
    /// Why the file does not run, or is not there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// SHA-256 of a file that does not run, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_digest: Option<String>,
    /// SHA-256 of what runs, in hex. What follows is about that. None: nothing runs under this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Its size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
    /// Its own version, where it tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Its own summary, where it tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// The hooks that it exports.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<String>,
    /// What it imports.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub imports: Vec<String>,
    /// The settings that it reads.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub settings: Vec<SettingView>,
}

/// How a plugin file stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PluginState {
    /// It runs.
    Loaded,
    /// It is no plugin of this host. The last good version of its name runs, where there was one.
    Refused,
    /// It wants more than it was granted. The last version of its name runs.
    Held,
    /// It is gone. What was in it runs.
    Missing,
}

impl PluginState {
    /// Its name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            PluginState::Loaded => "loaded",
            PluginState::Refused => "refused",
            PluginState::Held => "held",
            PluginState::Missing => "missing",
        }
    }
}

/// What loading a file would say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PluginCheckView {
    /// The plugin's name: the file's without `.wasm`.
    pub name: String,
    /// The file.
    pub file: String,
    /// Why it would not load. None: it would.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// SHA-256 of the file, in hex, where it could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Its size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
    /// Its own version, where it tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Its own summary, where it tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// The hooks that it exports.
    pub hooks: Vec<String>,
    /// What it imports.
    pub imports: Vec<ImportView>,
    /// The settings that it reads.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub settings: Vec<SettingView>,
}

/// An import of a plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportView {
    /// Its full name.
    pub name: String,
    /// How it is met.
    pub met: ImportMet,
    /// What grants it, or what would help.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// How an import is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImportMet {
    /// Every plugin has it.
    Baseline,
    /// The configuration grants it.
    Granted,
    /// The configuration could grant it.
    Ungranted,
    /// No plugin has it.
    Refused,
}

impl ImportMet {
    /// Its name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            ImportMet::Baseline => "baseline",
            ImportMet::Granted => "granted",
            ImportMet::Ungranted => "ungranted",
            ImportMet::Refused => "refused",
        }
    }
}

/// A setting that a plugin reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingView {
    /// Its key.
    pub key: String,
    /// What it means.
    pub doc: String,
    /// Whether it must be there.
    pub required: bool,
    /// Whether it is never shown.
    pub secret: bool,
    /// What is used without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
}
