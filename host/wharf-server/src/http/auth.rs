//! The API token.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::Response;
use subtle::ConstantTimeEq;
use wharf_api::{Problem, ProblemCode};

use super::App;
use super::problem::Answer;

/// What a request says about the token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Token {
    /// It is right, or none is configured.
    Right,
    Wrong,
    Missing,
}

/// Compares in constant time.
pub(super) fn token(app: &App, headers: &HeaderMap) -> Token {
    let Some(token) = &app.token else {
        return Token::Right;
    };
    let Some(given) = headers.get(AUTHORIZATION) else {
        return Token::Missing;
    };
    let given = given.as_bytes().trim_ascii();
    let Some((scheme, given)) = given.split_at_checked("bearer ".len()) else {
        return Token::Wrong;
    };
    if scheme.eq_ignore_ascii_case(b"bearer ")
        && bool::from(given.trim_ascii().ct_eq(token.as_bytes()))
    {
        Token::Right
    } else {
        Token::Wrong
    }
}

/// Lets a request pass that carries the token, or any where none is configured.
pub(super) async fn check(
    State(app): State<Arc<App>>,
    request: Request,
    next: Next,
) -> Result<Response, Answer> {
    let detail = match token(&app, request.headers()) {
        Token::Right => return Ok(next.run(request).await),
        Token::Wrong => "the API token is wrong",
        Token::Missing => "this server takes an API token: send `Authorization: Bearer <token>`",
    };
    Err(Problem::new(ProblemCode::Unauthorized, detail).into())
}
