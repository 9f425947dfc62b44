//! Opening and creating a store.

use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use redb::{Builder, Database, DatabaseError, ReadableDatabase, ReadableTable, StorageError};
use tokio::sync::mpsc;
use tracing::{info, warn};

use crate::backend::{Backend, Boxed, forget_cached};
use crate::channels::Channels;
use crate::engine::Engine;
use crate::error::{FileError, OpenError, ReadError};
use crate::ids::{self, Ids};
use crate::index::SharedIndex;
use crate::limits::REQUESTS_WAITING_MAX;
use crate::operation::keyed::Keyed;
use crate::options::Options;
use crate::read::Snapshot;
use crate::recover;
use crate::store::{Shared, Store};
use crate::table::id_manifest::Manifest;
use crate::table::state::State;
use crate::table::{
    chunk, claimed, cursor, delivery, due, id_filter, id_log, id_run, journal, keyed, meta, parked,
    tails, wire,
};

impl Store {
    /// Opens the store in a file, which is created where there is none, and starts its writer.
    pub fn open(path: &Path, options: &Options) -> Result<Self, OpenError> {
        let in_path = |source| io_error(source, path);
        if !path.try_exists().map_err(in_path)? {
            create(path, options)?;
        }
        let opened = builder(options).open(path);
        let opened = opened.map_err(|cause| open_error(cause, path));
        let started = opened.and_then(|database| start(database, options));
        // What a sync that failed leaves in memory is not to be believed by whoever tries next.
        let (store, mut engine) = started.inspect_err(|_| forget_cached(path))?;
        engine.is_in(path);
        store.run(engine).map_err(in_path)
    }

    /// Opens the store in a backend, made there where it is empty, and starts its writer.
    pub fn open_backend(backend: Box<dyn Backend>, options: &Options) -> Result<Self, OpenError> {
        let (store, engine) = Self::open_stepped(backend, options)?;
        store
            .run(engine)
            .map_err(|source| io_error(source, Path::new("")))
    }

    /// Opens the store in a backend with no thread: nothing is committed until the caller steps the engine. For
    /// simulations, which need every run to be the same.
    pub fn open_stepped(
        backend: Box<dyn Backend>,
        options: &Options,
    ) -> Result<(Self, Engine), OpenError> {
        let in_backend = |cause| open_error(cause, Path::new(""));
        let is_new = backend
            .len()
            .map_err(|source| io_error(source, Path::new("")))?
            == 0;
        let database = builder(options)
            .create_with_backend(Boxed(backend))
            .map_err(in_backend)?;
        if is_new {
            lay_out(&database, options).map_err(OpenError::Read)?;
        }
        start(database, options)
    }

    fn run(self, engine: Engine) -> std::io::Result<Self> {
        let thread = thread::Builder::new()
            .name("wharf-store".into())
            .spawn(|| engine.run())?;
        self.shared.set_writer(thread);
        Ok(self)
    }
}

fn builder(options: &Options) -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(options.cache_bytes);
    builder.set_repair_callback(|session| {
        warn!(
            progress = session.progress(),
            "the store was not closed cleanly and is repaired"
        );
    });
    builder
}

/// Creates a store so that a crash leaves either none or a whole one: a file whose creation was cut short cannot
/// be opened. It is made under another name, synced, and only then given its own.
fn create(path: &Path, options: &Options) -> Result<(), OpenError> {
    let in_path = |source| io_error(source, path);
    let temporary = temporary_path(path);
    // A leftover can only be from a process that had this one's number and is gone.
    match fs::remove_file(&temporary) {
        Err(cause) if cause.kind() != ErrorKind::NotFound => return Err(in_path(cause)),
        _ => {}
    }
    let made = make(&temporary, path, options).and_then(|()| {
        // A link fails where another process has been faster, whereas a rename would pull the file away from it.
        match fs::hard_link(&temporary, path) {
            Err(cause) if cause.kind() == ErrorKind::AlreadyExists => Ok(()),
            // Not every file system has links.
            Err(_) => fs::rename(&temporary, path).map_err(in_path),
            Ok(()) => Ok(()),
        }
    });
    // Gone already where it was renamed.
    let _ = fs::remove_file(&temporary);
    made?;
    let folder = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let folder = File::open(folder.unwrap_or(Path::new("."))).map_err(in_path)?;
    folder.sync_all().map_err(in_path)
}

fn temporary_path(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    path.with_file_name(name)
}

/// Makes a whole store in a temporary file; errors name the file that was asked for.
fn make(temporary: &Path, path: &Path, options: &Options) -> Result<(), OpenError> {
    let in_path = |cause| open_error(cause, path);
    make_private(temporary).map_err(|source| io_error(source, path))?;
    let database = builder(options).create(temporary).map_err(in_path)?;
    lay_out(&database, options).map_err(OpenError::Read)?;
    database.close().map_err(in_path)
}

/// Creates an empty file that only its owner can read: payloads are nobody else's business. What an operator allows later
/// is left alone.
fn make_private(path: &Path) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

/// Makes the tables of an empty store.
fn lay_out(database: &Database, options: &Options) -> Result<(), ReadError> {
    let tx = database.begin_write()?;
    for table in [
        chunk::TABLE,
        tails::OPEN,
        tails::CLOSED,
        delivery::TABLE,
        wire::TABLE,
        journal::TABLE,
        id_log::TABLE,
        claimed::TABLE,
    ] {
        tx.open_table(table)?;
    }
    tx.open_table(id_run::TABLE)?;
    tx.open_table(id_filter::TABLE)?;
    tx.open_table(cursor::TABLE)?;
    tx.open_table(keyed::TABLE)?;
    tx.open_table(due::TABLE)?;
    tx.open_table(parked::TABLE)?;
    {
        let mut table = tx.open_table(meta::TABLE)?;
        let mut id_key = vec![meta::ID_KEY_VERSION];
        id_key.extend_from_slice(&options.id_key);
        table.insert(meta::FORMAT_NAME, meta::FORMAT.to_le_bytes().as_slice())?;
        table.insert(meta::ID_KEY_NAME, id_key.as_slice())?;
        table.insert(meta::STATE_NAME, State::empty().encode().as_slice())?;
        table.insert(meta::IDS_NAME, Manifest::empty().encode().as_slice())?;
        table.insert(meta::CLEAN_STOP_NAME, [meta::CLEAN_STOP_VERSION].as_slice())?;
    }
    tx.commit()?;
    Ok(())
}

/// The last commit before a file is closed. The next start takes it that nothing was being attempted.
pub(crate) fn mark_clean_stop(database: &Database) -> Result<(), FileError> {
    let tx = database.begin_write()?;
    let mark = [meta::CLEAN_STOP_VERSION];
    tx.open_table(meta::TABLE)?
        .insert(meta::CLEAN_STOP_NAME, mark.as_slice())?;
    Ok(tx.commit()?)
}

fn start(database: Database, options: &Options) -> Result<(Store, Engine), OpenError> {
    let started_at = Instant::now();
    check_format(&database)?;
    let index = SharedIndex::new(options.resident_bytes_max, options.queue_sizes);
    let read = || -> Result<_, ReadError> {
        let snapshot = Snapshot::new(database.begin_read()?);
        let (state, id_key) = (recover::state(&snapshot)?, recover::id_key(&snapshot)?);
        let manifest = snapshot.id_manifest()?;
        let memory = ids::load(&snapshot, &manifest, options.id_filter_bytes_max)?;
        let ids = Ids::new(id_key, memory);
        let keyed = Keyed::new(recover::keyed(&snapshot)?);
        let channels = Channels::load(&snapshot)?;
        let mut index = index.lock();
        let past = recover::past(&snapshot)?;
        recover::fill(&mut index, &snapshot, &state, &channels, &past, options.now)?;
        // Nobody sleeps yet.
        drop(index.wake());
        let next_due = index.next_due();
        Ok((state, channels, manifest, ids, keyed, past, next_due))
    };
    let (state, channels, manifest, ids, keyed, past, next_due) =
        read().map_err(OpenError::Read)?;
    info!(
        messages = state.counts.messages(),
        deliveries = state.counts.deliveries(),
        ended = state.counts.ended(),
        clean_stop = past.is_clean,
        found_claimed = past.claimed.len(),
        took_ms = started_at.elapsed().as_millis() as u64,
        "store opened"
    );
    let shared = Shared::new(
        database,
        index,
        ids,
        keyed,
        state.space,
        state.head(),
        next_due,
    );
    let shared = Arc::new(shared);
    let (sender, receiver) = mpsc::channel(REQUESTS_WAITING_MAX);
    let mut engine = Engine::new(shared.clone(), receiver, state, channels, manifest, options);
    engine.begin(&past, options.now).map_err(OpenError::Read)?;
    Ok((Store::new(shared, sender), engine))
}

fn check_format(database: &Database) -> Result<(), OpenError> {
    let read = |cause: ReadError| OpenError::Read(cause);
    let tx = database.begin_read().map_err(|cause| read(cause.into()))?;
    let table = match tx.open_table(meta::TABLE) {
        Ok(table) => table,
        Err(redb::TableError::Storage(cause)) => return Err(read(cause.into())),
        Err(_) => return Err(OpenError::NotAStore),
    };
    let value =
        ReadableTable::get(&table, meta::FORMAT_NAME).map_err(|cause| read(cause.into()))?;
    let found = value
        .and_then(|value| value.value().try_into().ok())
        .map(u32::from_le_bytes);
    match found {
        Some(meta::FORMAT) => Ok(()),
        Some(found) if found > meta::FORMAT => Err(OpenError::NewerFormat {
            found,
            known: meta::FORMAT,
        }),
        Some(found) => Err(OpenError::OlderFormat {
            found,
            known: meta::FORMAT,
        }),
        None => Err(OpenError::NotAStore),
    }
}

fn open_error(cause: DatabaseError, path: &Path) -> OpenError {
    match cause {
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
            OpenError::Locked {
                path: path.to_owned(),
            }
        }
        DatabaseError::Storage(StorageError::Io(source)) => io_error(source, path),
        other => OpenError::Damaged {
            detail: other.to_string(),
        },
    }
}

fn io_error(source: std::io::Error, path: &Path) -> OpenError {
    let path = path.to_owned();
    match source.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            OpenError::Permission { path, source }
        }
        ErrorKind::InvalidData | ErrorKind::UnexpectedEof => OpenError::Damaged {
            detail: source.to_string(),
        },
        _ => OpenError::Io { path, source },
    }
}
