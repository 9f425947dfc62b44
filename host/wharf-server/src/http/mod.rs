//! The HTTP API.
//!
//! Handlers parse and bound the input, ask the store, and answer in the types of `wharf-api`. A message is
//! answered 202 only when the store has it on disk. Every error is a problem document; `problem` is the only
//! module that knows how one becomes a response.

mod accept;
mod auth;
mod body;
mod cancel;
mod change;
mod channels;
mod encoding;
mod form;
mod health;
mod identity;
mod input;
mod journal;
mod lists;
mod messages;
mod metrics;
mod pages;
mod parked;
mod plugins;
mod problem;
mod redrive;
mod reroute;
mod routes;
mod store;
mod threads;
mod updates;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::{get, post, put};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wharf_store::Store;

use crate::config::Scope;
use crate::degraded::Degraded;
use crate::disk::Room;
use crate::limits::{ACCEPT_ERROR_WAIT, HEAD_READ_TIMEOUT};
use crate::metrics::Metrics;
use crate::pauses::Pauses;
use crate::plugins::Plugins;
use crate::reload::{Live, Reload};

pub(crate) use auth::Tokens;
pub(crate) use channels::Shown;
pub(crate) use form::read_message;
pub(crate) use identity::MessageIds;
pub(crate) use threads::Threads;

/// What handlers share.
pub(crate) struct App {
    pub(crate) store: Store,
    pub(crate) store_path: PathBuf,
    /// What is to be free on the store's disk while messages are accepted, in bytes.
    pub(crate) accept_free: u64,
    /// Whose turn it is to read all of the store's file.
    pub(crate) whole_file: Arc<tokio::sync::Mutex<()>>,
    /// The channels and routes, as they are now.
    pub(crate) live: watch::Receiver<Arc<Live>>,
    pub(crate) reload: Reload,
    pub(crate) tokens: Tokens,
    pub(crate) payload_bytes_max: usize,
    pub(crate) ids: MessageIds,
    /// Whether a message that has no id, and comes without an idempotency key, is refused.
    pub(crate) require_idempotency: bool,
    pub(crate) plugins: Plugins,
    /// What does not work although the server runs.
    pub(crate) degraded: Degraded,
    pub(crate) phase: Phase,
    pub(crate) pauses: Arc<Pauses>,
    pub(crate) metrics: Metrics,
    /// Where guest code runs: on a thread of the API it would hold up whoever else is served there.
    pub(crate) workers: Handle,
    /// What the disk has room for.
    pub(crate) room: watch::Receiver<Room>,
}

impl App {
    /// One set of channels and routes: for all of a request.
    pub(crate) fn live(&self) -> Arc<Live> {
        self.live.borrow().clone()
    }
}

/// Whether the server takes work.
#[derive(Debug, Default)]
pub(crate) struct Phase {
    draining: AtomicBool,
    failed: AtomicBool,
}

impl Phase {
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// The store has failed: nothing can be accepted or recorded any more.
    pub(crate) fn fail(&self) {
        self.failed.store(true, Ordering::Release);
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }
}

/// Serves the API until `stop`, then lets the requests that are being answered end.
async fn serve(listener: TcpListener, app: Arc<App>, stop: CancellationToken) {
    let service = TowerToHyperService::new(router(app));
    let mut http1 = http1::Builder::new();
    http1
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_READ_TIMEOUT);
    let graceful = GracefulShutdown::new();
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        let stream = match accepted {
            Ok((stream, _peer)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection cannot be accepted");
                tokio::time::sleep(ACCEPT_ERROR_WAIT).await;
                continue;
            }
        };
        // Answers are small and complete; waiting for more only adds latency.
        let _ = stream.set_nodelay(true);
        let connection = http1.serve_connection(TokioIo::new(stream), service.clone());
        let connection = graceful.watch(connection);
        connections.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection ended");
            }
        });
    }
    drop(listener);
    graceful.shutdown().await;
}

/// The API's routes, by the scope that they take.
/// A client that goes away must not break off a change between its commit and its announcement.
async fn unbroken(request: Request, next: Next) -> Response {
    match tokio::spawn(next.run(request)).await {
        Ok(response) => response,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}

fn router(app: Arc<App>) -> Router {
    let take = |scope: Scope, routes: Router<Arc<App>>| {
        let state = (Arc::clone(&app), scope);
        routes.layer(from_fn_with_state(state, auth::check))
    };
    let send = Router::new()
        .route("/v1/messages", post(accept::send))
        .route("/v1/messages/batch", post(accept::send_batch));
    let read = Router::new()
        .route("/v1/messages/{id}", get(messages::show))
        .route("/v1/messages/{id}/journal", get(journal::of_message))
        .route("/v1/journal", get(journal::search))
        .route("/v1/deliveries", get(lists::deliveries))
        .route("/v1/dead-letters", get(lists::dead_letters))
        .route("/v1/parked", get(parked::list))
        .route("/v1/channels", get(channels::list))
        .route("/v1/routes", get(routes::list))
        .route("/v1/plugins", get(plugins::list))
        .route("/v1/store", get(store::show))
        .route("/metrics", get(metrics::show));
    let operate = Router::new()
        .route("/v1/messages/{id}/cancel", post(cancel::cancel))
        .route("/v1/messages/{id}/redrive", post(redrive::redrive))
        .route("/v1/dead-letters/redrive", post(redrive::redrive_listed))
        .route("/v1/channels/{name}/pause", post(channels::pause))
        .route("/v1/channels/{name}/resume", post(channels::resume))
        .route("/v1/routes", put(routes::put))
        .route("/v1/config/reload", post(routes::reload))
        .route("/v1/updates", post(updates::update))
        .layer(from_fn(unbroken))
        // Nobody misses the rest of a copy whose client has gone away.
        .route("/v1/store/backup", post(store::backup));
    let receive = Router::new().route("/v1/channels/{name}/receipts", post(updates::receipts));
    Router::new()
        .merge(take(Scope::Receive, receive))
        .merge(take(Scope::Send, send))
        .merge(take(Scope::Read, read))
        .merge(take(Scope::Operate, operate))
        .route("/livez", get(health::live))
        .route("/readyz", get(health::ready))
        .route("/problems/", get(pages::index))
        .route("/problems/{code}", get(pages::show))
        .fallback(problem::not_found)
        .method_not_allowed_fallback(problem::method_not_allowed)
        .layer(from_fn(body::finish_refused))
        .with_state(app)
}
