//! `GET /metrics`

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use super::App;
use super::problem::{Answer, read};
use crate::metrics;

/// All numbers, as they are now.
pub(super) async fn show(State(app): State<Arc<App>>) -> Result<Response, Answer> {
    // What is first in a queue may be on disk.
    let text = read(move || app.metrics.text()).await?;
    Ok(([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response())
}
