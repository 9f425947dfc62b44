//! Outgoing HTTP exchanges: one pool of keep-alive connections a lane, past the address guard.
//!
//! A lane is a scheme and an authority. Names are resolved once a connection, every address is judged, and the
//! connection goes to an address that was judged. Redirects are not followed, and nothing is retried here but a
//! request that a closed idle connection never took.

mod connect;
mod exchange;
mod lane;
mod plugin;
pub(crate) mod tls;

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use wharf_core::egress::AddressGuard;

pub(crate) use exchange::Client;
pub(crate) use lane::Origin;
pub(crate) use plugin::PluginSender;
pub(crate) use tls::Tls;

/// One request to make.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) origin: Origin,
    /// Path and query.
    pub(crate) target: http::uri::PathAndQuery,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// How much of the answer's body is wanted.
    pub(crate) answer_bytes_max: usize,
    /// For all of it: connecting, sending, the whole answer.
    pub(crate) timeout: Duration,
    /// For parts of it, where they are bounded apart.
    pub(crate) steps: StepTimeouts,
}

/// How long parts of an exchange may take.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct StepTimeouts {
    /// Until there is a connection; [`crate::limits::CONNECT_TIMEOUT`] bounds it too.
    pub(crate) connect: Option<Duration>,
    /// From there to the head of the answer.
    pub(crate) first_byte: Option<Duration>,
    /// Between two pieces of the answer's body.
    pub(crate) between_bytes: Option<Duration>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// As much of it as was wanted.
    pub(crate) body: Vec<u8>,
    /// Whether there was more.
    pub(crate) is_cut: bool,
    pub(crate) elapsed: Duration,
}

/// Why nothing came back.
#[derive(Debug, thiserror::Error)]
#[error("{kind}: {detail}")]
pub(crate) struct NoAnswer {
    pub(crate) kind: NoAnswerKind,
    pub(crate) detail: String,
    /// Whether any byte of the request may have reached the receiver.
    pub(crate) sent: bool,
}

/// The kinds of [`NoAnswer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoAnswerKind {
    RefusedByGuard,
    Dns,
    Connect,
    Tls,
    Timeout,
    Closed,
    Protocol,
}

impl NoAnswerKind {
    /// Its name in the contract.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::RefusedByGuard => "refused-by-guard",
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::Closed => "closed",
            Self::Protocol => "protocol",
        }
    }
}

impl std::fmt::Display for NoAnswerKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl NoAnswer {
    /// Before a byte was sent.
    pub(crate) fn unsent(kind: NoAnswerKind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            sent: false,
        }
    }
}

/// What the client is made of.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) guard: AddressGuard,
    pub(crate) tls: Tls,
}
