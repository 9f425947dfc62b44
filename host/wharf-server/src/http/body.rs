//! Bodies of requests: collected within bounds, and read to their end where the request was refused before.
//!
//! A client that is still sending when its connection closes loses the answer with it. So what a refused request
//! still sends is read and thrown away, within bounds, and the refusal goes out after it.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::http::header::EXPECT;
use axum::middleware::Next;
use axum::response::Response;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::{Frame, SizeHint};
use tokio::time::timeout;
use wharf_api::{Problem, ProblemCode};

use super::encoding::{Coding, Undecoded};
use super::problem::Answer;
use crate::limits::{BODY_READ_TIMEOUT, DISCARD_BYTES_MAX, SMALL_BODY_BYTES};

/// The whole body, if it has at most `most` bytes; a compressed one unfolded.
pub(super) async fn collect(headers: &HeaderMap, body: Body, most: usize) -> Result<Bytes, Answer> {
    let collected = match Coding::of(headers)? {
        None => timeout(BODY_READ_TIMEOUT, plain(body, most)).await,
        // In a box: the decoder's state would make every request's larger.
        Some(coding) => timeout(BODY_READ_TIMEOUT, Box::pin(encoded(coding, body, most))).await,
    };
    match collected {
        Ok(collected) => Ok(collected?),
        Err(_) => Err(Problem::new(
            ProblemCode::MalformedBody,
            format!("the body did not arrive within {BODY_READ_TIMEOUT:?}; nothing was stored"),
        )
        .into()),
    }
}

async fn plain(body: Body, most: usize) -> Result<Bytes, Problem> {
    match Limited::new(body, most).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large(most)),
        Err(error) => Err(Problem::new(
            ProblemCode::MalformedBody,
            format!("the body broke off: {error}"),
        )),
    }
}

async fn encoded(coding: Coding, body: Body, most: usize) -> Result<Bytes, Problem> {
    match coding.decode(body, most).await {
        Ok(decoded) => Ok(decoded),
        Err(Undecoded::TooLarge) => Err(too_large(most)),
        Err(Undecoded::Broken(error)) => Err(Problem::new(
            ProblemCode::MalformedBody,
            format!("the body is not what its content-encoding says, or it broke off: {error}"),
        )
        .field("body")),
    }
}

fn too_large(most: usize) -> Problem {
    Problem::new(
        ProblemCode::PayloadTooLarge,
        format!("the body is larger than the {most} bytes that are read here"),
    )
    .field("body")
}

/// Lets the client of a refused request finish sending. Goes around everything that can refuse one.
pub(super) async fn finish_refused(request: Request, next: Next) -> Response {
    // One that waits for `100 Continue` before it sends is answered at once. A small body is in the sockets' buffers
    // by now.
    let is_small = request
        .body()
        .size_hint()
        .upper()
        .is_some_and(|bytes| bytes <= SMALL_BODY_BYTES);
    if is_small || request.headers().contains_key(EXPECT) {
        return next.run(request).await;
    }
    let (head, body) = request.into_parts();
    let rest = Shared(Arc::new(Mutex::new(body)));
    let request = Request::from_parts(head, Body::new(rest.clone()));
    let response = next.run(request).await;
    if !response.status().is_success() {
        // What takes longer loses its answer.
        let _ = timeout(BODY_READ_TIMEOUT, discard(rest)).await;
    }
    response
}

async fn discard(mut body: Shared) {
    let mut left = DISCARD_BYTES_MAX;
    while let Some(Ok(frame)) = body.frame().await {
        match left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}

/// A body that can be read on by another when its reader has dropped it.
#[derive(Clone)]
struct Shared(Arc<Mutex<Body>>);

impl Shared {
    fn with<T>(&self, use_body: impl FnOnce(Pin<&mut Body>) -> T) -> T {
        use_body(Pin::new(
            &mut self.0.lock().unwrap_or_else(PoisonError::into_inner),
        ))
    }
}

impl HttpBody for Shared {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.with(|body| body.poll_frame(context))
    }

    fn is_end_stream(&self) -> bool {
        self.with(|body| body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.with(|body| body.size_hint())
    }
}
