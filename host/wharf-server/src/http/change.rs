//! Cancelling and redriving a message's deliveries.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::{Extension, Json};
use wharf_api::{ChangeResult, ChangedDelivery, ChangedView, Problem, ProblemCode, RedriveInput};
use wharf_core::{MessageId, Status, operator};
use wharf_store::{
    Cancel, CancelError, Cancelled, DeliveryView, MessageView, Redrive, Redriven, Target,
};

use super::App;
use super::auth::{Caller, name_of};
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
    tell("cancelled", &id, &changed, name_of(caller.as_ref()));
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

/// `POST /v1/messages/{id}/redrive`: what was given up is sent again.
pub(super) async fn redrive(
    State(app): State<Arc<App>>,
    caller: Option<Extension<Caller>>,
    id: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Json<ChangedView>, Answer> {
    let id = known_id(id)?;
    let wanted: RedriveInput = input(request).await?;
    let mut found = find(&app, &id).await?;
    if let Some(channel) = &wanted.channel {
        found
            .deliveries
            .retain(|one| one.channel.as_str() == channel);
    }
    let changed = if wanted.dry_run {
        found.deliveries.iter().map(foretold).collect()
    } else {
        redriven(&app, &found, &wanted).await?
    };
    let is_done = |one: &ChangedDelivery| one.result != ChangeResult::Unchanged;
    if !changed.iter().any(is_done) {
        let why = match &wanted.channel {
            Some(channel) if found.deliveries.is_empty() => {
                format!("{id} has no delivery to the channel {channel:?}")
            }
            _ => stands(&id, &found, "redrive"),
        };
        return Err(Problem::new(ProblemCode::NotRedrivable, why).into());
    }
    if !wanted.dry_run {
        tell("redriven", &id, &changed, name_of(caller.as_ref()));
    }
    Ok(Json(ChangedView {
        message: id.to_string(),
        deliveries: changed,
    }))
}

async fn redriven(
    app: &App,
    found: &MessageView,
    wanted: &RedriveInput,
) -> Result<Vec<ChangedDelivery>, Answer> {
    let at = clock::now();
    let batch = found.deliveries.iter().map(|delivery| Redrive {
        delivery: delivery.id,
        reconvert: wanted.reconvert,
        new_key: wanted.new_key,
        at,
    });
    let answers = app.store.redrive(batch.collect()).await;
    let answers = answers.map_err(|e| not_changed(&e))?;
    let answered = found.deliveries.iter().zip(answers);
    let changed = answered.map(|(delivery, answer)| {
        let (result, status) = match answer {
            Redriven::Recorded { to, .. } => (ChangeResult::Changed, to.to_string()),
            Redriven::Refused(stands) => (ChangeResult::Unchanged, stands.to_string()),
            Redriven::Unknown | Redriven::Unreadable => {
                (ChangeResult::Unreadable, status(delivery))
            }
        };
        changed(delivery, result, status)
    });
    Ok(changed.collect())
}

/// What a redrive would come to.
fn foretold(delivery: &DeliveryView) -> ChangedDelivery {
    let result = match operator::redrive(delivery.status, delivery.token.is_some()) {
        Some(_) => ChangeResult::WouldChange,
        None => ChangeResult::Unchanged,
    };
    changed(delivery, result, status(delivery))
}

fn changed(delivery: &DeliveryView, result: ChangeResult, status: String) -> ChangedDelivery {
    ChangedDelivery {
        delivery: delivery.id.0,
        channel: delivery.channel.to_string(),
        result,
        status,
    }
}

/// Why nothing of a message could be changed: where its deliveries stand.
fn stands(id: &MessageId, found: &MessageView, what: &str) -> String {
    if let Some(standing) = found.standing {
        return format!("{id} is {standing}: it has no delivery to {what}");
    }
    let deliveries = found
        .deliveries
        .iter()
        .map(|one| format!("{} ({})", status(one), one.channel));
    let deliveries = deliveries.collect::<Vec<_>>().join(", ");
    format!("there is nothing to {what} of {id}: {deliveries}")
}

/// Who did what, a line for each delivery.
fn tell(what: &str, id: &MessageId, changed: &[ChangedDelivery], by: Option<&str>) {
    for one in changed {
        if matches!(one.result, ChangeResult::Changed | ChangeResult::InFlight) {
            tracing::info!(
                message_id = %id,
                delivery = one.delivery,
                channel = one.channel,
                status = one.status,
                by,
                "{what} by an operator"
            );
        }
    }
}
