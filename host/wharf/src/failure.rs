//! How a command fails: what went wrong, its causes, what to try next, and the exit code.

use std::fmt;
use std::io::ErrorKind;
use std::process::ExitCode;

use wharf_api::ClientError;

/// A failed command.
#[derive(Debug)]
pub(crate) struct Failure {
    error: anyhow::Error,
    /// What to try next.
    hint: Option<String>,
    code: u8,
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
        }
    }

    /// The command was called in a way that cannot work.
    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self {
            error: anyhow::anyhow!("{message}"),
            hint: None,
            code: USAGE,
        }
    }

    /// The same, with what to try next.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Prints it and gives the exit code. A reader that closed the pipe is no failure.
    pub(crate) fn report(&self) -> ExitCode {
        let broken_pipe = self
            .error
            .chain()
            .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
            .any(|error| error.kind() == ErrorKind::BrokenPipe);
        if broken_pipe {
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
                Some("start a host with `wharf serve`, or name it with --url or WHARF_URL")
            }
            ClientError::Problem(problem) if problem.status == 401 => {
                Some("give the token with --token or WHARF_TOKEN")
            }
            ClientError::Problem(problem) if problem.code == "message-not-found" => {
                Some("check the id; `wharf send` prints it")
            }
            ClientError::Problem(_) | ClientError::Foreign { .. } => None,
        };
        Self {
            error: error.into(),
            hint: hint.map(str::to_owned),
            code: FAILED,
        }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::failed(error)
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::failed(error)
    }
}
