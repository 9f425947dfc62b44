//! The writer: takes requests, commits them together, answers each.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::{Duration, Instant};

use redb::Database;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc, oneshot};
use tracing::error;
use wharf_core::{Cursor, DeliveryId, MessageSeq, TimeMs};

use crate::backend::forget_cached;
use crate::channels::Channels;
use crate::check;
use crate::error::{CheckError, CloseError, FileError, ReadError, WriteError};
use crate::group::{Effects, Group};
use crate::ids;
use crate::limits::{
    GATHER_ABOVE_REQUESTS, GATHER_FEW_SHARE, GATHER_FEW_WAIT_MAX, GATHER_WAIT, GROUP_BYTES_MAX,
    GROUP_ITEMS_MAX,
};
use crate::open;
use crate::operation::accept::Verdict;
use crate::operation::apply::Applied;
use crate::operation::cancel::Cancelled;
use crate::operation::prune::Pruned;
use crate::operation::redrive::Redriven;
use crate::operation::reroute::Rerouted;
use crate::operation::settle::Settled;
use crate::operation::{
    accept, apply, begin, cancel, cursor, keyed, park, persist, prune, receive, redrive, reroute,
    settle,
};
use crate::options::{IdSizes, Options, Planted};
use crate::recover::Past;
use crate::request::{Request, Write};
use crate::retention::Walks;
use crate::store::{FailureReason, Shared};
use crate::table::id_manifest::Manifest;
use crate::table::state::State;
use crate::transaction::Transaction;
use crate::wal::{self, Wal};

/// The single writer of a store: everything that is not shared with the handles.
///
/// A thread of its own runs it, or a simulation steps it: the code is the same.
pub struct Engine {
    shared: Arc<Shared>,
    requests: mpsc::Receiver<Request>,
    state: State,
    channels: Channels,
    /// Of retention.
    walks: RefCell<Walks>,
    /// Of the id index, as of the last commit.
    manifest: Manifest,
    id_sizes: IdSizes,
    planted: Planted,
    is_open: bool,
    wal: Wal,
}

/// An answer that waits for its commit.
enum Reply {
    Accept(Waiter<Vec<Verdict>>),
    Settle(Waiter<Vec<Settled>>),
    Cursor(Waiter<Cursor>),
    Floor(Waiter<MessageSeq>),
    Persist(Waiter<()>),
    State(Waiter<keyed::Verdict>),
    Park(Waiter<u64>),
    Prune(Waiter<Pruned>),
    Cancel(Waiter<Vec<Vec<(DeliveryId, Cancelled)>>>),
    Redrive(Waiter<Vec<Redriven>>),
    Reroute(Waiter<Vec<Rerouted>>),
    Receive(Waiter<Vec<u64>>),
    Apply(Waiter<Vec<Applied>>),
}

/// Whom to answer, and with what; with nothing where the write could not be applied.
///
/// Dropped unsent, it tells its caller that the outcome is unknown, and that looks up why: see [`Engine::fail`].
struct Waiter<A> {
    address: oneshot::Sender<Result<A, WriteError>>,
    answer: Option<A>,
}

impl Reply {
    /// A write's outcome as the answer to its caller, and as what becomes of the group.
    fn new<A>(
        reply: fn(Waiter<A>) -> Self,
        address: oneshot::Sender<Result<A, WriteError>>,
        applied: Result<A, ReadError>,
    ) -> (Self, Result<(), ReadError>) {
        let (answer, outcome) = match applied {
            Ok(answer) => (Some(answer), Ok(())),
            Err(cause) => (None, Err(cause)),
        };
        (reply(Waiter { address, answer }), outcome)
    }

    /// After the commit.
    fn send(self) {
        match self {
            Self::Accept(waiter) => waiter.send(),
            Self::Settle(waiter) => waiter.send(),
            Self::Cursor(waiter) => waiter.send(),
            Self::Floor(waiter) => waiter.send(),
            Self::Persist(waiter) => waiter.send(),
            Self::State(waiter) => waiter.send(),
            Self::Park(waiter) => waiter.send(),
            Self::Prune(waiter) => waiter.send(),
            Self::Cancel(waiter) => waiter.send(),
            Self::Redrive(waiter) => waiter.send(),
            Self::Reroute(waiter) => waiter.send(),
            Self::Receive(waiter) => waiter.send(),
            Self::Apply(waiter) => waiter.send(),
        }
    }
}

impl<A> Waiter<A> {
    fn send(self) {
        if let Some(answer) = self.answer {
            // A caller that has gone away does not miss its answer.
            drop(self.address.send(Ok(answer)));
        }
    }
}

impl Engine {
    pub(crate) fn new(
        shared: Arc<Shared>,
        requests: mpsc::Receiver<Request>,
        wal: Wal,
        state: State,
        channels: Channels,
        manifest: Manifest,
        options: &Options,
    ) -> Self {
        Self {
            shared,
            requests,
            state,
            channels,
            walks: RefCell::default(),
            manifest,
            id_sizes: options.id_sizes,
            planted: options.planted,
            is_open: true,
            wal,
        }
    }

    /// The first commit of a run: what the start makes of the past.
    pub(crate) fn begin(&mut self, past: &Past, now: TimeMs) -> Result<(), ReadError> {
        let shared = self.shared.clone();
        shared.with_database(|database| {
            let tx = Transaction::checkpoint(database)?;
            self.transact(tx, false, &mut Vec::new(), |_, tables, _| {
                begin::apply(tables, &shared.index, past, now)
            })
        })
    }

    /// Runs until the store is closed, has failed, or has lost its last handle.
    ///
    /// It gathers: a commit costs much the same for few and for many. Who comes is expected to come again: where several
    /// requests were committed together, it waits a moment for as many. A lone caller never waits for others.
    pub(crate) fn run(mut self) {
        let (mut before_count, mut took) = (0, Duration::ZERO);
        while self.is_open
            && let Some(first) = self.requests.blocking_recv()
        {
            self.gather(before_count, took);
            let began_at = Instant::now();
            before_count = self.turn(first);
            took = began_at.elapsed();
        }
        self.is_open = false;
    }

    /// `count` requests came together before, and their commit took so long.
    fn gather(&self, count: usize, took: Duration) {
        if self.requests.len() + 1 >= count {
            return;
        }
        if count >= GATHER_ABOVE_REQUESTS {
            // While it sleeps, callers need not wake it.
            return std::thread::sleep(GATHER_WAIT);
        }
        let began_at = Instant::now();
        let wait = (took / GATHER_FEW_SHARE).min(GATHER_FEW_WAIT_MAX);
        while self.requests.len() + 1 < count && began_at.elapsed() < wait {
            std::thread::yield_now();
        }
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

    /// One group: the first request and what waits behind it, up to the limits. What is no write, or is committed
    /// alone, ends the group and comes after its commit. Returns how many requests were in it.
    fn turn(&mut self, first: Request) -> usize {
        let mut group = Vec::new();
        let (mut items_count, mut bytes) = (0, 0);
        let mut requests_count = 0;
        let mut next = Some(first);
        while let Some(Request::Write(write)) = next.take_if(|next| next.joins(&group)) {
            items_count += write.items_count();
            bytes += write.bytes();
            let is_full =
                write.is_alone() || items_count >= GROUP_ITEMS_MAX || bytes >= GROUP_BYTES_MAX;
            group.push(write);
            requests_count += 1;
            next = if is_full {
                None
            } else {
                self.requests.try_recv().ok()
            };
        }
        if !group.is_empty() {
            self.commit(group, items_count, bytes);
        }
        match next {
            Some(Request::Check(answer)) => drop(answer.send(self.check())),
            Some(Request::Close(answer)) => drop(answer.send(self.close())),
            // With nothing in front of it, it is committed, and nothing joins it.
            Some(alone @ Request::Write(_)) => requests_count += self.turn(alone),
            None => {}
        }
        requests_count
    }

    fn commit(&mut self, group: Vec<Write>, items_count: usize, bytes: usize) {
        if !self.is_open {
            return group.into_iter().for_each(Write::refuse);
        }
        let started_at = Instant::now();
        // A group goes through the log where that has room for it, and where it leaves room for recent ids: only a
        // checkpoint makes runs of them.
        let ids_count: usize = group.iter().map(Write::ids_count).sum();
        let shared = self.shared.clone();
        // Both outlive a failure's publication: a caller that is let go of looks there for the reason.
        let mut replies = Vec::with_capacity(group.len());
        let mut writes = group.into_iter();
        let running = shared.meter.begin();
        let committed = shared.with_database(|database| {
            let is_full = shared.ids.recent_count() + ids_count >= self.id_sizes.recent;
            let tx = if is_full || !self.wal.has_room_for(bytes as u64) {
                Transaction::checkpoint(database)?
            } else {
                Transaction::logged(database, self.wal.changes())?
            };
            self.transact(tx, is_full, &mut replies, |engine, tables, replies| {
                for write in writes.by_ref() {
                    let (reply, outcome) = engine.apply(tables, write);
                    replies.push(reply);
                    outcome?;
                }
                Ok(())
            })
        });
        drop(running);
        match committed {
            Ok(()) => {
                shared.meter.committed(started_at.elapsed(), items_count);
                replies.into_iter().for_each(Reply::send);
            }
            Err(cause) => self.fail(cause),
        }
    }

    /// Applies something in one transaction and commits it; `apply` fills in who is answered then. Recent ids go into a run
    /// where they are full.
    fn transact(
        &mut self,
        tx: Transaction,
        is_full: bool,
        replies: &mut Vec<Reply>,
        apply: impl FnOnce(&Self, &mut Group<'_>, &mut Vec<Reply>) -> Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        let planted = self.planted.in_commit(self.state.next_cursor);
        let mut ids = ids::Change::begin(
            &tx,
            &self.shared.ids,
            &self.manifest,
            &self.id_sizes,
            planted,
        );
        if is_full {
            ids.flush_recent();
        }
        let mut tables = Group::begin(&tx, self.state, &self.channels, ids, planted)?;
        apply(self, &mut tables, replies)?;
        let Some((state, effects)) = tables.finish()? else {
            return tx.abort(&mut self.wal);
        };
        if planted == Planted::AnswerBeforeCommit {
            replies.drain(..).for_each(Reply::send);
        }
        tx.commit(&mut self.wal, planted)?;
        self.state = state;
        self.reflect(effects);
        Ok(())
    }

    fn apply(&self, tables: &mut Group<'_>, write: Write) -> (Reply, Result<(), ReadError>) {
        match write {
            Write::Accept(asked) => {
                let prepared = asked.question.into_iter();
                let verdicts = prepared.map(|one| accept::apply(tables, one));
                Reply::new(Reply::Accept, asked.answer, verdicts.collect())
            }
            Write::Settle(asked) => {
                let ended = asked.question.into_iter();
                let settled = ended.map(|one| self.apply_settle(tables, one));
                Reply::new(Reply::Settle, asked.answer, settled.collect())
            }
            Write::SetCursor(asked) => {
                let (name, to) = asked.question;
                let stands = cursor::apply(tables, &name, to);
                Reply::new(Reply::Cursor, asked.answer, stands)
            }
            Write::ForgetIds(asked) => {
                let floor = tables.forget_ids(asked.question);
                Reply::new(Reply::Floor, asked.answer, Ok(floor))
            }
            Write::Persist(asked) => {
                let persisted = persist::apply(tables, &self.shared.index, asked.question);
                Reply::new(Reply::Persist, asked.answer, persisted)
            }
            Write::SetState(asked) => {
                let stands = keyed::apply(tables, asked.question);
                Reply::new(Reply::State, asked.answer, stands)
            }
            Write::Park(asked) => {
                let number = park::apply(tables, &asked.question);
                Reply::new(Reply::Park, asked.answer, number)
            }
            Write::Prune(asked) => {
                let mut walks = self.walks.borrow_mut();
                let pruned = prune::apply(tables, &mut walks, self.planted, &asked.question);
                Reply::new(Reply::Prune, asked.answer, pruned)
            }
            Write::Cancel(asked) => {
                let answers = cancel::apply(tables, &self.shared.index, asked.question);
                Reply::new(Reply::Cancel, asked.answer, answers)
            }
            Write::Redrive(asked) => {
                let wanted = asked.question.iter();
                let redriven = wanted.map(|one| redrive::apply(tables, one));
                Reply::new(Reply::Redrive, asked.answer, redriven.collect())
            }
            Write::Reroute(asked) => {
                let wanted = asked.question.iter();
                let rerouted = wanted.map(|one| reroute::apply(tables, one));
                Reply::new(Reply::Reroute, asked.answer, rerouted.collect())
            }
            Write::Receive(asked) => {
                let numbers = receive::apply(tables, &asked.question);
                Reply::new(Reply::Receive, asked.answer, numbers)
            }
            Write::Apply(asked) => {
                let applied = apply::apply(tables, &self.shared.index, &asked.question);
                Reply::new(Reply::Apply, asked.answer, applied)
            }
        }
    }

    fn apply_settle(
        &self,
        tables: &mut Group<'_>,
        mut ended: settle::Ended,
    ) -> Result<Settled, ReadError> {
        let (id, fence) = (ended.lease.delivery(), ended.lease.fence());
        // From here on the lease ends with the commit, not with the guard.
        ended.lease.settled();
        let (is_live, was_claimed) = {
            let mut index = self.shared.index.lock();
            let fence = match tables.planted {
                Planted::IgnoreFence => index.fence(id).unwrap_or(fence),
                _ => fence,
            };
            let is_live = index.begin_settle(id, fence);
            (is_live, is_live && index.unclaim(id))
        };
        if was_claimed {
            tables.unclaim(id)?;
        }
        if !is_live {
            return Ok(Settled::Stale);
        }
        match settle::apply(tables, ended) {
            // Nothing was written yet. One delivery that cannot be read must not end the whole store.
            Err(ReadError::Malformed(cause)) => {
                error!(delivery = %id, error = &cause as &dyn std::error::Error, "a delivery cannot be read, and what became of it is not recorded; it is kept back until a restart");
                self.shared.index.lock().stick(id, fence);
                Ok(Settled::Unreadable)
            }
            settled => settled,
        }
    }

    /// Brings what is in memory up to date with what was committed. The ids first: what is claimed, or seen in the
    /// journal, can be looked up.
    fn reflect(&mut self, mut effects: Effects) {
        if let Some(manifest) = effects.ids.manifest.take() {
            self.manifest = manifest;
        }
        self.shared.ids.reflect(effects.ids, &self.manifest);
        self.channels.reflect(&effects.channels);
        let (wake, next_due) = {
            let mut index = self.shared.index.lock();
            if let Some((first, accepted)) = &effects.accepted {
                for (seq, prepared) in (first.0..).zip(accepted) {
                    accept::file(&mut index, MessageSeq(seq), prepared);
                }
            }
            for filed in &effects.settled {
                settle::file(&mut index, filed);
            }
            for (channel, filed) in &effects.refiled {
                redrive::file(&mut index, channel, filed);
            }
            for (channel, hash) in &effects.freed {
                index.free(channel, *hash);
            }
            for id in effects.marked {
                index.end_mark(id);
            }
            for (name, channel) in effects.channels.iter() {
                index.set_channel(name, *channel);
            }
            index.set_state(&self.state);
            if effects.has_updates {
                index.updates_changed();
            }
            (index.wake(), index.next_due())
        };
        self.shared.keyed.reflect(effects.keyed);
        self.shared.head.send_replace(self.state.head());
        self.shared.tell_next_due(next_due);
        wake.all();
    }

    fn check(&self) -> Result<check::Report, CheckError> {
        let Shared {
            index, ids, keyed, ..
        } = &*self.shared;
        let checked = self.shared.read(|snapshot| {
            check::check(snapshot, ids, index, keyed, &self.state, &self.manifest)
        })?;
        checked.map_err(CheckError::Violations)
    }

    fn close(&mut self) -> Result<(), CloseError> {
        let database = self
            .shared
            .take_database()
            .ok_or(CloseError::AlreadyClosed)?;
        self.is_open = false;
        self.refuse_waiting();
        let closed = self.close_files(database);
        closed.map_err(|cause| {
            self.forget_cached();
            CloseError::Unclean(cause)
        })
    }

    fn close_files(&self, database: Database) -> Result<(), FileError> {
        open::mark_clean_stop(&database, self.wal.position().closed())?;
        // It counts no more, whether this is done or not. While the store is locked: afterwards it may be the next run's.
        let _ = self.wal.remove();
        Ok(database.close()?)
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
        self.forget_cached();
    }

    fn forget_cached(&self) {
        if let Some(file) = self.wal.store() {
            forget_cached(file);
            forget_cached(&wal::path(file));
        }
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
