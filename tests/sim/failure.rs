//! After a failure: what a store says that could not commit.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use wharf_core::Cursor;
use wharf_store::{CloseError, FailureReason, ReadError, WriteError};

use crate::world::{World, alone};

impl World {
    /// Whether the disk does what it is asked.
    pub(crate) fn is_up(&self) -> bool {
        !self.disk.is_cut() && self.disk.failed().is_none()
    }

    /// After a cut or a fault: a commit that failed makes the store refuse everything. What a claim or a look met may
    /// not have reached the writer yet.
    pub(crate) fn refuses(&mut self) -> Result<(), String> {
        if !self.has_failed() {
            self.group()?;
        }
        if !self.has_failed() {
            return Ok(());
        }
        let store = self.store.clone();
        let accepted = alone(&mut self.engine, store.accept(vec![]));
        expect("accept", matches!(accepted, Err(WriteError::Refused)))?;
        let forgotten = alone(
            &mut self.engine,
            store.forget_ids(self.model.ids_known_from),
        );
        expect("forget", matches!(forgotten, Err(WriteError::Refused)))?;
        let claimed = store.claim(&self.channels[0], 1, self.now);
        expect("claim", matches!(claimed, Err(ReadError::Closed)))?;
        let read = store.journal(Cursor(0), 1, usize::MAX);
        expect("journal", matches!(read, Err(ReadError::Closed)))?;
        let closed = alone(&mut self.engine, store.close());
        expect("close", matches!(closed, Err(CloseError::AlreadyClosed)))
    }

    fn has_failed(&self) -> bool {
        let failed = pin!(self.store.failed());
        let polled = failed.poll(&mut Context::from_waker(Waker::noop()));
        matches!(polled, Poll::Ready(FailureReason::Commit(_)))
    }
}

fn expect(what: &str, is_refused: bool) -> Result<(), String> {
    match is_refused {
        true => Ok(()),
        false => Err(format!("{what}: a store that has failed does not refuse")),
    }
}
