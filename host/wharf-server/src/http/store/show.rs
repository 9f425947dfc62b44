//! `GET /v1/store`: what is in the store's file.

use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use wharf_api::{Problem, StoreView};
use wharf_store::ReadError;

use super::super::App;
use super::super::input::invalid;
use super::super::problem::{Answer, read};
use crate::store_file;

pub(crate) async fn show(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
) -> Result<Json<StoreView>, Answer> {
    let with_sizes = with_sizes(query.as_deref())?;
    // One at a time: it reads the whole file.
    let turn = match with_sizes {
        true => Some(app.whole_file.lock().await),
        false => None,
    };
    let (store, path) = (app.store.clone(), app.store_path.clone());
    let view = read(move || {
        let inspection = store.inspect(with_sizes)?;
        // A store in a file that has no length is not open any more.
        let file_bytes = std::fs::metadata(path).map_or(0, |file| file.len());
        Ok::<_, ReadError>(store_file::running_view(&inspection, file_bytes))
    });
    let view = view.await?;
    drop(turn);
    Ok(Json(view))
}

/// Whether the query asks for the sizes of tables.
fn with_sizes(query: Option<&str>) -> Result<bool, Problem> {
    let mut with_sizes = false;
    for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        match (&*name, &*value) {
            ("sizes", "true") => with_sizes = true,
            ("sizes", "false") => with_sizes = false,
            ("sizes", _) => return Err(invalid("sizes", "it takes true or false")),
            _ => return Err(invalid(&name, "there is sizes")),
        }
    }
    Ok(with_sizes)
}
