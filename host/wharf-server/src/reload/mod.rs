//! Changing channels and routes while the host runs.
//!
//! Files are the one source of truth: `wharf.toml`, and the file of routes that it may name (`api.routes-file`). SIGHUP and
//! `POST /v1/config/reload` read them again; `PUT /v1/routes` writes the latter, and is refused where there is none: what
//! stands in `wharf.toml` is changed there. So a restart never undoes a change, nor does anything that is not on disk run.
//!
//! Everything is checked first, as at a start, and so is that every channel that works goes on working. Then it is swapped
//! as a whole: a message is planned by all of the old routes or by all of the new ones. What else has changed in
//! `wharf.toml` takes a restart, and is named.
//!
//! Limits of the choice: a message that was planned just before its channel went has a delivery that waits for it, like
//! all that is there for a channel that is not configured. A channel that goes and comes back while its last attempts run
//! has both for that time.

mod difference;
mod live;
mod routes_file;
mod service;

use tokio::sync::{mpsc, oneshot};
use wharf_api::ReloadView;

use crate::config::Problems;

pub(crate) use live::Live;
pub(crate) use service::{Bound, Options, Reloader};

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReloadError {
    #[error(transparent)]
    Problems(#[from] Problems),
    /// A channel that works would not any more.
    #[error("{0}")]
    Bind(String),
    /// Only a restart does that.
    #[error(
        "hooks.router has changed, and what decides about messages is not swapped while they come: restart the host"
    )]
    Router,
    /// There is no file that the API may write.
    #[error(
        "the routes are in {0}: change them there and reload it, or move them to a file of their own that api.routes-file names"
    )]
    NoRoutesFile(String),
    /// A route names a channel that is in the file and does not run yet.
    #[error("channel {0:?} is configured and does not run yet: reload the configuration first")]
    NotRunning(String),
    #[error("cannot write {path}")]
    Write {
        path: String,
        #[source]
        source: std::io::Error,
    },
    #[error("the host is stopping; nothing was changed")]
    Stopping,
}

/// What is asked of the [`Reloader`].
pub(crate) struct Ask {
    wanted: Wanted,
    by: Option<String>,
    answer: oneshot::Sender<Result<ReloadView, ReloadError>>,
}

enum Wanted {
    /// Read everything again.
    Files,
    /// Write the file of routes, and use it.
    Routes(String),
}

/// Asks the [`Reloader`].
#[derive(Clone)]
pub(crate) struct Reload(mpsc::Sender<Ask>);

/// Requests that wait at the reloader: an operator has few hands.
const ASKS_WAITING_MAX: usize = 4;

impl Reload {
    pub(crate) fn new() -> (Self, mpsc::Receiver<Ask>) {
        let (asks, asked) = mpsc::channel(ASKS_WAITING_MAX);
        (Self(asks), asked)
    }

    /// Reads the files again and uses what they say.
    pub(crate) async fn files(&self, by: Option<String>) -> Result<ReloadView, ReloadError> {
        self.ask(Wanted::Files, by).await
    }

    /// Puts `routes`, the text of a file of routes, on disk and to use.
    pub(crate) async fn routes(
        &self,
        routes: String,
        by: Option<String>,
    ) -> Result<ReloadView, ReloadError> {
        self.ask(Wanted::Routes(routes), by).await
    }

    async fn ask(&self, wanted: Wanted, by: Option<String>) -> Result<ReloadView, ReloadError> {
        let (answer, answered) = oneshot::channel();
        let ask = Ask { wanted, by, answer };
        self.0.send(ask).await.map_err(|_| ReloadError::Stopping)?;
        answered.await.map_err(|_| ReloadError::Stopping)?
    }
}
