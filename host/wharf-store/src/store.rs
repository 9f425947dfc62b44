//! The handle, and what it shares with the writer.

use std::sync::{Arc, Mutex, RwLock};
use std::thread::JoinHandle;

use redb::{Database, ReadableDatabase};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use wharf_core::{Cursor, MessageId, TimeMs};

use crate::error::{ReadError, WriteError};
use crate::ids::Ids;
use crate::index::SharedIndex;
use crate::limits::REQUESTS_WAITING_KIB_MAX;
use crate::meter::Meter;
use crate::operation::keyed::Keyed;
use crate::read::Snapshot;
use crate::request::{Asked, Request, Write};
use crate::table::id_entry::Entry;

/// A handle on a store. Cheap to clone; all clones are the same store.
///
/// Reads and claims are synchronous and quick; writes are awaited until they are on disk. Dropping the last handle
/// ends the writer, without waiting for it: [`Store::close`] does.
#[derive(Clone)]
pub struct Store {
    pub(crate) shared: Arc<Shared>,
    requests: mpsc::Sender<Request>,
}

/// Why a store has failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum FailureReason {
    /// A commit failed, or what it needed could not be read.
    #[error("the store could not commit")]
    Commit(#[source] Arc<ReadError>),
    /// The writer panicked: a bug.
    #[error("the store's writer panicked")]
    Panicked,
}

/// What the writer and the handles share.
pub(crate) struct Shared {
    /// None once closed. Locked to write by closing alone.
    database: RwLock<Option<Database>>,
    pub(crate) index: SharedIndex,
    pub(crate) ids: Ids,
    pub(crate) keyed: Keyed,
    pub(crate) meter: Meter,
    /// Cursor of the last committed row.
    pub(crate) head: watch::Sender<Cursor>,
    /// When the next attempt falls due.
    pub(crate) next_due: watch::Sender<Option<TimeMs>>,
    pub(crate) failure: watch::Sender<Option<FailureReason>>,
    waiting_kib: Arc<Semaphore>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl Shared {
    pub(crate) fn new(
        database: Database,
        index: SharedIndex,
        ids: Ids,
        keyed: Keyed,
        head: Cursor,
        next_due: Option<TimeMs>,
    ) -> Self {
        Self {
            database: RwLock::new(Some(database)),
            index,
            ids,
            keyed,
            meter: Meter::new(),
            head: watch::Sender::new(head),
            next_due: watch::Sender::new(next_due),
            failure: watch::Sender::new(None),
            waiting_kib: Arc::new(Semaphore::new(REQUESTS_WAITING_KIB_MAX)),
            writer: Mutex::new(None),
        }
    }

    /// Lends the database, if it is open.
    pub(crate) fn with_database<T>(
        &self,
        use_database: impl FnOnce(&Database) -> Result<T, ReadError>,
    ) -> Result<T, ReadError> {
        let database = self
            .database
            .read()
            .expect("nothing panics with the database locked");
        use_database(database.as_ref().ok_or(ReadError::Closed)?)
    }

    /// Takes the database out: from now on the store is closed.
    pub(crate) fn take_database(&self) -> Option<Database> {
        self.database
            .write()
            .expect("nothing panics with the database locked")
            .take()
    }

    pub(crate) fn read<T>(
        &self,
        use_snapshot: impl FnOnce(&Snapshot) -> Result<T, ReadError>,
    ) -> Result<T, ReadError> {
        self.with_database(|database| use_snapshot(&Snapshot::new(database.begin_read()?)))
    }

    /// A snapshot that outlasts a look: nothing waits for it, and once the store is closed it cannot be read.
    pub(crate) fn snapshot(&self) -> Result<Snapshot, ReadError> {
        self.with_database(|database| Ok(Snapshot::new(database.begin_read()?)))
    }

    /// Tells sleepers when the next attempt falls due, if that changed.
    pub(crate) fn tell_next_due(&self, next_due: Option<TimeMs>) {
        self.next_due
            .send_if_modified(|told| std::mem::replace(told, next_due) != next_due);
    }

    pub(crate) fn set_writer(&self, thread: JoinHandle<()>) {
        *self
            .writer
            .lock()
            .expect("nothing panics with the thread locked") = Some(thread);
    }

    pub(crate) fn take_writer(&self) -> Option<JoinHandle<()>> {
        self.writer
            .lock()
            .expect("nothing panics with the thread locked")
            .take()
    }
}

impl Store {
    pub(crate) fn new(shared: Arc<Shared>, requests: mpsc::Sender<Request>) -> Self {
        Self { shared, requests }
    }

    pub(crate) fn index(&self) -> &SharedIndex {
        &self.shared.index
    }

    pub(crate) fn ids(&self) -> &Ids {
        &self.shared.ids
    }

    /// Uses what is known of an id, with a snapshot that has its message; none where the id is unknown.
    pub(crate) fn read_id<T>(
        &self,
        id: &MessageId,
        use_entry: impl FnOnce(&Snapshot, Entry) -> Result<T, ReadError>,
    ) -> Result<Option<T>, ReadError> {
        let hash = self.ids().hash(id);
        // Before the snapshot is opened: see `crate::ids`.
        let recent = self.ids().recent(hash);
        self.read(|snapshot| {
            let entry = snapshot.id_runs()?.find(self.ids(), hash, recent)?;
            entry.map(|entry| use_entry(snapshot, entry)).transpose()
        })
    }

    pub(crate) fn read<T>(
        &self,
        use_snapshot: impl FnOnce(&Snapshot) -> Result<T, ReadError>,
    ) -> Result<T, ReadError> {
        self.shared.read(use_snapshot)
    }

    /// Asks the writer to commit something of about `bytes`, and awaits its answer.
    pub(crate) async fn write<Q, A>(
        &self,
        question: Q,
        bytes: usize,
        write: impl FnOnce(Asked<Q, A>) -> Write,
    ) -> Result<A, WriteError> {
        let share = (bytes / 1024).min(REQUESTS_WAITING_KIB_MAX) as u32;
        let permit = self.shared.waiting_kib.clone().acquire_many_owned(share);
        let permit = permit.await.map_err(|_| WriteError::Refused)?;
        let (answer, answered) = oneshot::channel();
        self.send(Request::Write(write(Asked {
            question,
            answer,
            permit,
        })))
        .await?;
        answered
            .await
            .unwrap_or_else(|_| Err(WriteError::CommitUnknown(self.failure())))
    }

    pub(crate) async fn send(&self, request: Request) -> Result<(), WriteError> {
        self.requests
            .send(request)
            .await
            .map_err(|_| WriteError::Refused)
    }

    /// Why the writer went away without an answer.
    fn failure(&self) -> FailureReason {
        self.shared
            .failure
            .borrow()
            .clone()
            .unwrap_or(FailureReason::Panicked)
    }
}
