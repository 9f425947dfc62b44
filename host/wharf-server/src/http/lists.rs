//! Lists of deliveries and dead letters, a page at a time.

use std::sync::Arc;

use axum::Json;
use axum::extract::{RawQuery, State};
use wharf_api::{ListView, ListedView};
use wharf_core::{Standing, Status, TimeMs};
use wharf_store::{Entry, Of, Page};

use super::App;
use super::input::Wanted;
use super::messages::status;
use super::problem::{Answer, read};

/// What was given up: a redrive leads out of these, and out of no other end.
pub(super) const DEAD_LETTERS: [Status; 3] = [Status::Dead, Status::Rejected, Status::Shed];

/// `GET /v1/deliveries`: by their stored status.
pub(super) async fn deliveries(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
) -> Result<Json<ListView>, Answer> {
    list(&app, Wanted::of(query.as_deref(), Status::ALL, &[])?).await
}

/// `GET /v1/dead-letters`: what was given up, and what no route matched.
pub(super) async fn dead_letters(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
) -> Result<Json<ListView>, Answer> {
    list(
        &app,
        Wanted::of(query.as_deref(), &DEAD_LETTERS, &[Standing::Unroutable])?,
    )
    .await
}

async fn list(app: &Arc<App>, wanted: Wanted) -> Result<Json<ListView>, Answer> {
    let page = page(app, wanted).await?;
    Ok(Json(ListView {
        entries: page.entries.into_iter().map(listed).collect(),
        unreadable: page.unreadable_count,
        next: page.next.map(|id| id.0.to_string()),
    }))
}

/// A page of the store's.
pub(super) async fn page(app: &Arc<App>, wanted: Wanted) -> Result<Page, Answer> {
    let app = Arc::clone(app);
    let Wanted {
        filter,
        after,
        limit,
    } = wanted;
    read(move || app.store.list(&filter, after, limit)).await
}

fn listed(entry: Entry) -> ListedView {
    let view = ListedView {
        message: entry.message.to_string(),
        delivery: None,
        channel: None,
        route: None,
        status: String::new(),
        attempts: 0,
        accepted_at: entry.accepted_at.to_string(),
        changed_at: entry.changed_at.map(|at| at.to_string()),
        cause: entry.cause.map(|cause| cause.to_string()),
        due: None,
        code: entry.code,
        reason: entry.reason,
    };
    match entry.of {
        Of::Message(standing) => ListedView {
            status: standing.to_string(),
            ..view
        },
        Of::Delivery(delivery) => ListedView {
            delivery: Some(delivery.id.0),
            channel: Some(delivery.channel.to_string()),
            route: Some(delivery.route.to_string()),
            status: status(&delivery),
            attempts: delivery.attempts_count,
            due: delivery.due.map(|at: TimeMs| at.to_string()),
            ..view
        },
    }
}
