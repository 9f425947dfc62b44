//! What partners report about deliveries: put into the durable queue, then answered, then applied.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use axum::{Extension, Json};
use wharf_api::{Problem, ProblemCode, UpdateInput, UpdatesView};
use wharf_core::update::{Claim, Report, Target};
use wharf_core::{ChannelName, MessageId, Update, limits};
use wharf_plugin::types::{ReceiptRequest, Reported};

use super::App;
use super::auth::{Caller, name_of};
use super::body::collect;
use super::channels::{known, known_name};
use super::input::input_up_to;
use super::problem::{Answer, internal, not_changed};
use crate::clock;
use crate::dispatch::cut;
use crate::limits::{RECEIPT_BYTES_MAX, RECEIPT_UPDATES_MAX, UPDATE_CODE_BYTES_MAX};

type Received = (StatusCode, Json<UpdatesView>);

/// `POST /v1/updates`: in our own form, about any channel.
pub(super) async fn update(
    State(app): State<Arc<App>>,
    caller: Option<Extension<Caller>>,
    request: Request,
) -> Result<Received, Answer> {
    let mut input: UpdateInput = input_up_to(request, RECEIPT_BYTES_MAX).await?;
    let name = input.channel.take();
    let name = name.ok_or_else(|| invalid("channel", "it is missing: an update is about one"))?;
    let channel = known_name(&app, &name)?;
    receive(&app, vec![read(input, channel)?], name_of(caller.as_ref())).await
}

/// `POST /v1/channels/{name}/receipts`: read by the channel's receiver, or in our own form.
pub(super) async fn receipts(
    State(app): State<Arc<App>>,
    caller: Option<Extension<Caller>>,
    name: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Received, Answer> {
    let channel = known(&app, name)?;
    let live = app.live();
    let shown = live.channels.iter().find(|shown| shown.is(&channel));
    let updates = match shown.filter(|shown| shown.receives()) {
        Some(shown) => {
            let bound = shown.bound().borrow().clone();
            let receiver = bound.and_then(|bound| bound.receiver.clone());
            let receiver = receiver.ok_or_else(|| failed(&channel, "cannot be asked"))?;
            interpret(&app, receiver, channel, request).await?
        }
        None => {
            let input: UpdateInput = input_up_to(request, RECEIPT_BYTES_MAX).await?;
            if input
                .channel
                .as_ref()
                .is_some_and(|other| other != channel.as_str())
            {
                return Err(invalid("channel", "it is not the one of the path").into());
            }
            vec![read(input, channel)?]
        }
    };
    receive(&app, updates, name_of(caller.as_ref())).await
}

/// Has the channel's plugin read a report.
async fn interpret(
    app: &App,
    receiver: wharf_plugin::Receiver,
    channel: ChannelName,
    request: Request,
) -> Result<Vec<Update>, Answer> {
    let (head, body) = request.into_parts();
    let body = collect(&head.headers, body, RECEIPT_BYTES_MAX).await?;
    let headers = head.headers.iter();
    let headers = headers.filter(|(name, _)| *name != AUTHORIZATION);
    let headers = headers.filter_map(|(name, value)| {
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
    });
    let now = clock::now();
    let asked = ReceiptRequest {
        channel: channel.to_string(),
        headers: headers.collect(),
        body: body.into(),
        now_ms: now.0,
    };
    let answer = app
        .workers
        .spawn(async move { receiver.interpret(&asked).await });
    let updates = match answer.await.map_err(|e| internal(&e))? {
        Ok(Ok(updates)) => updates,
        Ok(Err(reason)) => {
            let reason = cut(reason, limits::REASON_BYTES_MAX);
            return Err(Problem::new(ProblemCode::ReceiptRefused, reason).into());
        }
        Err(fault) => {
            // Its detail can hold what the guest printed.
            tracing::warn!(
                channel = %channel,
                fault = fault.kind().as_str(),
                error = &fault as &dyn std::error::Error,
                detail = fault.detail(),
                "a receiver faulted"
            );
            return Err(failed(&channel, "failed"));
        }
    };
    if updates.len() > RECEIPT_UPDATES_MAX {
        let why = format!(
            "it reports {} updates; one takes at most {RECEIPT_UPDATES_MAX}",
            updates.len()
        );
        return Err(Problem::new(ProblemCode::ReceiptRefused, why).into());
    }
    let updates = updates.into_iter().map(|update| {
        let input = UpdateInput {
            channel: None,
            id: update.message_id,
            token: update.token,
            sender: update.sender,
            sender_ref: update.sender_ref,
            status: Some(
                match update.status {
                    Reported::Delivered => "delivered",
                    Reported::Provisional => "provisional",
                    Reported::Pending => "pending",
                    Reported::Rejected => "rejected",
                }
                .to_owned(),
            ),
            code: update.code,
            reason: update.reason,
            reference: update.reference,
            notes: update.notes,
        };
        Ok(read(input, channel.clone())?)
    });
    updates.collect()
}

/// Checks the names of a delivery, and cuts what is said of it to what the journal keeps.
fn read(input: UpdateInput, channel: ChannelName) -> Result<Update, Problem> {
    let status = match input.status.as_deref() {
        Some("delivered") => Claim::Delivered,
        Some("provisional") => Claim::Provisional,
        Some("pending") => Claim::Pending,
        Some("rejected") => Claim::Rejected,
        Some(_) | None => {
            let why = "it takes delivered, provisional, pending or rejected";
            return Err(invalid("status", why));
        }
    };
    let id = input.id.as_deref().map(MessageId::parse).transpose();
    let id = id.map_err(|e| Problem::new(ProblemCode::InvalidId, e.to_string()).field("id"))?;
    for (field, text, most) in [
        ("token", &input.token, limits::TOKEN_BYTES_MAX),
        ("sender", &input.sender, limits::VALUE_BYTES_MAX),
        ("sender_ref", &input.sender_ref, limits::VALUE_BYTES_MAX),
    ] {
        if text.as_ref().is_some_and(|text| text.len() > most) {
            return Err(invalid(field, &format!("it takes at most {most} bytes")));
        }
    }
    let mut notes = input.notes;
    notes.truncate(limits::NOTES_COUNT_MAX);
    let mut left = limits::NOTES_BYTES_MAX;
    notes.retain(|(name, value)| {
        let fits = name.len() + value.len() <= left;
        left = left.saturating_sub(name.len() + value.len());
        fits
    });
    let short = |text: Option<String>, most| text.map(|text| cut(text, most));
    Ok(Update {
        channel,
        target: Target {
            id,
            token: input.token,
            sender: input.sender,
            sender_ref: input.sender_ref,
        },
        report: Report {
            status,
            code: short(input.code, UPDATE_CODE_BYTES_MAX),
            reason: short(input.reason, limits::REASON_BYTES_MAX),
            reference: short(input.reference, limits::REFERENCE_BYTES_MAX),
            notes,
        },
        received_at: clock::now(),
    })
}

/// Puts updates into the queue; who reported them is in the journal then, where the token has a name.
async fn receive(
    app: &App,
    mut updates: Vec<Update>,
    by: Option<&str>,
) -> Result<Received, Answer> {
    for update in &mut updates {
        let by = by.map(|by| (REPORTED_BY.to_owned(), by.to_owned()));
        update.report.notes.extend(by);
    }
    let numbers = match updates.is_empty() {
        true => Vec::new(),
        false => app
            .store
            .receive(&updates)
            .await
            .map_err(|e| not_changed(&e))?,
    };
    let view = UpdatesView { updates: numbers };
    Ok((StatusCode::ACCEPTED, Json(view)))
}

/// The note that says whose token a report came with.
const REPORTED_BY: &str = "reported-by";

fn invalid(field: &str, why: &str) -> Problem {
    Problem::new(ProblemCode::InvalidField, format!("{field}: {why}")).field(field)
}

fn failed(channel: &ChannelName, what: &str) -> Answer {
    Problem::new(
        ProblemCode::ReceiverFailed,
        format!(
            "the receiver of channel {:?} {what}; nothing was stored, send it again later",
            channel.as_str()
        ),
    )
    .into()
}
