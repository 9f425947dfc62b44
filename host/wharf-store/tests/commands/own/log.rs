//! The log beside a store: what a start makes of what it finds there.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use wharf_core::Status;
use wharf_store::{Backend, Backends, OpenError, Options, Store, StoreFile, compact};

use super::ids::Disk;
use crate::fixture::{Fixture, T0, accept, end, id, log_of, message, open, settle, to, wait};

/// What records begin at a multiple of.
const BLOCK_BYTES: usize = 4096;

/// Three commits, each of a message, and what is left behind after them.
fn three() -> Fixture {
    let fixture = Fixture::new();
    for name in ["m1", "m2", "m3"] {
        fixture.accept(vec![accept(name, &["a"])]);
    }
    fixture
}

/// Opens what three commits leave behind after something was done to it.
fn reopen(change: impl FnOnce(&Path)) -> Result<Store, OpenError> {
    let fixture = three();
    let left_behind = fixture.left_behind();
    change(&left_behind);
    wait(fixture.store.close()).unwrap();
    fixture.put_back(&left_behind);
    open(&fixture.path(), &fixture.options)
}

fn messages(store: &Store) -> Vec<&'static str> {
    let names = ["m1", "m2", "m3"].into_iter();
    let there = names.filter(|name| store.get(&id(name)).unwrap().is_some());
    let there = there.collect();
    wait(store.check()).unwrap();
    there
}

fn change_log(store: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut log = fs::read(log_of(store)).unwrap();
    change(&mut log);
    fs::write(log_of(store), log).unwrap();
}

fn damage(opened: Result<Store, OpenError>) -> String {
    match opened.map(|store| messages(&store)) {
        Err(OpenError::Log { detail, .. }) => detail,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_in_the_log_alone_is_found() {
    let store = reopen(|path| {
        let len = fs::metadata(log_of(path)).unwrap().len() as usize;
        assert!(len >= 4 * BLOCK_BYTES, "a head, and three records");
    });
    assert_eq!(messages(&store.unwrap()), ["m1", "m2", "m3"]);
}

/// Goal: a last record that did not come to the disk as a whole is as if it had never been; its sender was not answered.
#[test]
fn a_torn_record_is_not_there() {
    for byte in [0, 9, 30, 40, 60, 100] {
        let store = reopen(|path| {
            change_log(path, |log| log[3 * BLOCK_BYTES + byte] ^= 1);
        });
        assert_eq!(messages(&store.unwrap()), ["m1", "m2"], "byte {byte}");
    }
    let store = reopen(|path| change_log(path, |log| log.truncate(3 * BLOCK_BYTES + 100)));
    assert_eq!(messages(&store.unwrap()), ["m1", "m2"]);
}

/// Goal: a record that others follow was on disk. That it is not whole is damage, and no end.
#[test]
fn a_damaged_record_in_the_middle_is_said() {
    let found = damage(reopen(|path| {
        change_log(path, |log| log[2 * BLOCK_BYTES + 60] ^= 1);
    }));
    assert!(found.contains("damaged after its record 1"), "{found}");
}

#[test]
fn a_log_of_something_else_is_refused() {
    let foreign = |path: &Path| {
        let other = Fixture::with(Options::new([2; 32], T0));
        other.accept(vec![accept("other", &["a"])]);
        fs::copy(log_of(&other.path()), log_of(path)).unwrap();
    };
    let found = damage(reopen(foreign));
    assert!(found.contains("another store's"), "{found}");
    let found = damage(reopen(|path| {
        fs::write(log_of(path), "a text").unwrap();
    }));
    assert!(found.contains("no log of wharf"), "{found}");
    let found = damage(reopen(|path| change_log(path, |log| log[8] += 1)));
    assert!(found.contains("a later version"), "{found}");
}

/// Goal: where an older copy of the file is put beside a newer log, nothing is made up of the two.
#[test]
fn a_file_that_is_older_than_its_log_is_refused() {
    let mut fixture = three();
    let older = fixture.left_behind();
    let copy = fixture.folder.path().join("older");
    fs::rename(&older, &copy).unwrap();
    fixture.kill();
    fixture.accept(vec![accept("m4", &["a"])]);
    let left_behind = fixture.left_behind();
    fs::rename(&copy, &left_behind).unwrap();
    wait(fixture.store.close()).unwrap();
    fixture.put_back(&left_behind);
    let found = damage(open(&fixture.path(), &fixture.options));
    assert!(found.contains("a later time"), "{found}");
}

/// Goal: what was acknowledged and is gone is said, and an operator can say to go on without.
#[test]
fn a_log_that_is_gone_is_said_and_an_empty_one_goes_on_without() {
    let fixture = three();
    let left_behind = fixture.left_behind();
    wait(fixture.store.close()).unwrap();
    fixture.put_back(&left_behind);
    let log = log_of(&fixture.path());
    fs::remove_file(&log).unwrap();
    let gone = |cause: &OpenError| matches!(cause, OpenError::LogMissing { path } if *path == log);
    let cause = open(&fixture.path(), &fixture.options).err().unwrap();
    assert!(gone(&cause), "{cause:?}");
    let cause = StoreFile::open(&fixture.path(), 0, true, |_| {}).unwrap_err();
    assert!(gone(&cause), "{cause:?}");
    assert!(compact(&fixture.path(), 0, |_| {}).is_err());
    assert!(!log.exists(), "looking makes none");
    fs::write(&log, "").unwrap();
    let store = open(&fixture.path(), &fixture.options).unwrap();
    assert_eq!(messages(&store), [""; 0]);
}

/// Goal: a log is applied once, or again, or again after its changes were changed: it comes to the same.
#[test]
fn a_log_that_was_applied_does_no_harm() {
    let store = reopen(|path| {
        for _ in 0..2 {
            compact(path, 1 << 20, |_| {}).unwrap();
        }
    });
    assert_eq!(messages(&store.unwrap()), ["m1", "m2", "m3"]);
}

/// Goal: whatever has room in the log, and whatever has none, is there after a kill, and so is what became of it.
#[test]
fn commits_of_all_sizes_survive_a_kill() {
    let mut options = Options::new([1; 32], T0);
    options.wal_bytes_max = 64 << 10;
    let mut fixture = Fixture::with(options);
    let sizes = [
        10, 3_000, 4_000, 70_000, 10, 20_000, 20_000, 20_000, 30_000, 10,
    ];
    for round in 0..3 {
        for (n, len) in sizes.into_iter().enumerate() {
            let payload = "x".repeat(len);
            let name = format!("m-{round}-{n}");
            fixture.accept(vec![to(message(&name, &payload), &["a"])]);
            if n % 3 == 0 {
                let claim = fixture.claim("a", 1, T0).remove(0);
                fixture.settle(vec![settle(claim, end(Status::Delivered))]);
            }
        }
        fixture.kill();
    }
    let counts = fixture.store.stats().counts;
    assert_eq!(
        (counts.messages(), counts.status(Status::Delivered)),
        (30, 12)
    );
    // The log is as long as it may be, and no longer.
    let len = fs::metadata(log_of(&fixture.path())).unwrap().len();
    assert!(len <= 64 << 10, "{len}");
}

/// Goal: a log may be all that is left of something: beside a store that was closed, or where there is none, it is left
/// alone, and said.
#[test]
fn a_log_beside_a_closed_store_is_left_alone() {
    let mut fixture = three();
    wait(fixture.store.close()).unwrap();
    let closed = fixture.folder.path().join("closed");
    fs::copy(fixture.path(), &closed).unwrap();
    fixture.store = open(&fixture.path(), &fixture.options).unwrap();
    fixture.accept(vec![accept("m4", &["a"])]);
    let left_behind = fixture.left_behind();
    wait(fixture.store.close()).unwrap();
    fs::rename(&closed, &left_behind).unwrap();
    fixture.put_back(&left_behind);
    let log = fs::read(log_of(&fixture.path())).unwrap();
    let found = damage(open(&fixture.path(), &fixture.options));
    assert!(found.contains("this store was closed"), "{found}");
    fs::remove_file(fixture.path()).unwrap();
    let found = damage(open(&fixture.path(), &fixture.options));
    assert!(found.contains("its store is not"), "{found}");
    assert!(!fixture.path().exists());
    assert!(fs::read(log_of(&fixture.path())).unwrap() == log);
    fs::write(log_of(&fixture.path()), "a text").unwrap();
    damage(open(&fixture.path(), &fixture.options));
}

/// Goal: a log of another time of the same store is not taken for its own, whether that was earlier or is a copy's.
#[test]
fn a_log_of_another_life_is_refused() {
    let mut fixture = three();
    let early = fixture.left_behind();
    fixture.kill();
    fixture.accept(vec![accept("m4", &["a"])]);
    let earlier_log = fs::read(log_of(&early)).err();
    assert!(earlier_log.is_some(), "it was put back");
    let now = fixture.left_behind();
    let log_now = fs::read(log_of(&now)).unwrap();
    fixture.kill();
    fixture.accept(vec![accept("m5", &["a"])]);
    let later = fixture.left_behind();
    wait(fixture.store.close()).unwrap();
    fs::write(log_of(&later), &log_now).unwrap();
    fixture.put_back(&later);
    let found = damage(open(&fixture.path(), &fixture.options));
    assert!(found.contains("another time of this store"), "{found}");

    // A copy and its original, each in a run of its own.
    let original = three();
    let copy = original.folder.path().join("copy");
    let into = fs::File::options();
    let into = { into }.read(true).write(true).create_new(true).open(&copy);
    original.store.backup(into.unwrap(), &mut |_| {}).unwrap();
    let other = open(&copy, &Options::new([9; 32], T0)).unwrap();
    wait(other.accept(vec![accept("c", &["a"])])).unwrap();
    let left_behind = original.left_behind();
    fs::copy(log_of(&copy), log_of(&left_behind)).unwrap();
    wait(original.store.close()).unwrap();
    original.put_back(&left_behind);
    let found = damage(open(&original.path(), &original.options));
    assert!(found.contains("another time of this store"), "{found}");
}

/// Goal: opened after a kill the file is in order. Repairing one takes a second a GiB.
#[test]
fn a_killed_store_needs_no_repair() {
    let mut options = Options::new([1; 32], T0);
    options.wal_bytes_max = 64 << 10;
    let fixture = Fixture::with(options);
    for n in 0..40 {
        let payload = "x".repeat(5_000);
        fixture.accept(vec![to(message(&format!("m{n}"), &payload), &["a"])]);
    }
    let left_behind = fixture.left_behind();
    compact(&left_behind, 1 << 20, |_| panic!("it is repaired")).unwrap();
}

#[cfg(unix)]
#[test]
fn who_may_read_the_store_may_read_its_log() {
    use std::os::unix::fs::PermissionsExt;
    let mut fixture = three();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&log_of(&fixture.path())), 0o600);
    wait(fixture.store.close()).unwrap();
    fs::set_permissions(fixture.path(), fs::Permissions::from_mode(0o640)).unwrap();
    fixture.store = open(&fixture.path(), &fixture.options).unwrap();
    assert_eq!(mode(&log_of(&fixture.path())), 0o640);
}

/// Goal: a checkpoint for recent ids makes room for them. Else each commit were one until the next new id comes.
#[test]
fn what_brings_no_ids_is_logged_however_many_are_recent() {
    let mut options = Options::new([1; 32], T0);
    options.id_sizes.recent = 64;
    let fixture = Fixture::with(options);
    fixture.accept((0..60).map(|n| accept(&format!("m{n}"), &["a"])).collect());
    for _ in 0..7 {
        let file = fs::read(fixture.path()).unwrap();
        let claims = fixture.claim("a", 8, T0).into_iter();
        let settled = claims.map(|claim| settle(claim, end(Status::Delivered)));
        fixture.settle(settled.collect());
        assert!(fs::read(fixture.path()).unwrap() == file, "a checkpoint");
    }
}

/// A disk that knows whether the store has given up its file.
#[derive(Debug)]
struct Watched {
    disk: Disk,
    is_closed: Arc<AtomicBool>,
    is_log: bool,
}

impl Backend for Watched {
    fn len(&self) -> io::Result<u64> {
        self.disk.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.disk.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let is_late = self.is_log && self.is_closed.load(Ordering::SeqCst);
        assert!(!is_late, "the log may be another process's by now");
        self.disk.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.disk.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.disk.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.is_closed.fetch_or(!self.is_log, Ordering::SeqCst);
        Ok(())
    }
}

/// Goal: the log goes while the store is still locked. Afterwards the next process may have made its own.
#[test]
fn a_log_is_removed_before_the_store_is_given_up() {
    let is_closed = Arc::<AtomicBool>::default();
    let log = Disk::new();
    let watched = |disk, is_log| {
        Box::new(Watched {
            disk,
            is_closed: is_closed.clone(),
            is_log,
        })
    };
    let backends = Backends {
        tables: watched(Disk::new(), false),
        log: watched(log.clone(), true),
    };
    let store = Store::open_backends(backends, &Options::new([1; 32], T0)).unwrap();
    wait(store.accept(vec![accept("m", &["a"])])).unwrap();
    assert!(log.len().unwrap() > 0);
    wait(store.close()).unwrap();
    assert_eq!(log.len().unwrap(), 0);
    assert!(is_closed.load(Ordering::SeqCst));
}
