//! What uses plugins: channels, post-event hooks and the router, each bound to the versions that run, and bound anew as a whole.

use std::sync::Arc;

use tokio::sync::watch;
use wharf_plugin::{Binding, Plugin, PostEvent};

use crate::config::{self, Config, HookUse};
use crate::degraded::Degraded;
use crate::dispatch::{self, Channel};
use crate::egress::Client;
use crate::metrics::Channels;
use crate::routing::BoundRouter;
use crate::server::chain;

/// A plugin by name; or why it is not there.
pub(crate) type Find<'a> = dyn Fn(&str) -> Result<Plugin, String> + 'a;

/// Binds a use to the versions that it finds; or says why it cannot be.
type Bind<T> = dyn Fn(&Find<'_>) -> Result<T, String> + Send + Sync;

/// All of them. Whoever works with one subscribes to it: what it is handed is all of one set of versions.
pub(crate) struct Uses {
    /// In the order of the configuration.
    pub(crate) channels: Vec<Use<Arc<Channel>>>,
    /// What each of them is made from.
    configured: Vec<config::Channel>,
    /// In the order of the configuration.
    pub(crate) post_event: Vec<Use<PostEvent>>,
    pub(crate) router: Option<Use<BoundRouter>>,
    grants: Arc<[config::Plugin]>,
    client: Arc<Client>,
    numbers: Channels,
    degraded: Degraded,
}

/// One use of one or several plugins.
pub(crate) struct Use<T> {
    /// As health calls it, such as `channel partner-a`.
    name: String,
    plugins: Vec<String>,
    bind: Box<Bind<T>>,
    /// None: it cannot be bound.
    current: watch::Sender<Option<T>>,
}

impl Uses {
    /// None of them is bound yet.
    pub(crate) fn new(
        config: &Config,
        client: &Arc<Client>,
        numbers: &Channels,
        degraded: &Degraded,
    ) -> Uses {
        let grants: Arc<[config::Plugin]> = config.plugins.as_slice().into();
        let channels = config.channels.iter();
        Uses {
            channels: channels
                .map(|one| channel(one, &grants, client, numbers))
                .collect(),
            configured: config.channels.clone(),
            post_event: config.post_event.iter().map(post_event).collect(),
            router: config.router.as_ref().map(router),
            grants,
            client: Arc::clone(client),
            numbers: numbers.clone(),
            degraded: degraded.clone(),
        }
    }

    /// Has these channels in the place of those before, and binds what is new of them. A channel that changes is swapped
    /// for whoever works with it. Where one that works would not any more, nothing changes.
    pub(super) fn set_channels(
        &mut self,
        channels: Vec<config::Channel>,
        find: &Find<'_>,
    ) -> Result<Vec<watch::Receiver<Option<Arc<Channel>>>>, String> {
        let mut made = Vec::with_capacity(channels.len());
        for one in &channels {
            let place = self
                .configured
                .iter()
                .position(|before| before.name == one.name);
            let before = place.map(|place| (&self.configured[place], &self.channels[place]));
            made.push(match before {
                Some((configured, _)) if configured == one => None,
                before => {
                    let mut used = channel(one, &self.grants, &self.client, &self.numbers);
                    let bound = used.bind(find);
                    if let Some((_, before)) = before {
                        if let (Err(reason), true) = (&bound, before.works()) {
                            return Err(format!("{} cannot go on like this: {reason}", used.name));
                        }
                        used.current = before.current.clone();
                    }
                    Some((used, bound))
                }
            });
        }
        let configured = std::mem::replace(&mut self.configured, channels);
        let names = configured.into_iter().map(|before| before.name);
        let mut before: Vec<_> = names.zip(std::mem::take(&mut self.channels)).collect();
        for (one, made) in self.configured.iter().zip(made) {
            let used = match made {
                Some((used, bound)) => {
                    used.publish(bound, &self.degraded);
                    used
                }
                None => {
                    let same = before.iter().position(|(name, _)| *name == one.name);
                    before.swap_remove(same.expect("it is as it was")).1
                }
            };
            self.channels.push(used);
        }
        Ok(self.channels.iter().map(Use::subscribe).collect())
    }

    /// Whether anything uses the plugin.
    pub(super) fn has(&self, plugin: &str) -> bool {
        self.channels.iter().any(|used| used.has(plugin))
            || self.post_event.iter().any(|used| used.has(plugin))
            || self.router.iter().any(|used| used.has(plugin))
    }

    /// Binds everything.
    pub(super) fn bind_all(&self, find: &Find<'_>) {
        for used in &self.channels {
            used.publish(used.bind(find), &self.degraded);
        }
        for used in &self.post_event {
            used.publish(used.bind(find), &self.degraded);
        }
        if let Some(used) = &self.router {
            used.publish(used.bind(find), &self.degraded);
        }
    }

    /// Binds anew what uses the plugin, each as a whole. Where a single one that works would not any more, all of them
    /// stay as they are, and the reason is that one's.
    pub(super) fn rebind(&self, plugin: &str, find: &Find<'_>) -> Result<(), String> {
        let channels = rebound(&self.channels, plugin, find)?;
        let post_event = rebound(&self.post_event, plugin, find)?;
        let router = rebound(self.router.as_slice(), plugin, find)?;
        for (used, bound) in channels {
            used.publish(bound, &self.degraded);
        }
        for (used, bound) in post_event {
            used.publish(bound, &self.degraded);
        }
        for (used, bound) in router {
            used.publish(bound, &self.degraded);
        }
        Ok(())
    }
}

type Rebound<'a, T> = Vec<(&'a Use<T>, Result<T, String>)>;

fn rebound<'a, T>(
    uses: &'a [Use<T>],
    plugin: &str,
    find: &Find<'_>,
) -> Result<Rebound<'a, T>, String> {
    let mut rebound = Vec::new();
    for used in uses.iter().filter(|used| used.has(plugin)) {
        let bound = used.bind(find);
        match bound {
            Err(reason) if used.works() => {
                return Err(format!("{} cannot go on with it: {reason}", used.name));
            }
            bound => rebound.push((used, bound)),
        }
    }
    Ok(rebound)
}

impl<T> Use<T> {
    fn new(
        name: String,
        plugins: Vec<String>,
        bind: impl Fn(&Find<'_>) -> Result<T, String> + Send + Sync + 'static,
    ) -> Use<T> {
        Use {
            name,
            plugins,
            bind: Box::new(bind),
            current: watch::Sender::new(None),
        }
    }

    /// What it is bound to, now and after each swap.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Option<T>> {
        self.current.subscribe()
    }

    fn has(&self, plugin: &str) -> bool {
        self.plugins.iter().any(|name| name == plugin)
    }

    fn works(&self) -> bool {
        self.current.borrow().is_some()
    }

    fn bind(&self, find: &Find<'_>) -> Result<T, String> {
        (self.bind)(find)
    }

    /// Puts it into use in one step. What has begun with the last one keeps that.
    fn publish(&self, bound: Result<T, String>, degraded: &Degraded) {
        match bound {
            Ok(bound) => {
                if degraded.clear(&self.name) {
                    tracing::info!(used_by = self.name, "plugins bound: it can work now");
                }
                self.current.send_replace(Some(bound));
            }
            Err(reason) => {
                if degraded.set(&self.name, &*reason) {
                    tracing::error!(
                        used_by = self.name,
                        reason,
                        "plugins cannot be bound: it waits"
                    );
                }
                self.current.send_replace(None);
            }
        }
    }
}

fn channel(
    channel: &config::Channel,
    grants: &Arc<[config::Plugin]>,
    client: &Arc<Client>,
    numbers: &Channels,
) -> Use<Arc<Channel>> {
    let hooks = [&channel.enrich, &channel.convert, &channel.annotate];
    let hooks = hooks.into_iter().flatten().chain([&channel.send]);
    let hooks = hooks.chain(&channel.receive);
    let plugins = hooks.map(plugin_name).collect();
    // What is counted outlives the versions.
    let numbers = numbers.of(channel.name.as_str());
    let (channel, grants, client) = (channel.clone(), Arc::clone(grants), Arc::clone(client));
    Use::new(
        format!("channel {}", channel.name),
        plugins,
        move |find| match dispatch::bind(&channel, find, &grants, &client, &numbers) {
            Ok(channel) => Ok(Arc::new(channel)),
            Err(error) => Err(chain(&error)),
        },
    )
}

fn post_event(told: &config::PostEvent) -> Use<PostEvent> {
    let name = format!("post-event {}", told.name);
    let binding = Binding {
        name: name.clone(),
        settings: told.hook.settings.clone(),
    };
    let plugin = plugin_name(&told.hook);
    Use::new(name, vec![plugin.clone()], move |find| {
        let bound = find(&plugin)?.bind_post_event(binding.clone());
        bound.map_err(|error| chain(&error))
    })
}

fn router(hook: &HookUse) -> Use<BoundRouter> {
    let (plugins, hook) = (vec![plugin_name(hook)], hook.clone());
    Use::new("router".to_owned(), plugins, move |find| {
        bind_router(&hook, find)
    })
}

/// Binds the router.
pub(crate) fn bind_router(hook: &HookUse, find: &Find<'_>) -> Result<BoundRouter, String> {
    let binding = Binding {
        name: "router".to_owned(),
        settings: hook.settings.clone(),
    };
    let bound = find(&hook.plugin)?.bind_router(binding);
    bound.map(BoundRouter).map_err(|error| chain(&error))
}

fn plugin_name(hook: &HookUse) -> String {
    hook.plugin.clone()
}
