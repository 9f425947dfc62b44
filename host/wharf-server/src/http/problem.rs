//! Problems as responses. The only module that knows status codes of errors.

use axum::http::header::{ACCEPT_ENCODING, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use wharf_api::{PROBLEM_JSON, Problem, ProblemCode};
use wharf_store::WriteError;

use super::encoding::CODINGS;

/// A problem on its way to the caller.
#[derive(Debug)]
pub(crate) struct Answer(pub(crate) Box<Problem>);

impl From<Problem> for Answer {
    fn from(problem: Problem) -> Self {
        Self(Box::new(problem))
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let problem = *self.0;
        let status =
            StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("5"));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if problem.code == ProblemCode::UnsupportedContentEncoding.as_str() {
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(CODINGS));
        }
        response
    }
}

/// The store did not take it.
pub(crate) fn not_written(error: &WriteError) -> Answer {
    tracing::warn!(
        error = error as &dyn std::error::Error,
        "a write was not answered"
    );
    match error {
        WriteError::Refused => Problem::new(
            ProblemCode::ShuttingDown,
            "the server takes no more messages; nothing was stored, send it again",
        )
        .into(),
        WriteError::CommitUnknown(_) => commit_unknown(),
        WriteError::IdUnreadable(_) => Problem::new(
            ProblemCode::Internal,
            "whether the id was accepted before cannot be read, and its message is not stored; the log says why",
        )
        .into(),
        WriteError::FirstAnswer(_) => Problem::new(
            ProblemCode::Internal,
            "the message is stored, but what was answered before cannot be read; the log says why",
        )
        .into(),
    }
}

/// An operator's change was not acknowledged.
pub(crate) fn not_changed(error: &WriteError) -> Answer {
    tracing::warn!(
        error = error as &dyn std::error::Error,
        "a change was not answered"
    );
    match error {
        WriteError::Refused => Problem::new(
            ProblemCode::ShuttingDown,
            "the server is stopping; nothing was changed, ask again",
        )
        .into(),
        WriteError::CommitUnknown(_) => Problem::new(
            ProblemCode::CommitUnknown,
            "the commit failed and may or may not be on disk; look where it stands, and ask again",
        )
        .into(),
        WriteError::IdUnreadable(_) | WriteError::FirstAnswer(_) => internal(error),
    }
}

/// The store failed a commit: whether it is on disk is not known.
pub(crate) fn commit_unknown() -> Answer {
    Problem::new(
        ProblemCode::CommitUnknown,
        "the commit failed and may or may not be on disk; send it again with the same id, that is safe",
    )
    .into()
}

/// Reads the store, which may wait for the disk: beside the threads of the API, not on them.
pub(crate) async fn read<T, E>(
    read: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, Answer>
where
    T: Send + 'static,
    E: std::error::Error + Send + 'static,
{
    tokio::task::spawn_blocking(read)
        .await
        .map_err(|e| internal(&e))?
        .map_err(|e| internal(&e))
}

/// A read failed. The log has the cause; the caller does not.
pub(crate) fn internal(error: &(dyn std::error::Error + 'static)) -> Answer {
    tracing::error!(error, "a request failed");
    Problem::new(ProblemCode::Internal, "the server failed; its log says why").into()
}

pub(crate) async fn not_found(uri: Uri) -> Answer {
    Problem::new(
        ProblemCode::NotFound,
        format!("there is nothing at {}", uri.path()),
    )
    .into()
}

pub(crate) async fn method_not_allowed(method: Method, uri: Uri) -> Answer {
    Problem::new(
        ProblemCode::MethodNotAllowed,
        format!("{} does not take {method}", uri.path()),
    )
    .into()
}
