//! What handles ask of the writer.

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use wharf_core::{Cursor, DeliveryId, Fence, MessageSeq};

use crate::check::Report;
use crate::error::{CheckError, CloseError, WriteError};
use crate::operation::accept::{Prepared, Verdict};
use crate::operation::apply::{self, Applied};
use crate::operation::cancel::{self, Cancelled};
use crate::operation::keyed::{self, Set};
use crate::operation::park::Park;
use crate::operation::prune::{Prune, Pruned};
use crate::operation::receive::Received;
use crate::operation::redrive::{Redrive, Redriven};
use crate::operation::reroute::{Reroute, Rerouted};
use crate::operation::settle::{Ended, Settled};

/// A request with whom to answer.
pub(crate) enum Request {
    Write(Write),
    Check(oneshot::Sender<Result<Report, CheckError>>),
    Close(oneshot::Sender<Result<(), CloseError>>),
}

/// Something to commit.
pub(crate) enum Write {
    Accept(Asked<Vec<Prepared>, Vec<Verdict>>),
    Settle(Asked<Vec<Ended>, Vec<Settled>>),
    SetCursor(Asked<(String, Cursor), Cursor>),
    ForgetIds(Asked<MessageSeq, MessageSeq>),
    Persist(Asked<Vec<(DeliveryId, Fence)>, ()>),
    SetState(Asked<Set, keyed::Verdict>),
    Park(Asked<Park, u64>),
    Prune(Asked<Prune, Pruned>),
    Cancel(Asked<Vec<cancel::Asked>, Vec<Vec<(DeliveryId, Cancelled)>>>),
    Redrive(Asked<Vec<Redrive>, Vec<Redriven>>),
    Reroute(Asked<Vec<Reroute>, Vec<Rerouted>>),
    Receive(Asked<Vec<Received>, Vec<u64>>),
    Apply(Asked<Vec<apply::Asked>, Vec<Applied>>),
}

/// A question and its answer's address.
pub(crate) struct Asked<Q, A> {
    pub(crate) question: Q,
    pub(crate) answer: oneshot::Sender<Result<A, WriteError>>,
    /// Its share of the memory that may wait for the writer; given back when the writer takes the question.
    #[expect(dead_code, reason = "held, never read")]
    pub(crate) permit: OwnedSemaphorePermit,
}

impl Request {
    /// Whether it can be committed together with what is in a group already.
    pub(crate) fn joins(&self, group: &[Write]) -> bool {
        match self {
            Self::Write(write) => group.is_empty() || !write.is_alone(),
            Self::Check(_) | Self::Close(_) => false,
        }
    }
}

impl Write {
    /// Whether it is committed by itself. An operator's command or an update is decided on what is stored and on where the index has
    /// a delivery; within a group the index is behind.
    pub(crate) fn is_alone(&self) -> bool {
        match self {
            Self::Accept(_)
            | Self::Settle(_)
            | Self::Persist(_)
            | Self::SetCursor(_)
            | Self::ForgetIds(_)
            | Self::SetState(_)
            | Self::Park(_)
            | Self::Prune(_)
            | Self::Receive(_) => false,
            Self::Cancel(_) | Self::Redrive(_) | Self::Reroute(_) | Self::Apply(_) => true,
        }
    }

    /// Ids that it may add.
    pub(crate) fn ids_count(&self) -> usize {
        match self {
            Self::Accept(asked) => asked.question.len(),
            _ => 0,
        }
    }

    /// Messages or settles in it.
    pub(crate) fn items_count(&self) -> usize {
        match self {
            Self::Accept(asked) => asked.question.len(),
            Self::Settle(asked) => asked.question.len(),
            Self::Persist(asked) => asked.question.len(),
            Self::SetCursor(_)
            | Self::SetState(_)
            | Self::ForgetIds(_)
            | Self::Park(_)
            | Self::Prune(_) => 1,
            Self::Cancel(asked) => asked.question.len(),
            Self::Redrive(asked) => asked.question.len(),
            Self::Reroute(asked) => asked.question.len(),
            Self::Receive(asked) => asked.question.len(),
            Self::Apply(asked) => asked.question.len(),
        }
    }

    /// About how much it writes.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Accept(asked) => asked.question.iter().map(Prepared::bytes).sum(),
            Self::Settle(asked) => asked.question.iter().map(Ended::bytes).sum(),
            Self::SetState(asked) => asked.question.1.as_ref().map_or(0, Bytes::len),
            Self::Park(asked) => asked.question.bytes(),
            Self::Persist(_) | Self::SetCursor(_) | Self::ForgetIds(_) | Self::Prune(_) => 0,
            Self::Receive(asked) => asked.question.iter().map(Received::bytes).sum(),
            Self::Cancel(_) | Self::Redrive(_) | Self::Reroute(_) | Self::Apply(_) => 0,
        }
    }

    /// Answers that nothing was written.
    pub(crate) fn refuse(self) {
        // A caller that has gone away does not miss its answer.
        match self {
            Self::Accept(asked) => drop(asked.answer.send(Err(WriteError::Refused))),
            Self::Settle(asked) => drop(asked.answer.send(Err(WriteError::Refused))),
            Self::SetCursor(asked) => drop(asked.answer.send(Err(WriteError::Refused))),
            Self::ForgetIds(asked) => drop(asked.answer.send(Err(WriteError::Refused))),
            Self::Persist(asked) => drop(asked.answer.send(Err(WriteError::Refused))),
            Self::SetState(asked) => drop(asked.answer.send(Err(WriteError::Refused))),
            Self::Park(asked) => drop(asked.answer.send(Err(WriteError::Refused))),
            Self::Prune(asked) => drop(asked.answer.send(Err(WriteError::Refused))),
            Self::Cancel(asked) => drop(asked.answer.send(Err(WriteError::Refused))),
            Self::Redrive(asked) => drop(asked.answer.send(Err(WriteError::Refused))),
            Self::Reroute(asked) => drop(asked.answer.send(Err(WriteError::Refused))),
            Self::Receive(asked) => drop(asked.answer.send(Err(WriteError::Refused))),
            Self::Apply(asked) => drop(asked.answer.send(Err(WriteError::Refused))),
        }
    }
}
