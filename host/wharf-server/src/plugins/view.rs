//! The plugin folder as the API shows it.

use wharf_api::{PluginState, PluginView, PluginsView, SettingView};
use wharf_plugin::{Description, PluginInfo};

use super::{File, Plugins, Standing, Verdict};

impl Plugins {
    pub(crate) fn view(&self) -> PluginsView {
        let known = self.known();
        let plugins = known.files.iter().map(|(name, file)| {
            let running = self.host.plugin(name);
            view(name, file, running.as_ref().map(|plugin| plugin.info()))
        });
        PluginsView {
            dir: self.dir.display().to_string(),
            problem: known.problem.clone(),
            plugins: plugins.collect(),
        }
    }
}

fn view(name: &str, file: &File, running: Option<&PluginInfo>) -> PluginView {
    let told = |verdict: &Verdict| (Some(verdict.reason.clone()), verdict.digest.clone());
    let (state, (reason, file_digest)) = match &file.standing {
        Standing::Loaded => (PluginState::Loaded, (None, None)),
        Standing::Refused(verdict) => (PluginState::Refused, told(verdict)),
        Standing::Held(verdict) => (PluginState::Held, told(verdict)),
        Standing::Missing => {
            let reason = "the file is gone; the next start would miss it";
            (PluginState::Missing, (Some(reason.to_owned()), None))
        }
    };
    let description = running.and_then(|info| info.description.as_ref());
    PluginView {
        name: name.to_owned(),
        file: file.path.display().to_string(),
        state,
        reason,
        file_digest,
        digest: running.map(|info| info.digest.clone()),
        size_bytes: running.map(|info| info.size_bytes),
        version: description.map(|d| d.version.clone()),
        summary: description.map(|d| d.summary.clone()),
        hooks: running.map(hooks).unwrap_or_default(),
        imports: running.map(|info| info.imports.clone()).unwrap_or_default(),
        settings: description.map(settings).unwrap_or_default(),
    }
}

fn hooks(info: &PluginInfo) -> Vec<String> {
    info.hooks.iter().map(ToString::to_string).collect()
}

pub(super) fn settings(description: &Description) -> Vec<SettingView> {
    let settings = description.settings.iter().map(|setting| SettingView {
        key: setting.key.clone(),
        doc: setting.doc.clone(),
        required: setting.required,
        secret: setting.secret,
        default: setting.default.clone(),
    });
    settings.collect()
}
