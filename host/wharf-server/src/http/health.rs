//! Liveness and readiness.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use wharf_api::{Health, Named};

use super::App;

/// Whether the writer makes progress. Nothing else: a restart must be the cure.
pub(super) async fn live(State(app): State<Arc<App>>) -> (StatusCode, Json<Health>) {
    if app.phase.has_failed() {
        return failed("store", "a commit failed; the process ends");
    }
    (
        StatusCode::OK,
        Json(Health {
            status: "ok".to_owned(),
            reasons: Vec::new(),
        }),
    )
}

/// Whether work is taken. What else is wrong makes it `degraded`, not unready.
pub(super) async fn ready(State(app): State<Arc<App>>) -> (StatusCode, Json<Health>) {
    if app.phase.has_failed() {
        return failed("store", "a commit failed; the process ends");
    }
    if app.phase.is_draining() {
        return failed("server", "it is stopping");
    }
    let status = if app.degraded.is_empty() {
        "ok"
    } else {
        "degraded"
    };
    (
        StatusCode::OK,
        Json(Health {
            status: status.to_owned(),
            reasons: app.degraded.clone(),
        }),
    )
}

fn failed(name: &str, reason: &str) -> (StatusCode, Json<Health>) {
    let reasons = vec![Named {
        name: name.to_owned(),
        reason: reason.to_owned(),
    }];
    (
        StatusCode::SERVICE_UNAVAILABLE,
        Json(Health {
            status: "failed".to_owned(),
            reasons,
        }),
    )
}
