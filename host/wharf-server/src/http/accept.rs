//! Accepting messages.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use wharf_api::{BatchLine, FIRST_LINE, NDJSON, Problem, ProblemCode, SendAnswer};
use wharf_core::{Message, MessageId};
use wharf_store::{Accept, Accepted};

use super::App;
use super::body::collect;
use super::form::{BatchForm, Form, Reading};
use super::identity::Identity;
use super::problem::{Answer, commit_unknown, internal, not_written};
use crate::clock;
use crate::disk::Room;
use crate::limits::{BATCH_BYTES_MAX, BATCH_LINE_MAX};
use crate::reload::Live;
use crate::routing::Plan;

/// `POST /v1/messages`: one message.
pub(super) async fn send(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, Answer> {
    refuse_when_closed(&app)?;
    let (head, body) = request.into_parts();
    let form = Form::of(&head.headers)?;
    let identity = Identity::of(&app, &head)?;
    let most = form.body_bytes_max(app.payload_bytes_max);
    let body = collect(&head.headers, body, most).await?;
    let message = form.read(&head.headers, body, &reading(&app, &identity, None))?;
    let id = message.id.clone();
    let accepted = app
        .store
        .accept(vec![plan(&app.live(), message).await])
        .await
        .map_err(|e| not_written(&e))?;
    let accepted = accepted.into_iter().next().ok_or_else(commit_unknown)?;
    let answer = answer(&id, accepted).ok_or_else(|| identity.conflict(&id, None))?;
    Ok((StatusCode::ACCEPTED, Json(answer)).into_response())
}

/// `POST /v1/messages/batch`: many messages, answered a line each; all of it is one commit.
pub(super) async fn send_batch(
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Response, Answer> {
    refuse_when_closed(&app)?;
    let (head, body) = request.into_parts();
    let form = BatchForm::of(&head.headers)?;
    let identity = Identity::of(&app, &head)?;
    let first_line = first_line(&head.headers)?;
    let body = collect(&head.headers, body, BATCH_BYTES_MAX).await?;
    let mut lines: Vec<(u64, Result<MessageId, Problem>)> = Vec::new();
    let mut accepts = Vec::new();
    let live = app.live();
    for (place, entry) in form.split(&body)? {
        let line = first_line + place;
        let message = form.read(entry, &reading(&app, &identity, Some(line)));
        let id = match message {
            Ok(message) => {
                let id = message.id.clone();
                accepts.push(plan(&live, message).await);
                Ok(id)
            }
            Err(problem) => Err(problem),
        };
        lines.push((line, id));
    }
    let accepted = app
        .store
        .accept(accepts)
        .await
        .map_err(|e| not_written(&e))?;
    let mut accepted = accepted.into_iter();
    let mut out = Vec::with_capacity(lines.len() * 96);
    for (line, id) in lines {
        let result = match id {
            Ok(id) => {
                let accepted = accepted.next().ok_or_else(commit_unknown)?;
                answer(&id, accepted).ok_or_else(|| identity.conflict(&id, Some(line)))
            }
            Err(problem) => Err(problem),
        };
        let line = match result {
            Ok(accepted) => BatchLine {
                line,
                status: 202,
                accepted: Some(accepted),
                problem: None,
            },
            Err(problem) => BatchLine {
                line,
                status: problem.status,
                accepted: None,
                problem: Some(problem),
            },
        };
        serde_json::to_writer(&mut out, &line).map_err(|e| internal(&e))?;
        out.push(b'\n');
    }
    Ok(([(CONTENT_TYPE, NDJSON)], out).into_response())
}

fn reading<'a>(app: &App, identity: &'a Identity<'a>, line: Option<u64>) -> Reading<'a> {
    Reading {
        identity,
        line,
        now: clock::now(),
        payload_bytes_max: app.payload_bytes_max,
    }
}

async fn plan(live: &Live, message: Message) -> Accept {
    let Plan { planned, unrouted } = live.routing.plan(&message).await;
    Accept {
        message,
        planned,
        unrouted,
    }
}

/// None: the id is taken by other content.
fn answer(id: &MessageId, accepted: Accepted) -> Option<SendAnswer> {
    let (duplicate, deliveries) = match accepted {
        Accepted::New {
            deliveries_count, ..
        } => (false, deliveries_count),
        Accepted::Duplicate {
            deliveries_count, ..
        } => (true, deliveries_count),
        Accepted::Conflict { .. } => return None,
    };
    let status = if deliveries == 0 {
        "unroutable"
    } else {
        "accepted"
    };
    Some(SendAnswer {
        id: id.to_string(),
        duplicate,
        status: status.to_owned(),
        deliveries: u32::from(deliveries),
    })
}

fn refuse_when_closed(app: &App) -> Result<(), Answer> {
    if *app.room.borrow() < Room::Accepts {
        return Err(Problem::new(
            ProblemCode::DiskLow,
            "the disk is nearly full and no message is accepted; send it again later",
        )
        .into());
    }
    if app.phase.is_draining() {
        return Err(Problem::new(
            ProblemCode::ShuttingDown,
            "the server is stopping and takes no more messages; send it again",
        )
        .into());
    }
    Ok(())
}

/// The number of the first line, where what is sent is a piece of something longer: in the answers, and for the ids that
/// an idempotency key gives, lines count from here.
fn first_line(headers: &HeaderMap) -> Result<u64, Problem> {
    let Some(value) = headers.get(HeaderName::from_static(FIRST_LINE)) else {
        return Ok(1);
    };
    let line = value.to_str().ok().and_then(|text| text.parse().ok());
    line.filter(|line| (1..=BATCH_LINE_MAX).contains(line))
        .ok_or_else(|| {
            Problem::new(
                ProblemCode::InvalidField,
                format!("{FIRST_LINE}: it takes a number of 1 to {BATCH_LINE_MAX}"),
            )
            .field(FIRST_LINE)
        })
}
