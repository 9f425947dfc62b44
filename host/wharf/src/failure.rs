//! How a command fails: what went wrong, its causes, what to try next, and the exit code.

use std::fmt;
use std::io::ErrorKind;
use std::process::ExitCode;

use wharf_api::{ClientError, Problem};

/// A failed command.
#[derive(Debug)]
pub(crate) struct Failure {
    error: anyhow::Error,
    /// What to try next.
    hint: Option<String>,
    code: u8,
    /// Nobody reads standard output any more.
    is_unread: bool,
}

/// Exit code of a command that failed.
const FAILED: u8 = 1;
/// Exit code of a command that was called wrongly.
const USAGE: u8 = 2;

impl Failure {
    /// Something did not work.
    pub(crate) fn failed(error: impl Into<anyhow::Error>) -> Self {
        Self {
            error: error.into(),
            hint: None,
            code: FAILED,
            is_unread: false,
        }
    }

    /// The command was called in a way that cannot work.
    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self {
            error: anyhow::anyhow!("{message}"),
            hint: None,
            code: USAGE,
            is_unread: false,
        }
    }

    /// The same, with what to try next.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same, with what it happened to.
    pub(crate) fn context(mut self, what: impl fmt::Display + Send + Sync + 'static) -> Self {
        self.error = self.error.context(what);
        self
    }

    /// Standard output took no more.
    pub(crate) fn output(error: std::io::Error) -> Self {
        Self {
            is_unread: error.kind() == ErrorKind::BrokenPipe,
            ..Self::failed(anyhow::Error::new(error).context("cannot write to standard output"))
        }
    }

    /// Whether it is only that the reader of standard output has gone, as `head` does.
    pub(crate) fn is_unread(&self) -> bool {
        self.is_unread
    }

    /// Prints it and gives the exit code. A reader that closed the pipe is no failure.
    pub(crate) fn report(&self) -> ExitCode {
        if self.is_unread {
            return ExitCode::SUCCESS;
        }
        eprintln!("error: {:#}", self.error);
        if let Some(hint) = &self.hint {
            eprintln!("  try: {hint}");
        }
        ExitCode::from(self.code)
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let hint = match &error {
            ClientError::NoAnswer { .. } => {
                "start a host with `wharf serve`, or name it with --url or WHARF_URL"
            }
            ClientError::Problem(problem) => problem_hint(problem),
            ClientError::Foreign { .. } => "check --url or WHARF_URL: it takes a wharf server's",
        };
        Self {
            error: error.into(),
            hint: Some(hint.to_owned()),
            code: FAILED,
            is_unread: false,
        }
    }
}

/// What to do about a problem. Codes that are not known here are newer than this binary.
fn problem_hint(problem: &Problem) -> &'static str {
    match (problem.code.as_str(), problem.status) {
        ("message-not-found", _) => "check the id; `wharf send` prints it",
        ("id-conflict", _) => "send it with another id, or leave --id out: then one is made",
        ("idempotency-key-reused", _) => {
            "send what was sent with this key before, or take another key"
        }
        ("idempotency-key-required", _) => {
            "give it an id with --id, or a key with --idempotency-key"
        }
        ("channel-not-found", _) => "`wharf channel list` has the names",
        ("config-invalid", _) => "correct each one, and check with `wharf config check`",
        ("routes-in-file", _) => "change wharf.toml, then `wharf config reload`",
        ("not-cancellable" | "not-redrivable", _) => "`wharf why ID` says where it stands",
        ("payload-too-large", _) => "send less at once, or raise api.payload-max",
        (_, 401) => "give the token with --token or WHARF_TOKEN",
        ("forbidden", _) => {
            "use a token that has the scope, or add it to the token's `scopes` in wharf.toml"
        }
        (_, 404 | 405) => {
            "the host may be of another version: compare `wharf --version` there and here"
        }
        (_, 500..) => "try it again with the same id, which is safe; the host's log says why",
        _ => "correct what it names and try it again",
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::failed(error)
    }
}
