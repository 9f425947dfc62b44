//! Accepting messages.

use std::sync::{Arc, Mutex};

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use wharf_api::{BatchLine, JSON, NDJSON, Problem, ProblemCode, SendAnswer};
use wharf_core::MessageId;
use wharf_store::{Accept, Accepted};

use super::App;
use super::body::collect;
use super::form::json;
use super::problem::{Answer, commit_unknown, internal, not_written};
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

/// Parses one message and plans its deliveries.
fn prepare(app: &App, body: &[u8]) -> Result<Accept, Problem> {
    let input = json::read(body)?;
    let message = json::check(
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
