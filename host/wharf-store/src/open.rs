//! Opening and creating a store.

use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use redb::{
    Builder, Database, DatabaseError, Key, ReadableDatabase, ReadableTable, StorageError,
    TableDefinition, Value, WriteTransaction,
};
use tokio::sync::mpsc;
use tracing::{info, warn};
use wharf_core::HashKey;

use crate::backend::{Backends, Boxed, forget_cached};
use crate::channels::Channels;
use crate::engine::Engine;
use crate::error::{FileError, OpenError, ReadError};
use crate::ids::{self, Ids};
use crate::index::SharedIndex;
use crate::limits::REQUESTS_WAITING_MAX;
use crate::maintain::Progress;
use crate::migrate;
use crate::operation::keyed::Keyed;
use crate::options::Options;
use crate::read::Snapshot;
use crate::recover;
use crate::store::{Shared, Store};
use crate::table::id_manifest::Manifest;
use crate::table::state::State;
use crate::table::{all, meta};
use crate::wal::{self, Place, Position, Wal};

impl Store {
    /// Opens the store in a file, which is created where there is none, and starts its writer.
    pub fn open(path: &Path, options: &Options) -> Result<Self, OpenError> {
        guard(|| {
            let in_path = |source| io_error(source, path);
            if path.try_exists().map_err(in_path)? {
                refuse_foreign(path, options.cache_bytes)?;
            } else {
                create(path, options)?;
            }
            let opened = warning_builder(options).open(path);
            let opened = opened.map_err(|cause| open_error(cause, path));
            let log = Place::Beside(path.to_owned());
            let started = opened.and_then(|database| start(database, log, options));
            // What a sync that failed leaves in memory is not to be believed by whoever tries next.
            let (store, engine) = started.inspect_err(|_| {
                forget_cached(path);
                forget_cached(&wal::path(path));
            })?;
            store.run(engine).map_err(in_path)
        })
    }

    /// Opens the store in backends, made there where they are empty, and starts its writer.
    pub fn open_backends(backends: Backends, options: &Options) -> Result<Self, OpenError> {
        let (store, engine) = Self::open_stepped(backends, options)?;
        store
            .run(engine)
            .map_err(|source| io_error(source, Path::new("")))
    }

    /// Opens the store in backends with no thread: nothing is committed until the caller steps the engine. For
    /// simulations, which need every run to be the same.
    pub fn open_stepped(
        backends: Backends,
        options: &Options,
    ) -> Result<(Self, Engine), OpenError> {
        let in_backend = |cause| open_error(cause, Path::new(""));
        let len = backends.tables.len();
        let is_new = len.map_err(|source| io_error(source, Path::new("")))? == 0;
        let database = warning_builder(options)
            .create_with_backend(Boxed(backends.tables))
            .map_err(in_backend)?;
        if is_new {
            lay_out(&database, options).map_err(OpenError::Read)?;
        }
        start(database, Place::Backend(backends.log), options)
    }

    fn run(self, engine: Engine) -> std::io::Result<Self> {
        let thread = thread::Builder::new()
            .name("wharf-store".into())
            .spawn(|| engine.run())?;
        self.shared.set_writer(thread);
        Ok(self)
    }
}

/// How a store's file is opened; `repaired` is told how far a repair is, in thousandths.
pub(crate) fn builder(cache_bytes: usize, repaired: impl Fn(Progress) + 'static) -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(cache_bytes);
    builder.set_repair_callback(move |session| {
        repaired(Progress {
            done: (session.progress() * 1000.0) as u64,
            total: 1000,
        });
    });
    builder
}

fn warning_builder(options: &Options) -> Builder {
    builder(options.cache_bytes, |progress| {
        warn!(
            progress = progress.done as f64 / progress.total as f64,
            "the store was not closed cleanly and is repaired"
        );
    })
}

/// Looks at a file that is there, without changing it, and refuses what is no store of this format: opened to be written,
/// even what is then refused is put in order first. A file that has to be repaired before it can be read is let pass: what
/// it is comes out when it is opened.
pub(crate) fn refuse_foreign(path: &Path, cache_bytes: usize) -> Result<(), OpenError> {
    refuse_empty(path)?;
    let opened = builder(cache_bytes, |_| {}).open_read_only(path);
    match opened {
        Ok(database) => check_format(&database),
        Err(DatabaseError::RepairAborted) => Ok(()),
        Err(cause) => Err(open_error(cause, path)),
    }
}

/// The engine panics where a page of a file makes no sense that it trusts: to whoever opens the file, that is damage like
/// any other.
pub(crate) fn guard<T>(open: impl FnOnce() -> Result<T, OpenError>) -> Result<T, OpenError> {
    // What the closure has made is gone with it.
    catch_unwind(AssertUnwindSafe(open)).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().map(String::as_str);
        let said = said.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(OpenError::Damaged {
            detail: format!("the engine gave it up: {}", said.unwrap_or("it panicked")),
        })
    })
}

/// The engine takes an empty file for one that is yet to be made.
pub(crate) fn refuse_empty(path: &Path) -> Result<(), OpenError> {
    let metadata = fs::metadata(path).map_err(|source| io_error(source, path))?;
    if metadata.len() == 0 {
        return Err(OpenError::Damaged {
            detail: "it is empty".to_owned(),
        });
    }
    Ok(())
}

/// Creates a store so that a crash leaves either none or a whole one: a file whose creation was cut short cannot
/// be opened.
fn create(path: &Path, options: &Options) -> Result<(), OpenError> {
    create_as(path, |temporary| make(temporary, path, options)).map(drop)
}

/// Has a file made under another name, and only then gives it its own. False where another process was faster: its file
/// stays.
pub(crate) fn create_as<E: From<OpenError>>(
    path: &Path,
    make: impl FnOnce(&Path) -> Result<(), E>,
) -> Result<bool, E> {
    let in_path = |source| io_error(source, path);
    let temporary = temporary_path(path);
    // A leftover can only be from a process that had this one's number and is gone.
    match fs::remove_file(&temporary) {
        Err(cause) if cause.kind() != ErrorKind::NotFound => return Err(in_path(cause).into()),
        _ => {}
    }
    let made = make(&temporary).and_then(|()| {
        // A link fails where another process has been faster, whereas a rename would pull the file away from it.
        match fs::hard_link(&temporary, path) {
            Err(cause) if cause.kind() == ErrorKind::AlreadyExists => Ok(false),
            // Not every file system has links.
            Err(_) => fs::rename(&temporary, path)
                .map(|()| true)
                .map_err(|source| in_path(source).into()),
            Ok(()) => Ok(true),
        }
    });
    // Gone already where it was renamed.
    let _ = fs::remove_file(&temporary);
    let is_new = made?;
    sync_folder(path).map_err(in_path)?;
    Ok(is_new)
}

/// Makes it durable that there is a file, or that there is none.
pub(crate) fn sync_folder(path: &Path) -> std::io::Result<()> {
    let folder = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

fn temporary_path(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    path.with_file_name(name)
}

/// Makes a whole store in a temporary file; errors name the file that was asked for.
pub(crate) fn make(temporary: &Path, path: &Path, options: &Options) -> Result<(), OpenError> {
    let in_path = |cause| open_error(cause, path);
    make_private(temporary).map_err(|source| io_error(source, path))?;
    let database = warning_builder(options)
        .create(temporary)
        .map_err(in_path)?;
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
    all::each(&mut LayOut(&tx))?;
    {
        let mut table = tx.open_table(meta::TABLE)?;
        let mut id_key = vec![meta::ID_KEY_VERSION];
        id_key.extend_from_slice(&options.id_key);
        table.insert(meta::FORMAT_NAME, meta::FORMAT.to_le_bytes().as_slice())?;
        table.insert(meta::ID_KEY_NAME, id_key.as_slice())?;
        table.insert(meta::STATE_NAME, State::empty().encode().as_slice())?;
        table.insert(meta::IDS_NAME, Manifest::empty().encode().as_slice())?;
        table.insert(meta::CLEAN_STOP_NAME, [meta::CLEAN_STOP_VERSION].as_slice())?;
        table.insert(meta::LOG_NAME, Position::default().encode().as_slice())?;
    }
    tx.commit()?;
    Ok(())
}

struct LayOut<'a>(&'a WriteTransaction);

impl all::Visit for LayOut<'_> {
    type Error = ReadError;

    fn table<K: Key + 'static, V: Value + 'static>(
        &mut self,
        table: TableDefinition<'static, K, V>,
    ) -> Result<(), ReadError> {
        self.0.open_table(table)?;
        Ok(())
    }
}

/// The last commit before a file is closed: it has all that was in the log. The next start takes it that nothing was being
/// attempted.
pub(crate) fn mark_clean_stop(database: &Database, log: Position) -> Result<(), FileError> {
    let mut tx = database.begin_write()?;
    tx.set_quick_repair(true);
    {
        let mut table = tx.open_table(meta::TABLE)?;
        table.insert(meta::CLEAN_STOP_NAME, [meta::CLEAN_STOP_VERSION].as_slice())?;
        table.insert(meta::LOG_NAME, log.closed().encode().as_slice())?;
    }
    Ok(tx.commit()?)
}

fn start(database: Database, log: Place, options: &Options) -> Result<(Store, Engine), OpenError> {
    let started_at = Instant::now();
    check_format(&database)?;
    migrate::run(&database)?;
    let wal = open_log(&database, log, options)?;
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
    let shared = Shared::new(database, index, ids, keyed, state.head(), next_due);
    let shared = Arc::new(shared);
    let (sender, receiver) = mpsc::channel(REQUESTS_WAITING_MAX);
    let mut engine = Engine::new(
        shared.clone(),
        receiver,
        wal,
        state,
        channels,
        manifest,
        options,
    );
    engine.begin(&past, options.now).map_err(OpenError::Read)?;
    Ok((Store::new(shared, sender), engine))
}

/// Opens the log, and brings the tables to where it ends.
fn open_log(database: &Database, place: Place, options: &Options) -> Result<Wal, OpenError> {
    let (stands, key) = log_position(database).map_err(OpenError::Read)?;
    let log = place.open(stands.is_open)?;
    let position = if stands.is_open {
        wal::replay(database, &log, &key, stands)?
    } else {
        stands
    };
    Wal::open(log, key, position, options.wal_bytes_max)
}

/// Brings the tables of a store that no host runs on to where its log ends. The log stays as it is.
pub(crate) fn apply_log(database: &Database, path: &Path) -> Result<(), OpenError> {
    let (stands, key) = log_position(database).map_err(OpenError::Read)?;
    if stands.is_open {
        wal::replay(database, &wal::open_to_read(path)?, &key, stands)?;
    }
    Ok(())
}

/// Where in the log the tables stand, and the key of its records.
pub(crate) fn log_position(database: &Database) -> Result<(Position, HashKey), ReadError> {
    let snapshot = Snapshot::new(database.begin_read()?);
    Ok((
        recover::log_position(&snapshot)?,
        recover::id_key(&snapshot)?,
    ))
}

/// Refuses a format that cannot be read, nor brought to the one that is.
pub(crate) fn check_format(database: &impl ReadableDatabase) -> Result<(), OpenError> {
    let (found, known) = (format(database)?, meta::FORMAT);
    if found > known {
        Err(OpenError::NewerFormat { found, known })
    } else if migrate::is_known(found) {
        Ok(())
    } else {
        Err(OpenError::OlderFormat { found, known })
    }
}

/// The file's format.
pub(crate) fn format(database: &impl ReadableDatabase) -> Result<u32, OpenError> {
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
    found.ok_or(OpenError::NotAStore)
}

pub(crate) fn open_error(cause: DatabaseError, path: &Path) -> OpenError {
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

pub(crate) fn io_error(source: std::io::Error, path: &Path) -> OpenError {
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
