//! Redriving: of a message, or of what a list of dead letters has, a page at a time.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::{Extension, Json};
use wharf_api::{
    ChangeResult, ChangedDelivery, ChangedEntry, ChangedView, Problem, ProblemCode, RedriveInput,
    RedriveListInput, RedrivenView,
};
use wharf_core::{ChannelName, MessageSeq, Standing, operator};
use wharf_store::{DeliveryView, MessageView, Of, ReadError, Redrive, Redriven};

use super::App;
use super::auth::{Caller, name_of};
use super::change::{changed, stands, tell};
use super::input::{Wanted, bounded, input};
use super::lists::{DEAD_LETTERS, page};
use super::messages::{find, known_id, status};
use super::problem::{Answer, internal, not_changed};
use super::reroute::{plan, reroute};
use crate::clock;

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
    let how = How {
        reconvert: wanted.reconvert,
        new_key: wanted.new_key,
        dry_run: wanted.dry_run,
    };
    let routed = match &wanted.channel {
        None => plan(&app, &found).await,
        Some(_) => Err(None),
    };
    let (changed, said) = match routed {
        Ok(routed) => (reroute(&app, &[routed], how.dry_run).await?.concat(), None),
        Err(said) => (redriven(&app, &found.deliveries, how).await?, said),
    };
    let is_done = |one: &ChangedDelivery| one.result != ChangeResult::Unchanged;
    if !changed.iter().any(is_done) {
        let why = match &wanted.channel {
            Some(channel) if found.deliveries.is_empty() => {
                format!("{id} has no delivery to the channel {channel:?}")
            }
            _ if found.standing.is_some() => match said {
                Some(said) => format!("the router sends {id} nowhere now either: {said}"),
                None => format!("no route matches {id} now either"),
            },
            _ => stands(&id, &found, "redrive"),
        };
        return Err(Problem::new(ProblemCode::NotRedrivable, why).into());
    }
    for one in &changed {
        tell("redriven", &id, one, name_of(caller.as_ref()));
    }
    Ok(Json(ChangedView {
        message: id.to_string(),
        deliveries: changed,
    }))
}

/// `POST /v1/dead-letters/redrive`: what a page of the list has is sent again, in one commit, or routed again, in another.
pub(super) async fn redrive_listed(
    State(app): State<Arc<App>>,
    caller: Option<Extension<Caller>>,
    request: Request,
) -> Result<Json<RedrivenView>, Answer> {
    let input: RedriveListInput = input(request).await?;
    let mut wanted = Wanted::all(&DEAD_LETTERS, &[Standing::Unroutable]);
    if let Some(status) = &input.status {
        wanted.narrow(status)?;
    }
    if let Some(after) = &input.after {
        wanted.after(after)?;
    }
    if let Some(limit) = input.limit {
        wanted.limit = bounded(limit)?;
    }
    wanted.filter.channel = input.channel.as_deref().map(ChannelName::new);
    let page = page(&app, wanted).await?;
    let how = How {
        reconvert: input.reconvert,
        new_key: input.new_key,
        dry_run: input.dry_run,
    };
    let (mut messages, mut deliveries, mut routed) = (Vec::new(), Vec::new(), Vec::new());
    let (mut unroutable, mut unreadable) = (0, page.unreadable_count);
    for entry in page.entries {
        match entry.of {
            Of::Delivery(delivery) => {
                messages.push(entry.message);
                deliveries.push(delivery);
            }
            // One by one: their payloads are not in memory together.
            Of::Message(_) => match find_numbered(&app, entry.seq).await? {
                Some(found) => match plan(&app, &found).await {
                    Ok(one) => routed.push(one),
                    Err(_) => unroutable += 1,
                },
                None => unreadable += 1,
            },
        }
    }
    let redriven = redriven(&app, &deliveries, how).await?;
    let rerouted = reroute(&app, &routed, how.dry_run).await?;
    let rerouted = routed.into_iter().zip(rerouted).flat_map(|(one, changed)| {
        let message = one.message;
        changed.into_iter().map(move |one| (message.clone(), one))
    });
    let mut changed: Vec<_> = messages.into_iter().zip(redriven).chain(rerouted).collect();
    changed.sort_by_key(|(_, one)| one.delivery);
    let by = name_of(caller.as_ref());
    for (id, one) in &changed {
        tell("redriven", id, one, by);
    }
    let deliveries = changed.into_iter().map(|(message, changed)| ChangedEntry {
        message: message.to_string(),
        changed,
    });
    Ok(Json(RedrivenView {
        deliveries: deliveries.collect(),
        unroutable,
        unreadable,
        next: page.next.map(|id| id.0.to_string()),
    }))
}

/// A message that a list has told of; none where it is not there any more, or cannot be read.
async fn find_numbered(app: &Arc<App>, seq: MessageSeq) -> Result<Option<MessageView>, Answer> {
    let app = Arc::clone(app);
    let found = tokio::task::spawn_blocking(move || app.store.get_numbered(seq))
        .await
        .map_err(|e| internal(&e))?;
    match found {
        Ok(found) => Ok(found),
        Err(error @ ReadError::Malformed(_)) => {
            tracing::error!(
                message_seq = seq.0,
                error = &error as &dyn std::error::Error,
                "a message cannot be read and is not routed again"
            );
            Ok(None)
        }
        Err(error) => Err(internal(&error)),
    }
}

/// How deliveries are redriven.
#[derive(Clone, Copy)]
struct How {
    reconvert: bool,
    new_key: bool,
    dry_run: bool,
}

async fn redriven(
    app: &App,
    deliveries: &[DeliveryView],
    how: How,
) -> Result<Vec<ChangedDelivery>, Answer> {
    if how.dry_run {
        return Ok(deliveries.iter().map(foretold).collect());
    }
    let at = clock::now();
    let batch = deliveries.iter().map(|delivery| Redrive {
        delivery: delivery.id,
        reconvert: how.reconvert,
        new_key: how.new_key,
        at,
    });
    let answers = app.store.redrive(batch.collect()).await;
    let answers = answers.map_err(|e| not_changed(&e))?;
    let answered = deliveries.iter().zip(answers);
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
