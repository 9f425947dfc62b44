//! Liveness and readiness. Open to anyone; the reasons are for callers with the token.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use wharf_api::{Health, Named};

use super::App;
use super::auth::{self, Token};
use crate::limits::COMMIT_HANGS_AFTER;

/// Whether the writer makes progress and the runtime answers. Nothing else: a restart must be the cure.
pub(super) async fn live(State(app): State<Arc<App>>) -> (StatusCode, Json<Health>) {
    if app.phase.has_failed() {
        return failed("store", "a commit failed; the process ends");
    }
    match hangs(app.store.commit_running_for()) {
        Some(reason) => failed("store", &reason),
        None => ok("ok", Vec::new()),
    }
}

/// What is wrong with a commit that has been running for so long: a disk that hangs reports no error.
fn hangs(running_for: Option<Duration>) -> Option<String> {
    let running_for = running_for.filter(|span| *span > COMMIT_HANGS_AFTER)?;
    Some(format!(
        "a commit has been running for {} s; look at the disk",
        running_for.as_secs()
    ))
}

/// Whether work is taken. What else is wrong makes it `degraded`, not unready.
pub(super) async fn ready(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
) -> (StatusCode, Json<Health>) {
    if app.phase.has_failed() {
        return failed("store", "a commit failed; the process ends");
    }
    if app.phase.is_draining() {
        return failed("server", "it is stopping");
    }
    let mut reasons = app.degraded.list();
    reasons.extend(suspects(app.store.stats().suspects));
    let status = if reasons.is_empty() { "ok" } else { "degraded" };
    match auth::token(&app, &headers) {
        Token::Right => ok(status, reasons),
        Token::Wrong | Token::Missing => ok(status, Vec::new()),
    }
}

/// What may have ended the process is tried alone, and everything else waits for it.
fn suspects(count: u64) -> Option<Named> {
    (count > 0).then(|| Named {
        name: "suspects".to_owned(),
        reason: format!(
            "the process ended uncleanly, twice: {count} deliveries that were being attempted are tried one by one, and \
             nothing else is sent while one of them is"
        ),
    })
}

fn ok(status: &str, reasons: Vec<Named>) -> (StatusCode, Json<Health>) {
    (
        StatusCode::OK,
        Json(Health {
            status: status.to_owned(),
            reasons,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_that_hangs_is_no_life() {
        assert_eq!(hangs(None), None);
        assert_eq!(hangs(Some(COMMIT_HANGS_AFTER)), None);
        let reason = hangs(Some(COMMIT_HANGS_AFTER * 2)).unwrap();
        assert!(reason.contains("for 60 s"), "{reason}");
    }
}
