//! What could not be used and was put aside: `GET /v1/parked`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use wharf_api::{ParkedContent, ParkedListView, ParkedView, Problem};
use wharf_store::Parked;

use super::App;
use super::input::{LIST_ENTRIES_DEFAULT, invalid, limit, place};
use super::problem::{Answer, read};

/// The oldest first, a page at a time.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
) -> Result<Json<ParkedListView>, Answer> {
    let Paging { after, limit } = Paging::of(query.as_deref())?;
    let page = read(move || app.store.parked(after, limit)).await?;
    let is_full = page.len() == limit;
    let last = page.last().map(|(number, _)| number.to_string());
    Ok(Json(ParkedListView {
        parked: page.into_iter().map(view).collect(),
        next: last.filter(|_| is_full),
    }))
}

/// The page that is asked for.
struct Paging {
    after: u64,
    limit: usize,
}

impl Paging {
    fn of(query: Option<&str>) -> Result<Self, Problem> {
        let mut paging = Self {
            after: 0,
            limit: LIST_ENTRIES_DEFAULT,
        };
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            match &*name {
                "after" => paging.after = place(&value)?,
                "limit" => paging.limit = limit(&value)?,
                _ => return Err(invalid(&name, "there are after, limit")),
            }
        }
        Ok(paging)
    }
}

fn view((number, parked): (u64, Parked)) -> ParkedView {
    let is_json = parked.content_type == "application/json";
    let json = is_json.then(|| serde_json::from_slice(&parked.content).ok());
    ParkedView {
        number,
        source: parked.source,
        reason: parked.reason,
        at: parked.at.to_string(),
        content: match json.flatten() {
            Some(value) => ParkedContent::Json(value),
            None => ParkedContent::Base64(STANDARD.encode(&parked.content)),
        },
        content_type: parked.content_type,
    }
}
