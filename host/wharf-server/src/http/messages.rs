//! Accepting and showing messages.

use std::sync::{Arc, Mutex};

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use wharf_api::{
    AttemptView, BatchLine, DeliveryView, JSON, JournalView, MessageView, NDJSON, Problem,
    ProblemCode, RowView, SendAnswer,
};
use wharf_core::{DeliveryId, MessageId, Status, TimeMs, journal};
use wharf_store::{Accept, Accepted};

use super::body::collect;
use super::problem::{Answer, commit_unknown, internal, not_written};
use super::{App, input};
use crate::clock;
use crate::limits::{
    BATCH_BYTES_MAX, BATCH_MESSAGES_MAX, JSON_OVERHEAD_BYTES, JSON_OVERHEAD_FACTOR,
};

/// Makes ids for messages that come without one: ULIDs that rise within the process.
pub(crate) struct MessageIds(Mutex<ulid::Generator>);

impl MessageIds {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(ulid::Generator::new()))
    }

    fn next(&self) -> MessageId {
        let mut generator = self.0.lock().expect("making an id does not panic");
        let ulid = generator
            .generate()
            .unwrap_or_else(|_| ulid::Ulid::generate());
        MessageId::parse(&ulid.to_string()).expect("a ULID is 26 of Crockford's base32")
    }
}

/// `POST /v1/messages`: one message in the JSON form.
pub(super) async fn send(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Answer> {
    refuse_when_draining(&app)?;
    media_type(&headers, JSON)?;
    let most = app.payload_bytes_max * JSON_OVERHEAD_FACTOR + JSON_OVERHEAD_BYTES;
    let body = collect(body, most).await?;
    let accept = prepare(&app, &body)?;
    let id = accept.message.id.clone();
    let accepted = app
        .store
        .accept(vec![accept])
        .await
        .map_err(|e| not_written(&e))?;
    let accepted = accepted.into_iter().next().ok_or_else(commit_unknown)?;
    let answer = answer(&id, accepted)?;
    Ok((StatusCode::ACCEPTED, Json(answer)).into_response())
}

/// `POST /v1/messages/batch`: one JSON form a line, answered a line each; all of it is one commit.
pub(super) async fn send_batch(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Answer> {
    refuse_when_draining(&app)?;
    media_type(&headers, NDJSON)?;
    let body = collect(body, BATCH_BYTES_MAX).await?;
    let mut lines: Vec<(u64, Result<MessageId, Problem>)> = Vec::new();
    let mut accepts = Vec::new();
    for (index, line) in body.split(|byte| *byte == b'\n').enumerate() {
        if line.trim_ascii().is_empty() {
            continue;
        }
        if lines.len() == BATCH_MESSAGES_MAX {
            return Err(Problem::new(
                ProblemCode::PayloadTooLarge,
                format!("a batch takes {BATCH_MESSAGES_MAX} messages; nothing of it was stored"),
            )
            .into());
        }
        let prepared = prepare(&app, line).map(|accept| {
            let id = accept.message.id.clone();
            accepts.push(accept);
            id
        });
        lines.push((index as u64 + 1, prepared));
    }
    let accepted = app
        .store
        .accept(accepts)
        .await
        .map_err(|e| not_written(&e))?;
    let mut accepted = accepted.into_iter();
    let mut out = Vec::with_capacity(lines.len() * 96);
    for (line, prepared) in lines {
        let result = match prepared {
            Ok(id) => match accepted.next() {
                Some(accepted) => answer(&id, accepted),
                None => return Err(commit_unknown()),
            },
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

/// `GET /v1/messages/{id}`
pub(super) async fn show(
    State(app): State<Arc<App>>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<MessageView>, Answer> {
    let (app, id) = (Arc::clone(&app), known_id(id)?);
    let wanted = id.clone();
    let found = tokio::task::spawn_blocking(move || app.store.get(&wanted))
        .await
        .map_err(|e| internal(&e))?
        .map_err(|e| internal(&e))?
        .ok_or_else(|| no_message(&id))?;
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
            .map(|delivery| DeliveryView {
                id: delivery.id.0,
                channel: delivery.channel.to_string(),
                route: delivery.route.to_string(),
                status: if delivery.is_leased {
                    "sending".to_owned()
                } else {
                    delivery.status.to_string()
                },
                attempts: delivery.attempts_count,
                due: text(delivery.due),
            })
            .collect(),
    }))
}

/// `GET /v1/messages/{id}/journal`
pub(super) async fn journal(
    State(app): State<Arc<App>>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<JournalView>, Answer> {
    let id = known_id(id)?;
    let wanted = id.clone();
    let (view, rows) = tokio::task::spawn_blocking(move || {
        app.store
            .get(&wanted)
            .and_then(|view| Ok((view, app.store.journal_of(&wanted)?)))
    })
    .await
    .map_err(|e| internal(&e))?
    .map_err(|e| internal(&e))?;
    let view = view.ok_or_else(|| no_message(&id))?;
    let channel_of = |delivery: DeliveryId| {
        view.deliveries
            .iter()
            .find(|d| d.id == delivery)
            .map(|d| d.channel.to_string())
    };
    let rows = rows
        .iter()
        .map(|row| journal_row(row, &id, channel_of))
        .collect();
    Ok(Json(JournalView { rows }))
}

/// A journal row as the API shows it.
fn journal_row(
    row: &journal::Row,
    message: &MessageId,
    channel_of: impl Fn(DeliveryId) -> Option<String>,
) -> RowView {
    let (delivery, from, to) = match row.subject {
        journal::Subject::Delivery { id, from, to } => {
            (Some(id), from.map(|s| s.to_string()), to.to_string())
        }
        journal::Subject::Message { standing, .. } => (None, None, standing.to_string()),
    };
    RowView {
        cursor: row.cursor.0,
        at: row.at.to_string(),
        message: message.to_string(),
        delivery: delivery.map(|d| d.0),
        channel: delivery.and_then(channel_of),
        from,
        to,
        cause: row.cause.to_string(),
        due: row.due.map(|t| t.to_string()),
        attempt: row.attempt.as_deref().map(|attempt| AttemptView {
            number: attempt.number,
            started_at: attempt.started_at.to_string(),
            duration_ms: attempt.duration_us as f64 / 1000.0,
            code: attempt.code.clone(),
            reason: attempt.reason.clone(),
            effect: attempt.effect.map(|effect| {
                match effect {
                    wharf_core::outcome::Effect::None => "none",
                    wharf_core::outcome::Effect::Unknown => "unknown",
                }
                .to_owned()
            }),
            reference: attempt.reference.clone(),
            body_sha256: attempt.body_sha256.map(hex::encode),
            plugins: attempt.plugins.clone(),
            notes: attempt.notes.clone(),
        }),
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
        Status::Superseded,
        Status::Delivered,
    ];
    ORDER
        .iter()
        .find(|status| message.deliveries.iter().any(|d| d.status == **status))
        .map_or_else(|| "unroutable".to_owned(), ToString::to_string)
}

/// Parses one message and plans its deliveries.
fn prepare(app: &App, body: &[u8]) -> Result<Accept, Problem> {
    let input = input::read(body)?;
    let message = input::check(
        input,
        || app.ids.next(),
        clock::now(),
        app.payload_bytes_max,
    )?;
    let planned = app.routes.plan(&message);
    Ok(Accept { message, planned })
}

fn answer(id: &MessageId, accepted: Accepted) -> Result<SendAnswer, Problem> {
    let (duplicate, deliveries) = match accepted {
        Accepted::New {
            deliveries_count, ..
        } => (false, deliveries_count),
        Accepted::Duplicate {
            deliveries_count, ..
        } => (true, deliveries_count),
        Accepted::Conflict { .. } => {
            return Err(Problem::new(
                ProblemCode::IdConflict,
                format!("the id {id} was accepted before with other content; nothing changed"),
            )
            .field("id"));
        }
    };
    let status = if deliveries == 0 {
        "unroutable"
    } else {
        "accepted"
    };
    Ok(SendAnswer {
        id: id.to_string(),
        duplicate,
        status: status.to_owned(),
        deliveries: u32::from(deliveries),
    })
}

fn refuse_when_draining(app: &App) -> Result<(), Answer> {
    if app.phase.is_draining() {
        return Err(Problem::new(
            ProblemCode::ShuttingDown,
            "the server is stopping and takes no more messages; send it again",
        )
        .into());
    }
    Ok(())
}

fn media_type(headers: &HeaderMap, expected: &str) -> Result<(), Answer> {
    let given = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("");
    let essence = given.split(';').next().unwrap_or("").trim();
    if essence.eq_ignore_ascii_case(expected) {
        return Ok(());
    }
    let detail = if given.is_empty() {
        format!("send content-type: {expected}")
    } else {
        format!("content-type {given:?} is not read here; send {expected}")
    };
    Err(Problem::new(ProblemCode::UnsupportedMediaType, detail)
        .field("content-type")
        .into())
}

/// An id that could be known. One outside the alphabet cannot be.
fn known_id(id: Result<Path<String>, PathRejection>) -> Result<MessageId, Answer> {
    let invalid = |why: String| {
        Answer::from(Problem::new(ProblemCode::InvalidId, format!("id: {why}")).field("id"))
    };
    let Path(id) = id.map_err(|rejection| invalid(rejection.body_text()))?;
    MessageId::parse(&id).map_err(|e| invalid(e.to_string()))
}

fn no_message(id: &MessageId) -> Answer {
    Problem::new(
        ProblemCode::MessageNotFound,
        format!("there is no message {id}"),
    )
    .into()
}
