//! The routes: what they are, and changing them.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::{Extension, Json};
use serde::Serialize;
use wharf_api::{Problem, ProblemCode, ReloadView, RouteView, RoutesView};

use super::App;
use super::auth::{Caller, name_of};
use super::input::{Nothing, input, input_up_to};
use super::problem::{Answer, internal};
use crate::limits::ROUTES_BODY_BYTES_MAX;
use crate::reload::ReloadError;
use crate::routing;

/// `GET /v1/routes`
pub(super) async fn list(State(app): State<Arc<App>>) -> Json<RoutesView> {
    let live = app.live();
    let routes = live.routes.routes.iter().map(routing::view);
    Json(RoutesView {
        routes: routes.collect(),
    })
}

/// `PUT /v1/routes`: these in the place of all that there are, on disk and at once.
pub(super) async fn put(
    State(app): State<Arc<App>>,
    caller: Option<Extension<Caller>>,
    request: Request,
) -> Result<Json<ReloadView>, Answer> {
    let given: Option<RoutesView> = input_up_to(request, ROUTES_BODY_BYTES_MAX).await?;
    let Some(RoutesView { routes }) = given else {
        let why = "the body is empty: no routes at all are put as {\"routes\": []}";
        return Err(Problem::new(ProblemCode::MalformedBody, why).into());
    };
    let text = toml::to_string(&File { route: &routes }).map_err(|error| {
        let why = format!("routes: they cannot be written as TOML: {error}");
        Answer::from(Problem::new(ProblemCode::InvalidField, why).field("routes"))
    })?;
    let by = name_of(caller.as_ref()).map(str::to_owned);
    let changed = app.reload.routes(text, by).await;
    changed.map(Json).map_err(|error| not_reloaded(&error))
}

/// `POST /v1/config/reload`: the configuration is read again.
pub(super) async fn reload(
    State(app): State<Arc<App>>,
    caller: Option<Extension<Caller>>,
    request: Request,
) -> Result<Json<ReloadView>, Answer> {
    let Nothing {} = input(request).await?;
    let by = name_of(caller.as_ref()).map(str::to_owned);
    let changed = app.reload.files(by).await;
    changed.map(Json).map_err(|error| not_reloaded(&error))
}

/// The file of routes, as it is written.
#[derive(Serialize)]
struct File<'a> {
    route: &'a [RouteView],
}

fn not_reloaded(error: &ReloadError) -> Answer {
    let code = match error {
        ReloadError::Problems(_)
        | ReloadError::Bind(_)
        | ReloadError::Router
        | ReloadError::NotRunning(_) => ProblemCode::ConfigInvalid,
        ReloadError::NoRoutesFile(_) => ProblemCode::RoutesInFile,
        ReloadError::Stopping => ProblemCode::ShuttingDown,
        ReloadError::Write { .. } => return internal(error),
    };
    Problem::new(code, error.to_string()).into()
}
