//! Starts everything in order, runs it, and stops it in order: refuse, drain, settle, close.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use wharf_core::egress::AddressGuard;
use wharf_store::Store;

use crate::clock;
use crate::config::{Config, Source};
use crate::degraded::Degraded;
use crate::disk::Disk;
use crate::dispatch::{self, Dispatchers, LaneNumbers};
use crate::egress;
use crate::http::{self, App, MessageIds, Phase, Tokens};
use crate::metrics::{
    Channels, DiskNumbers, Metrics, PauseNumbers, PluginNumbers, SpaceNumbers, StoreNumbers,
    UpdateNumbers,
};
use crate::pauses::Pauses;
use crate::plugins::{Keeper, Plugins, Use, Uses};
use crate::post_event::{Teller, cursor_name};
use crate::reload::{self, Reload, Reloader};
use crate::retention::Pruner;
use crate::updates::Applier;
use crate::workers::Workers;

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
    /// A task ended that should not have.
    #[error("{0} ended by itself, which is a bug; start again, and report what the log says")]
    TaskEnded(&'static str),
    /// The store was not closed cleanly.
    #[error("the store was not closed cleanly; nothing that was acknowledged is lost")]
    Close(#[source] wharf_store::CloseError),
}

/// What SIGHUP asks for.
#[derive(Clone, Debug, Default)]
pub struct HangUp {
    /// A look at the whole plugin folder, what was refused included.
    pub rescan: Arc<Notify>,
    /// The configuration to be read again.
    pub reload: Arc<Notify>,
}

/// Runs the host until `stop` is cancelled or its store fails. `config` is what `source` gave. `listening` is told the
/// address once work is taken.
pub async fn serve(
    config: Config,
    source: Source,
    stop: CancellationToken,
    hang_up: HangUp,
    listening: impl FnOnce(SocketAddr),
) -> Result<(), ServeError> {
    let store = open(&config).await?;
    let degraded = Degraded::default();
    let client = Arc::new(egress::Client::new(egress::Options {
        guard: AddressGuard {
            allowed: config.allow_addresses.clone(),
        },
        tls: config.tls.clone(),
    }));
    let plugins = Plugins::new(&config, &client)?;
    let mut metrics = Metrics::new();
    metrics.add(StoreNumbers(store.clone()));
    let pruning = Arc::default();
    metrics.add(SpaceNumbers {
        store: store.clone(),
        counted: Arc::clone(&pruning),
    });
    metrics.add(PluginNumbers(plugins.host.clone()));
    let channels = Channels::default();
    let uses = Uses::new(&config, &client, &channels, &degraded);
    metrics.add(channels);
    let disk = Disk::new(&config.store_path, config.marks, degraded.clone()).await;
    metrics.add(DiskNumbers(disk.subscribe_free()));
    let pauses = Arc::new(Pauses::load(&config, &store, &degraded));
    metrics.add(PauseNumbers(Arc::clone(&pauses)));
    let HangUp { rescan, reload } = hang_up;
    let (to_keeper, asks) = mpsc::channel(1);
    let keeper = Keeper::start(
        &config,
        plugins.clone(),
        uses,
        degraded.clone(),
        rescan,
        asks,
    );
    let keeper = keeper.await;
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

    let mut workers = Workers::default();
    workers.promoter.spawn(dispatch::promote(
        store.clone(),
        workers.stop_promoter.clone(),
    ));
    let (reloading, asks) = Reload::new();
    let reloader = Reloader::start(
        reload::Options {
            source,
            config: config.clone(),
            store: store.clone(),
            degraded: degraded.clone(),
            pauses: Arc::clone(&pauses),
            dispatchers: Dispatchers::new(store.clone(), disk.subscribe(), Arc::clone(&pauses)),
            keeper: to_keeper,
            router: keeper.uses().router.as_ref().map(Use::subscribe),
            asks,
            hang_up: reload,
        },
        keeper.uses().channels.iter().map(Use::subscribe).collect(),
    );
    let live = reloader.subscribe();
    metrics.add(LaneNumbers(live.clone()));
    let counted = Arc::default();
    metrics.add(UpdateNumbers {
        store: store.clone(),
        counted: Arc::clone(&counted),
    });
    let applier = Applier {
        store: store.clone(),
        live: live.clone(),
        counted,
    };
    workers
        .applier
        .spawn(applier.run(workers.stop_applier.clone()));
    workers
        .dispatchers
        .spawn(reloader.run(workers.stop_dispatch.clone()));
    for (told, used) in config.post_event.iter().zip(&keeper.uses().post_event) {
        let teller = Teller {
            name: told.name.clone(),
            hook: used.subscribe(),
            store: store.clone(),
            degraded: degraded.clone(),
        };
        workers
            .tellers
            .spawn(teller.run(workers.stop_tellers.clone()));
    }
    let readers = config.post_event.iter();
    let pruner = Pruner {
        store: store.clone(),
        policy: config.retention,
        readers: readers.map(|hook| cursor_name(&hook.name)).collect(),
        degraded: degraded.clone(),
        counted: pruning,
    };
    workers
        .pruner
        .spawn(pruner.run(workers.stop_pruner.clone()));
    workers
        .keeper
        .spawn(keeper.run(workers.stop_keeper.clone()));

    let app = Arc::new(App {
        store: store.clone(),
        store_path: config.store_path.clone(),
        accept_free: config.marks.accept,
        whole_file: Arc::default(),
        live,
        reload: reloading,
        tokens: Tokens::new(&config.tokens),
        payload_bytes_max: config.payload_bytes_max,
        ids: MessageIds::new(),
        require_idempotency: config.require_idempotency,
        plugins,
        degraded,
        phase: Phase::default(),
        pauses,
        metrics,
        workers: Handle::current(),
        room: disk.subscribe(),
    });
    workers.disk.spawn(disk.run(workers.stop_disk.clone()));
    let refuse = CancellationToken::new();
    let http = http::Threads::start(config.api_threads, listener, &app, &refuse)
        .map_err(|source| ServeError::Listen { address, source })?;
    listening(address);

    let ending = tokio::select! {
        () = stop.cancelled() => None,
        reason = store.failed() => {
            tracing::error!(error = &reason as &dyn std::error::Error, "the store has failed");
            app.phase.fail();
            Some(ServeError::CommitFailed)
        }
        lost = workers.lost() => Some(ServeError::TaskEnded(lost)),
        () = http.lost() => Some(ServeError::TaskEnded("a thread of the API")),
    };
    let store_failed = app.phase.has_failed();
    tracing::info!(store_failed, "stopping");
    app.phase.drain();
    refuse.cancel();
    let deadline = Instant::now() + config.drain_timeout;
    if timeout_at(deadline, workers.drain(store_failed))
        .await
        .is_err()
    {
        tracing::warn!(
            timeout_ms = config.drain_timeout.as_millis() as u64,
            "not everything in flight ended in time; it is tried again at the next start"
        );
        workers.abort().await;
    }
    // Requests that are being answered get a moment of their own, even after a drain that took all of its time.
    let moment = deadline.max(Instant::now() + Duration::from_secs(1));
    if timeout_at(moment, http.ended()).await.is_err() {
        http.cut();
        tracing::warn!("a client did not finish its request in time; it got no answer");
    }
    if let Some(error) = ending {
        if !store_failed {
            let _ = store.close().await;
        }
        return Err(error);
    }
    store.close().await.map_err(ServeError::Close)
}

async fn open(config: &Config) -> Result<Store, ServeError> {
    let path = config.store_path.clone();
    let opened = tokio::task::spawn_blocking(move || {
        let options = wharf_store::Options::new(clock::random_bytes(), clock::now());
        Store::open(&path, &options)
    });
    match opened.await {
        Ok(result) => result.map_err(|source| ServeError::Store {
            path: config.store_path.display().to_string(),
            source,
        }),
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

/// An error and its causes in one line.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
