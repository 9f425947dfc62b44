//! Plugins on the wire.

use serde::{Deserialize, Serialize};

/// The plugin folder as the host sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PluginsView {
    /// The loaded ones.
    pub plugins: Vec<PluginView>,
    /// The files that were refused.
    pub refused: Vec<RefusedPluginView>,
}

/// A loaded plugin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PluginView {
    /// Its name: the file's without `.wasm`.
    pub name: String,
    /// Its own version, where it tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Its own summary, where it tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// The hooks that it exports.
    pub hooks: Vec<String>,
    /// What it imports.
    pub imports: Vec<String>,
    /// SHA-256 of the file, in hex.
    pub digest: String,
    /// Size of the file.
    pub size_bytes: u64,
    /// The settings that it reads.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub settings: Vec<SettingView>,
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

/// A file that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedPluginView {
    /// The file.
    pub file: String,
    /// Why.
    pub reason: String,
}
