//! The HTTP API.
//!
//! Handlers parse and bound the input, ask the store, and answer in the types of `wharf-api`. A message is
//! answered 202 only when the store has it on disk. Every error is a problem document; `problem` is the only
//! module that knows how one becomes a response.

mod auth;
mod health;
mod input;
mod messages;
mod plugins;
mod problem;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use wharf_api::{Named, PluginsView};
use wharf_core::route;
use wharf_store::Store;

pub(crate) use messages::MessageIds;

/// What handlers share.
pub(crate) struct App {
    pub(crate) store: Store,
    pub(crate) routes: route::Table,
    pub(crate) token: Option<String>,
    pub(crate) payload_bytes_max: usize,
    pub(crate) ids: MessageIds,
    /// The plugin folder as it was loaded.
    pub(crate) plugins: PluginsView,
    /// What does not work although the server runs.
    pub(crate) degraded: Vec<Named>,
    pub(crate) phase: Phase,
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
pub(crate) async fn serve(
    listener: TcpListener,
    app: Arc<App>,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let listener = listener.tap_io(|stream| {
        // Answers are small and complete; waiting for more only adds latency.
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, router(app))
        .with_graceful_shutdown(stop.cancelled_owned())
        .await
}

/// The API's routes.
fn router(app: Arc<App>) -> Router {
    let authorized = Router::new()
        .route("/v1/messages", post(messages::send))
        .route("/v1/messages/batch", post(messages::send_batch))
        .route("/v1/messages/{id}", get(messages::show))
        .route("/v1/messages/{id}/journal", get(messages::journal))
        .route("/v1/plugins", get(plugins::list))
        .layer(axum::middleware::from_fn_with_state(
            Arc::clone(&app),
            auth::check,
        ));
    Router::new()
        .merge(authorized)
        .route("/livez", get(health::live))
        .route("/readyz", get(health::ready))
        .fallback(problem::not_found)
        .method_not_allowed_fallback(problem::method_not_allowed)
        .with_state(app)
}
