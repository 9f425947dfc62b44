//! The one task that changes which channels and routes run.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;
use wharf_api::ReloadView;
use wharf_core::{ChannelName, Status};
use wharf_store::Store;

use super::difference::difference;
use super::{Ask, Live, ReloadError, Wanted, routes_file};
use crate::config::{Channel, Config, Problems, Source};
use crate::degraded::Degraded;
use crate::dispatch::{self, Dispatchers};
use crate::http::Shown;
use crate::pauses::Pauses;
use crate::plugins::SetChannels;
use crate::routing::{BoundRouter, Router, Routing};
use crate::server::chain;

/// A channel as it is bound, now and after each swap.
pub(crate) type Bound = watch::Receiver<Option<Arc<dispatch::Channel>>>;

/// What a [`Reloader`] works with.
pub(crate) struct Options {
    pub(crate) source: Source,
    pub(crate) config: Config,
    pub(crate) store: Store,
    pub(crate) degraded: Degraded,
    pub(crate) pauses: Arc<Pauses>,
    pub(crate) dispatchers: Dispatchers,
    /// To the keeper of the plugins.
    pub(crate) keeper: mpsc::Sender<SetChannels>,
    /// Where a router decides: what it is bound to.
    pub(crate) router: Option<watch::Receiver<Option<BoundRouter>>>,
    pub(crate) asks: mpsc::Receiver<Ask>,
    /// SIGHUP.
    pub(crate) hang_up: Arc<Notify>,
}

/// Runs the channels, and changes which there are.
pub(crate) struct Reloader {
    options: Options,
    runtime: Handle,
    live: watch::Sender<Arc<Live>>,
}

impl Reloader {
    /// Starts the channels of the configuration; `bound` has them in its order.
    pub(crate) fn start(mut options: Options, bound: Vec<Bound>) -> Self {
        let runtime = Handle::current();
        tell_of_unconfigured(&options.config, &options.store, &options.degraded);
        for (channel, bound) in options.config.channels.iter().zip(&bound) {
            options.dispatchers.start(channel, bound);
        }
        let live = live(&options, &options.config, &bound, &runtime);
        Self {
            live: watch::Sender::new(Arc::new(live)),
            options,
            runtime,
        }
    }

    /// What runs, now and after each change.
    pub(crate) fn subscribe(&self) -> watch::Receiver<Arc<Live>> {
        self.live.subscribe()
    }

    /// Runs until `stop`, then until what is in flight has settled. It ends before only where a dispatcher does.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        loop {
            tokio::select! {
                // A stop also ends what dispatchers wait for, and is no reason to leave what is in flight.
                biased;
                () = stop.cancelled() => break,
                () = self.options.dispatchers.lost() => return,
                () = self.options.hang_up.notified() => {
                    // Told in the log; nobody else waits for it.
                    let _ = self.reload(None).await;
                }
                Some(ask) = self.options.asks.recv() => {
                    let changed = match ask.wanted {
                        Wanted::Files => self.reload(ask.by.as_deref()).await,
                        Wanted::Routes(text) => self.put(text, ask.by.as_deref()).await,
                    };
                    // Whoever has gone away does not miss it.
                    let _ = ask.answer.send(changed);
                }
            }
        }
        self.options.asks.close();
        self.options.dispatchers.stop().await;
    }

    async fn reload(&mut self, by: Option<&str>) -> Result<ReloadView, ReloadError> {
        let changed = self.try_reload().await;
        let file = self.options.source.path().display().to_string();
        match &changed {
            Ok(view) => {
                tracing::info!(file, by, changed = ?view.changed, "configuration reloaded");
                if !view.restart_needed.is_empty() {
                    tracing::warn!(file, keys = ?view.restart_needed, "these changes of the configuration take a restart");
                }
            }
            Err(error) => {
                let reason = chain(error);
                tracing::error!(
                    file,
                    by,
                    reason,
                    "the configuration was not reloaded, and what ran goes on"
                );
            }
        }
        changed
    }

    async fn try_reload(&mut self) -> Result<ReloadView, ReloadError> {
        let source = self.options.source.clone();
        let new = blocking(move || source.load()).await?;
        if self.options.config.router != new.router {
            return Err(ReloadError::Router);
        }
        let view = difference(&self.options.config, &new);
        let bound = self.bind(&new.channels).await?;
        let names = |channels: &[Channel]| -> BTreeSet<ChannelName> {
            channels
                .iter()
                .map(|channel| channel.name.clone())
                .collect()
        };
        let (before, after) = (names(&self.options.config.channels), names(&new.channels));
        let Options {
            pauses,
            dispatchers,
            ..
        } = &mut self.options;
        pauses.set_channels(new.channels.iter().map(|channel| &channel.name));
        for (channel, bound) in new.channels.iter().zip(&bound) {
            dispatchers.start(channel, bound);
        }
        self.options.config = Config {
            channels: new.channels,
            routes: new.routes,
            ..self.options.config.clone()
        };
        let live = live(&self.options, &self.options.config, &bound, &self.runtime);
        self.live.send_replace(Arc::new(live));
        for gone in before.difference(&after) {
            self.options.dispatchers.end(gone);
            self.options.degraded.clear(&format!("channel {gone}"));
        }
        tell_of_unconfigured(
            &self.options.config,
            &self.options.store,
            &self.options.degraded,
        );
        Ok(view)
    }

    /// Has the keeper of the plugins bind the channels; where one that works would not any more, nothing changes.
    async fn bind(&self, channels: &[Channel]) -> Result<Vec<Bound>, ReloadError> {
        let (answer, answered) = oneshot::channel();
        let ask = SetChannels {
            channels: channels.to_vec(),
            answer,
        };
        let sent = self.options.keeper.send(ask).await;
        sent.map_err(|_| ReloadError::Stopping)?;
        let bound = answered.await.map_err(|_| ReloadError::Stopping)?;
        bound.map_err(ReloadError::Bind)
    }

    /// Puts routes on disk, and to use. All else stays as it runs, whatever is in the files by now.
    async fn put(&mut self, text: String, by: Option<&str>) -> Result<ReloadView, ReloadError> {
        let source = self.options.source.clone();
        let Some(path) = self.options.config.routes_file.clone() else {
            let file = source.path().display().to_string();
            return Err(ReloadError::NoRoutesFile(file));
        };
        let checked = text.clone();
        let new = blocking(move || source.load_with_routes(&checked)).await?;
        let running = &self.options.config.channels;
        let channels = new.routes.routes.iter().flat_map(|route| &route.channels);
        for name in channels {
            if !running.iter().any(|channel| channel.name == *name) {
                return Err(ReloadError::NotRunning(name.to_string()));
            }
        }
        let file = path.display().to_string();
        let written = tokio::task::spawn_blocking(move || routes_file::write(&path, &text)).await;
        let written = written.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
        written.map_err(|source| ReloadError::Write {
            path: file.clone(),
            source,
        })?;
        let config = Config {
            routes: new.routes,
            ..self.options.config.clone()
        };
        let view = difference(&self.options.config, &config);
        self.options.config = config;
        let bound: Vec<_> = self
            .live
            .borrow()
            .channels
            .iter()
            .map(Shown::bound)
            .collect();
        let live = live(&self.options, &self.options.config, &bound, &self.runtime);
        self.live.send_replace(Arc::new(live));
        tracing::info!(file, by, changed = ?view.changed, "routes put by an operator");
        Ok(view)
    }
}

/// Reads files, which may wait for a disk.
async fn blocking(
    load: impl FnOnce() -> Result<Config, Problems> + Send + 'static,
) -> Result<Config, Problems> {
    match tokio::task::spawn_blocking(load).await {
        Ok(loaded) => loaded,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

fn live(options: &Options, config: &Config, bound: &[Bound], runtime: &Handle) -> Live {
    let shown = config.channels.iter().zip(bound);
    Live {
        channels: shown
            .map(|(channel, bound)| {
                let lanes = options.dispatchers.lanes(&channel.name);
                Shown::new(channel, bound.clone(), lanes)
            })
            .collect(),
        routing: match (&config.router, &options.router) {
            (Some(hook), Some(bound)) => Routing::Plugin(Router::new(
                &hook.plugin,
                bound.clone(),
                &config.channels,
                runtime.clone(),
            )),
            _ => Routing::Rules(config.routes.clone()),
        },
        routes: config.routes.clone(),
    }
}

/// What waits for a channel that the configuration does not have any more is not lost, and not sent.
fn tell_of_unconfigured(config: &Config, store: &Store, degraded: &Degraded) {
    let is_configured =
        |name: &ChannelName| config.channels.iter().any(|channel| channel.name == *name);
    for stats in &store.stats().channels {
        let waiting = Status::ALL.iter().filter(|status| !status.is_final());
        let count: u64 = waiting.map(|status| stats.depths.status(*status)).sum();
        if count == 0 || is_configured(&stats.channel) {
            continue;
        }
        let reason =
            format!("it is not configured, and {count} deliveries wait for it; configure it again");
        tracing::error!(channel = %stats.channel, deliveries = count, "deliveries wait for a channel that is not configured");
        degraded.set(&format!("channel {}", stats.channel), reason);
    }
}
