//! The writer: takes requests, commits them together, answers each.

use std::sync::Arc;
use std::time::Instant;

use redb::Database;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc, oneshot};
use tracing::error;
use wharf_core::{Cursor, MessageSeq};

use crate::check;
use crate::error::{CheckError, CloseError, FileError, ReadError, WriteError};
use crate::group::{Effects, Group};
use crate::limits::{GROUP_BYTES_MAX, GROUP_ITEMS_MAX};
use crate::operation::accept::Verdict;
use crate::operation::settle::Settled;
use crate::operation::{accept, cursor, settle};
use crate::options::Planted;
use crate::request::{Request, Write};
use crate::store::{FailureReason, Shared};
use crate::table::state::State;

/// The single writer of a store: everything that is not shared with the handles.
///
/// A thread of its own runs it, or a simulation steps it: the code is the same.
pub struct Engine {
    shared: Arc<Shared>,
    requests: mpsc::Receiver<Request>,
    state: State,
    planted: Planted,
    is_open: bool,
}

/// An answer that waits for its commit.
enum Reply {
    Accept(
        oneshot::Sender<Result<Vec<Verdict>, WriteError>>,
        Vec<Verdict>,
    ),
    Settle(
        oneshot::Sender<Result<Vec<Settled>, WriteError>>,
        Vec<Settled>,
    ),
    Cursor(oneshot::Sender<Result<Cursor, WriteError>>, Cursor),
}

impl Reply {
    fn send(self) {
        // A caller that has gone away does not miss its answer.
        match self {
            Self::Accept(sender, verdicts) => drop(sender.send(Ok(verdicts))),
            Self::Settle(sender, settled) => drop(sender.send(Ok(settled))),
            Self::Cursor(sender, stands) => drop(sender.send(Ok(stands))),
        }
    }
}

impl Engine {
    pub(crate) fn new(
        shared: Arc<Shared>,
        requests: mpsc::Receiver<Request>,
        state: State,
        planted: Planted,
    ) -> Self {
        Self {
            shared,
            requests,
            state,
            planted,
            is_open: true,
        }
    }

    /// Runs until the store is closed, has failed, or has lost its last handle.
    pub(crate) fn run(mut self) {
        while self.is_open
            && let Some(first) = self.requests.blocking_recv()
        {
            self.turn(first);
        }
        self.is_open = false;
    }

    /// Commits what waits now, as one group, without waiting for more. Returns whether there was anything.
    ///
    /// For stores opened with [`crate::Store::open_stepped`].
    pub fn step(&mut self) -> bool {
        match self.requests.try_recv() {
            Ok(first) => {
                self.turn(first);
                true
            }
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => false,
        }
    }

    /// One group: the first request and what waits behind it, up to the limits. What is no write ends the group
    /// and comes after its commit.
    fn turn(&mut self, first: Request) {
        let mut group = Vec::new();
        let (mut items_count, mut bytes) = (0, 0);
        let mut next = Some(first);
        while let Some(Request::Write(write)) = next {
            items_count += write.items_count();
            bytes += write.bytes();
            group.push(write);
            let is_full = items_count >= GROUP_ITEMS_MAX || bytes >= GROUP_BYTES_MAX;
            next = if is_full {
                None
            } else {
                self.requests.try_recv().ok()
            };
        }
        if !group.is_empty() {
            self.commit(group, items_count);
        }
        match next {
            Some(Request::Check(answer)) => drop(answer.send(self.check())),
            Some(Request::Close(answer)) => drop(answer.send(self.close())),
            Some(Request::Write(_)) | None => {}
        }
    }

    fn commit(&mut self, group: Vec<Write>, items_count: usize) {
        if !self.is_open {
            return group.into_iter().for_each(Write::refuse);
        }
        let started_at = Instant::now();
        let shared = self.shared.clone();
        let committed = shared.with_database(|database| self.transact(database, group));
        match committed {
            Ok(replies) => {
                shared.meter.committed(started_at.elapsed(), items_count);
                replies.into_iter().for_each(Reply::send);
            }
            Err(cause) => self.fail(cause),
        }
    }

    /// Applies a group in one transaction and commits it. On any error the senders are dropped: what their callers
    /// asked for is unknown.
    fn transact(
        &mut self,
        database: &Database,
        group: Vec<Write>,
    ) -> Result<Vec<Reply>, ReadError> {
        let tx = database.begin_write()?;
        let mut tables = Group::begin(&tx, self.state)?;
        let mut replies = Vec::with_capacity(group.len());
        for write in group {
            replies.push(self.apply(&mut tables, write)?);
        }
        let Some((state, effects)) = tables.finish()? else {
            tx.abort()?;
            return Ok(replies);
        };
        if self.planted == Planted::AnswerBeforeCommit {
            replies.drain(..).for_each(Reply::send);
        }
        tx.commit()?;
        self.state = state;
        self.reflect(effects);
        Ok(replies)
    }

    fn apply(&self, tables: &mut Group<'_>, write: Write) -> Result<Reply, ReadError> {
        Ok(match write {
            Write::Accept(asked) => {
                let verdicts = asked
                    .question
                    .into_iter()
                    .map(|one| accept::apply(tables, one));
                Reply::Accept(asked.answer, verdicts.collect::<Result<_, _>>()?)
            }
            Write::Settle(asked) => {
                let mut settled = Vec::with_capacity(asked.question.len());
                for mut ended in asked.question {
                    let (id, fence) = (ended.lease.delivery(), ended.lease.fence());
                    // From here on the lease ends with the commit, not with the guard.
                    ended.lease.settled();
                    let is_live = self.shared.index.lock().begin_settle(id, fence);
                    settled.push(if is_live {
                        Settled::Recorded(settle::apply(tables, &ended)?)
                    } else {
                        Settled::Stale
                    });
                }
                Reply::Settle(asked.answer, settled)
            }
            Write::SetCursor(asked) => {
                let (name, to) = asked.question;
                Reply::Cursor(asked.answer, cursor::apply(tables, &name, to)?)
            }
        })
    }

    /// Brings the index up to date with what was committed.
    fn reflect(&self, effects: Effects) {
        let (wake, next_due) = {
            let mut index = self.shared.index.lock();
            if let Some((first, accepted)) = &effects.accepted {
                for (seq, prepared) in (first.0..).zip(accepted) {
                    accept::file(&mut index, MessageSeq(seq), prepared);
                }
            }
            for (id, status, due) in effects.settled {
                settle::file(&mut index, id, status, due);
            }
            index.set_counts(self.state.counts);
            (index.wake(), index.next_due())
        };
        self.shared.head.send_replace(self.state.head());
        self.shared.tell_next_due(next_due);
        wake.all();
    }

    fn check(&self) -> Result<check::Report, CheckError> {
        let Shared { index, id_key, .. } = &*self.shared;
        let checked = self
            .shared
            .read(|snapshot| check::check(snapshot, id_key, index, &self.state))?;
        checked.map_err(CheckError::Violations)
    }

    fn close(&mut self) -> Result<(), CloseError> {
        let database = self
            .shared
            .take_database()
            .ok_or(CloseError::AlreadyClosed)?;
        self.is_open = false;
        self.refuse_waiting();
        database
            .close()
            .map_err(|cause| CloseError::Unclean(FileError::from(cause)))
    }

    /// After a failed commit nothing is known of what the file holds: refuse everything from now on.
    fn fail(&mut self, cause: ReadError) {
        error!(
            error = &cause as &dyn std::error::Error,
            "the store could not commit"
        );
        self.is_open = false;
        self.shared
            .failure
            .send_replace(Some(FailureReason::Commit(Arc::new(cause))));
        self.refuse_waiting();
        drop(self.shared.take_database());
    }

    fn refuse_waiting(&mut self) {
        self.requests.close();
        while let Ok(request) = self.requests.try_recv() {
            match request {
                Request::Write(write) => write.refuse(),
                Request::Check(answer) => drop(answer.send(Err(ReadError::Closed.into()))),
                Request::Close(answer) => drop(answer.send(Err(CloseError::AlreadyClosed))),
            }
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.shared
                .failure
                .send_replace(Some(FailureReason::Panicked));
            drop(self.shared.take_database());
        }
    }
}
