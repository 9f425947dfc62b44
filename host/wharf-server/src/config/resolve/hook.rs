//! Uses of hooks, and their settings.

use std::collections::{BTreeMap, BTreeSet};

use wharf_core::Pairs;

use super::super::file::Use;
use super::super::value::Setting;
use super::super::{HookUse, Plugin, PostEvent};
use super::Resolver;

impl Resolver<'_> {
    pub(super) fn uses(&mut self, at: &str, uses: Vec<Use>) -> Vec<HookUse> {
        uses.into_iter()
            .map(|hook| self.hook_use(at, hook).1)
            .collect()
    }

    /// The name that it is kept under, and the use.
    fn hook_use(&mut self, at: &str, hook: Use) -> (String, HookUse) {
        match hook {
            Use::Plain(plugin) => (
                plugin.clone(),
                HookUse {
                    plugin,
                    settings: Vec::new(),
                },
            ),
            Use::Full(full) => {
                let settings =
                    self.settings(&format!("{at} {:?}: config", full.plugin), &full.config);
                let name = full.name.unwrap_or_else(|| full.plugin.clone());
                (
                    name,
                    HookUse {
                        plugin: full.plugin,
                        settings,
                    },
                )
            }
        }
    }

    pub(super) fn post_event(&mut self, uses: Vec<Use>) -> Vec<PostEvent> {
        let mut names = BTreeSet::new();
        let mut resolved = Vec::new();
        for hook in uses {
            let (name, hook) = self.hook_use("hooks.post-event", hook);
            if !names.insert(name.clone()) {
                self.problem(format!(
                    "hooks.post-event: two are named {name:?}; give one a `name`"
                ));
            }
            resolved.push(PostEvent { name, hook });
        }
        resolved
    }

    pub(super) fn router(
        &mut self,
        hook: Option<Use>,
        has_routes: bool,
        plugins: &[Plugin],
    ) -> Option<HookUse> {
        let at = "hooks.router";
        let (_, hook) = self.hook_use(at, hook?);
        if has_routes {
            self.problem(format!(
                "{at}: it decides in the place of the [[route]] tables: leave out one of the two"
            ));
        }
        let granted = plugins.iter().find(|plugin| plugin.name == hook.plugin);
        if granted.is_some_and(|plugin| !plugin.http.urls.is_empty() || !plugin.folders.is_empty())
        {
            self.problem(format!(
                "{at}: plugin {:?} is granted something, and a router decides on the message alone: take allow-http and \
                 folders out of [plugins.{0}]",
                hook.plugin
            ));
        }
        Some(hook)
    }

    pub(super) fn settings(&mut self, at: &str, settings: &BTreeMap<String, Setting>) -> Pairs {
        let mut pairs = Vec::with_capacity(settings.len());
        for (key, setting) in settings {
            match setting.resolve(self.base) {
                Ok(text) => pairs.push((key.clone(), text)),
                Err(why) => self.problem(format!("{at}.{key}: {why}")),
            }
        }
        pairs
    }
}
