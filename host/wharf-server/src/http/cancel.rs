//! Cancelling a message's deliveries.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::{Extension, Json};
use wharf_api::{ChangeResult, ChangedDelivery, ChangedView, Problem, ProblemCode};
use wharf_core::Status;
use wharf_store::{Cancel, CancelError, Cancelled, DeliveryView, Target};

use super::App;
use super::auth::{Caller, name_of};
use super::change::{changed, stands, tell};
use super::input::{Nothing, input};
use super::messages::{find, known_id, status};
use super::problem::{Answer, internal, not_changed};
use crate::clock;

/// `POST /v1/messages/{id}/cancel`: what was not sent yet is not sent any more.
pub(super) async fn cancel(
    State(app): State<Arc<App>>,
    caller: Option<Extension<Caller>>,
    id: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Json<ChangedView>, Answer> {
    let id = known_id(id)?;
    let Nothing {} = input(request).await?;
    let found = find(&app, &id).await?;
    let at = clock::now();
    let targets = found.deliveries.iter().map(|delivery| Cancel {
        target: Target::Delivery(delivery.id),
        at,
    });
    let answers = app.store.cancel(targets.collect()).await;
    let answers = answers.map_err(|error| match error {
        CancelError::Find(error) => internal(&error),
        CancelError::Write(error) => not_changed(&error),
    })?;
    let answers = answers.into_iter().flatten().map(|(_, answer)| answer);
    let changed: Vec<_> = found
        .deliveries
        .iter()
        .zip(answers)
        .map(|(delivery, answer)| cancelled(delivery, answer))
        .collect();
    // A second request to cancel finds what the first one did.
    let is_done = |one: &ChangedDelivery| {
        one.result != ChangeResult::Unchanged || one.status == Status::Cancelled.as_str()
    };
    if !changed.iter().any(is_done) {
        let why = stands(&id, &found, "cancel");
        return Err(Problem::new(ProblemCode::NotCancellable, why).into());
    }
    for one in &changed {
        tell("cancelled", &id, one, name_of(caller.as_ref()));
    }
    Ok(Json(ChangedView {
        message: id.to_string(),
        deliveries: changed,
    }))
}

fn cancelled(delivery: &DeliveryView, answer: Cancelled) -> ChangedDelivery {
    let (result, status) = match answer {
        Cancelled::Recorded(_) => (ChangeResult::Changed, Status::Cancelled.to_string()),
        Cancelled::Flagged => (ChangeResult::InFlight, "sending".to_owned()),
        Cancelled::Refused(stands) | Cancelled::Ended(stands) => {
            (ChangeResult::Unchanged, stands.to_string())
        }
        Cancelled::Unknown | Cancelled::Unreadable => (ChangeResult::Unreadable, status(delivery)),
    };
    changed(delivery, result, status)
}
