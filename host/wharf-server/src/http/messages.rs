//! Showing messages.

use std::num::NonZeroU32;
use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use wharf_api::{DeliveryView, MessageView, Problem, ProblemCode, ReserveView};
use wharf_core::{MessageId, Status, TimeMs};
use wharf_store::{ReadError, Store};

use super::App;
use super::problem::{Answer, read};

/// `GET /v1/messages/{id}`
pub(super) async fn show(
    State(app): State<Arc<App>>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<MessageView>, Answer> {
    let found = find(&app, &known_id(id)?).await?;
    let wanted = found.clone();
    let store = app.store.clone();
    let app_of_lanes = Arc::clone(&app);
    let lanes = read(move || {
        let deliveries = wanted.deliveries.iter();
        let lanes = deliveries.map(|delivery| lane(&app_of_lanes, &store, delivery));
        lanes.collect::<Result<Vec<_>, _>>()
    })
    .await?;
    let message = &found.message;
    let text = |time: Option<TimeMs>| time.map(|t| t.to_string());
    Ok(Json(MessageView {
        id: message.id.to_string(),
        status: summary(&found),
        accepted_at: message.accepted_at.to_string(),
        attributes: message.attributes.iter().cloned().collect(),
        headers: message.headers.clone(),
        payload_bytes: message.payload.len() as u64,
        ordering_key: message.ordering_key.clone(),
        deliver_after: text(message.deliver_after),
        expires_at: text(message.expires_at),
        deliveries: found
            .deliveries
            .iter()
            .zip(lanes)
            .map(|(delivery, lane)| DeliveryView {
                id: delivery.id.0,
                channel: delivery.channel.to_string(),
                route: delivery.route.to_string(),
                status: status(delivery),
                attempts: delivery.attempts_count,
                lane,
                due: text(delivery.due),
                cancelling: delivery.is_cancelled,
            })
            .collect(),
        in_reserve: found
            .in_reserve
            .iter()
            .map(|(id, planned)| ReserveView {
                id: id.0,
                channel: planned.channel.to_string(),
                route: planned.route.to_string(),
                after_failures: planned.after.map_or(1, NonZeroU32::get),
            })
            .collect(),
    }))
}

/// The lane that a delivery waits for, where what it sends is stored.
fn lane(
    app: &App,
    store: &Store,
    delivery: &wharf_store::DeliveryView,
) -> Result<Option<String>, ReadError> {
    // A new one has nothing stored; what has ended waits for nothing.
    let may_wait = delivery.status.is_sendable() && delivery.due.is_some();
    let live = app.live();
    let channel = live.channels.iter().find(|one| one.is(&delivery.channel));
    let Some(channel) = channel.filter(|_| may_wait) else {
        return Ok(None);
    };
    let wire = store.wire(delivery.id)?;
    Ok(wire.and_then(|wire| channel.lane(wire.endpoint.as_deref())))
}

/// A message and where it stands.
pub(super) async fn find(
    app: &Arc<App>,
    id: &MessageId,
) -> Result<wharf_store::MessageView, Answer> {
    let (store, wanted) = (app.store.clone(), id.clone());
    match read(move || store.get(&wanted)).await? {
        Some(found) => Ok(found),
        None => Err(no_message(app, id).await),
    }
}

/// A delivery's status; `sending` while an attempt runs, which is never stored.
pub(super) fn status(delivery: &wharf_store::DeliveryView) -> String {
    if delivery.is_leased {
        "sending".to_owned()
    } else {
        delivery.status.to_string()
    }
}

/// A message's derived status: its standing, or the least advanced status of its deliveries.
fn summary(message: &wharf_store::MessageView) -> String {
    if let Some(standing) = message.standing {
        return standing.to_string();
    }
    if message.deliveries.iter().any(|d| d.is_leased) {
        return "sending".to_owned();
    }
    // What still moves comes first, then what an operator must look at, then the good end.
    const ORDER: &[Status] = &[
        Status::Retrying,
        Status::Queued,
        Status::Held,
        Status::Pending,
        Status::Provisional,
        Status::Dead,
        Status::Rejected,
        Status::Shed,
        Status::Expired,
        Status::Cancelled,
        Status::Delivered,
        // Another delivery of the message says how it went on.
        Status::Superseded,
    ];
    ORDER
        .iter()
        .find(|status| message.deliveries.iter().any(|d| d.status == **status))
        .map_or_else(|| "unroutable".to_owned(), ToString::to_string)
}

/// An id that could be known. One outside the alphabet cannot be.
pub(super) fn known_id(id: Result<Path<String>, PathRejection>) -> Result<MessageId, Answer> {
    let invalid = |why: String| {
        Answer::from(Problem::new(ProblemCode::InvalidId, format!("id: {why}")).field("id"))
    };
    let Path(id) = id.map_err(|rejection| invalid(rejection.body_text()))?;
    MessageId::parse(&id).map_err(|e| invalid(e.to_string()))
}

/// There is no such message, or none any more.
pub(super) async fn no_message(app: &Arc<App>, id: &MessageId) -> Answer {
    let (store, wanted) = (app.store.clone(), id.clone());
    let problem = match read(move || store.remains(&wanted)).await {
        Ok(Some(remains)) => Problem::new(
            ProblemCode::MessageRemoved,
            format!(
                "message {id} ended and was removed by retention; sent again, it is a duplicate of what was accepted at {}",
                remains.accepted_at
            ),
        ),
        Ok(None) => Problem::new(
            ProblemCode::MessageNotFound,
            format!("there is no message {id}"),
        ),
        Err(answer) => return answer,
    };
    problem.into()
}
