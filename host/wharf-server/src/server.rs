//! Starts everything in order, runs it, and stops it in order: refuse, drain, settle, close.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use wharf_api::{Named, PluginView, PluginsView, RefusedPluginView, SettingView};
use wharf_core::egress::AddressGuard;
use wharf_plugin::{Binding, Grants, Host};
use wharf_store::Store;

use crate::clock;
use crate::config::{self, Config};
use crate::dispatch::{self, Dispatcher};
use crate::egress;
use crate::http::{self, App, MessageIds, Phase};
use crate::post_event::Teller;

/// Why the server did not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The store cannot be opened.
    #[error("cannot open the store {path}")]
    Store {
        /// Its file.
        path: String,
        /// Why.
        #[source]
        source: wharf_store::OpenError,
    },
    /// The plugin engine cannot be made.
    #[error("cannot start the plugin engine")]
    Engine(#[source] wharf_plugin::EngineError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A commit failed. What was in it is on disk or not; the next start finds out.
    #[error(
        "a commit failed, so the process ends: what was in it may or may not be on disk, and nothing that was acknowledged is lost; free the cause and start again"
    )]
    CommitFailed,
    /// The HTTP listener broke.
    #[error("the listener failed")]
    Http(#[source] std::io::Error),
}

/// Runs the host until `stop` is cancelled or its store fails. `listening` is told the address once work is taken.
pub async fn serve(
    config: Config,
    stop: CancellationToken,
    listening: impl FnOnce(SocketAddr),
) -> Result<(), ServeError> {
    let store = open(&config).await?;
    let plugins = Plugins::load(&config).await?;
    let listener = TcpListener::bind(config.listen)
        .await
        .map_err(|source| ServeError::Listen {
            address: config.listen,
            source,
        })?;
    let address = listener.local_addr().map_err(|source| ServeError::Listen {
        address: config.listen,
        source,
    })?;

    let mut degraded = plugins.problems();
    let client = Arc::new(egress::Client::new(egress::Options {
        guard: AddressGuard {
            allowed: config.allow_addresses.clone(),
        },
    }));
    let mut workers = Workers::default();
    workers.promoter.spawn(dispatch::promote(
        store.clone(),
        workers.stop_promoter.clone(),
    ));
    for channel in &config.channels {
        match dispatch::bind(channel, &plugins.host, &config.plugins, &client) {
            Ok(channel) => {
                let dispatcher = Dispatcher {
                    store: store.clone(),
                    channel: Arc::new(channel),
                };
                workers
                    .dispatchers
                    .spawn(dispatcher.run(workers.stop_dispatch.clone()));
            }
            Err(error) => {
                tracing::error!(channel = %channel.name, error = &error as &dyn std::error::Error, "a channel cannot deliver");
                degraded.push(named(format!("channel {}", channel.name), &error));
            }
        }
    }
    for hook in &config.post_event {
        match bind_post_event(hook, &plugins.host, &store) {
            Ok(teller) => {
                workers
                    .tellers
                    .spawn(teller.run(workers.stop_tellers.clone()));
            }
            Err(reason) => {
                tracing::error!(
                    hook = hook.name,
                    reason,
                    "a post-event hook cannot be called"
                );
                degraded.push(Named {
                    name: format!("post-event {}", hook.name),
                    reason,
                });
            }
        }
    }

    let app = Arc::new(App {
        store: store.clone(),
        routes: config.routes.clone(),
        token: config.token.clone(),
        payload_bytes_max: config.payload_bytes_max,
        ids: MessageIds::new(),
        plugins: plugins.view,
        degraded,
        phase: Phase::default(),
    });
    let refuse = CancellationToken::new();
    let mut http = tokio::spawn(http::serve(listener, Arc::clone(&app), refuse.clone()));
    listening(address);

    let failed = tokio::select! {
        () = stop.cancelled() => false,
        reason = store.failed() => {
            tracing::error!(error = &reason as &dyn std::error::Error, "the store has failed");
            app.phase.fail();
            true
        }
    };
    tracing::info!(failed, "stopping");
    app.phase.drain();
    refuse.cancel();
    let deadline = Instant::now() + config.drain_timeout;
    if timeout_at(deadline, workers.drain(failed)).await.is_err() {
        tracing::warn!(
            timeout_ms = config.drain_timeout.as_millis() as u64,
            "not everything in flight ended in time; it is tried again at the next start"
        );
    }
    let http = match timeout_at(deadline, &mut http).await {
        Ok(ended) => ended.unwrap_or_else(|e| Err(std::io::Error::other(e))),
        Err(_elapsed) => {
            http.abort();
            tracing::warn!("a client did not finish its request in time; it got no answer");
            Ok(())
        }
    };
    let closed = store.close().await;
    if let Err(error) = &closed {
        tracing::error!(
            error = error as &dyn std::error::Error,
            "the store was not closed cleanly"
        );
    }
    if failed || closed.is_err() {
        return Err(ServeError::CommitFailed);
    }
    http.map_err(ServeError::Http)
}

async fn open(config: &Config) -> Result<Store, ServeError> {
    let path = config.store_path.clone();
    let opened = tokio::task::spawn_blocking(move || {
        Store::open(&path, &wharf_store::Options::new(clock::random_bytes()))
    });
    match opened.await {
        Ok(result) => result.map_err(|source| ServeError::Store {
            path: config.store_path.display().to_string(),
            source,
        }),
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

/// The tasks, in groups that stop one after the other.
#[derive(Default)]
struct Workers {
    promoter: JoinSet<()>,
    stop_promoter: CancellationToken,
    dispatchers: JoinSet<()>,
    stop_dispatch: CancellationToken,
    tellers: JoinSet<()>,
    stop_tellers: CancellationToken,
}

impl Workers {
    /// Stops taking work, waits for what is in flight, then lets the hooks hear of it.
    async fn drain(&mut self, store_failed: bool) {
        self.stop_promoter.cancel();
        self.stop_dispatch.cancel();
        if store_failed {
            // Nothing can be recorded any more; what is in flight is tried again at the next start.
            self.dispatchers.abort_all();
        }
        while self.dispatchers.join_next().await.is_some() {}
        self.stop_tellers.cancel();
        while self.tellers.join_next().await.is_some() {}
        while self.promoter.join_next().await.is_some() {}
    }
}

/// The plugin folder, loaded.
struct Plugins {
    host: Host,
    view: PluginsView,
}

impl Plugins {
    async fn load(config: &Config) -> Result<Self, ServeError> {
        let mut options = wharf_plugin::Options {
            cache_dir: Some(config.plugin_cache_dir.clone()),
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

    fn problems(&self) -> Vec<Named> {
        self.view
            .refused
            .iter()
            .map(|refused| Named {
                name: format!("plugin file {}", refused.file),
                reason: refused.reason.clone(),
            })
            .collect()
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

fn bind_post_event(
    hook: &config::PostEvent,
    plugins: &Host,
    store: &Store,
) -> Result<Teller, String> {
    let plugin = plugins.plugin(&hook.hook.plugin).ok_or_else(|| {
        format!(
            "there is no plugin {:?} in the plugin folder",
            hook.hook.plugin
        )
    })?;
    let binding = Binding {
        name: format!("post-event {}", hook.name),
        settings: hook.hook.settings.clone(),
    };
    let bound = plugin.bind_post_event(binding).map_err(|e| chain(&e))?;
    Ok(Teller {
        name: hook.name.clone(),
        hook: bound,
        store: store.clone(),
    })
}

fn named(name: String, error: &(dyn std::error::Error + 'static)) -> Named {
    Named {
        name,
        reason: chain(error),
    }
}

/// An error and its causes in one line.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
