//! The API token.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::Response;
use subtle::ConstantTimeEq;
use wharf_api::{Problem, ProblemCode};

use super::App;
use super::problem::Answer;

/// Lets a request pass that carries the token, or any where none is configured.
pub(super) async fn check(
    State(app): State<Arc<App>>,
    request: Request,
    next: Next,
) -> Result<Response, Answer> {
    let Some(token) = &app.token else {
        return Ok(next.run(request).await);
    };
    let given = request
        .headers()
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim());
    match given {
        Some(given) if bool::from(given.as_bytes().ct_eq(token.as_bytes())) => {
            Ok(next.run(request).await)
        }
        Some(_) => Err(Problem::new(ProblemCode::Unauthorized, "the API token is wrong").into()),
        None => Err(Problem::new(
            ProblemCode::Unauthorized,
            "this server takes an API token: send `Authorization: Bearer <token>`",
        )
        .into()),
    }
}
