//! The plugin folder.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use wharf_api::PluginsView;

use super::App;

pub(super) async fn list(State(app): State<Arc<App>>) -> Json<PluginsView> {
    Json(app.plugins.view())
}
