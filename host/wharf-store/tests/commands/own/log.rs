//! The log beside a store: what a start makes of what it finds there.

use std::fs;
use std::path::Path;

use wharf_core::Status;
use wharf_store::{OpenError, Options, Store, StoreFile, compact};

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
        Err(OpenError::Damaged { detail }) => detail,
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
    assert!(found.contains("older than the log"), "{found}");
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

/// Goal: a log that was left beside a store that was closed says nothing, although it may be of that store's later life.
#[test]
fn a_log_beside_a_closed_store_is_none() {
    let mut fixture = three();
    wait(fixture.store.close()).unwrap();
    let closed = fixture.folder.path().join("closed");
    fs::copy(fixture.path(), &closed).unwrap();
    fixture.store = open(&fixture.path(), &fixture.options).unwrap();
    for name in ["m4", "m5", "m6", "m7"] {
        fixture.accept(vec![accept(name, &["a"])]);
    }
    let left_behind = fixture.left_behind();
    wait(fixture.store.close()).unwrap();
    fs::rename(&closed, &left_behind).unwrap();
    fixture.put_back(&left_behind);
    fixture.store = open(&fixture.path(), &fixture.options).unwrap();
    assert_eq!(messages(&fixture.store), ["m1", "m2", "m3"]);
    fixture.accept(vec![accept("m8", &["a"])]);
    fixture.kill();
    assert_eq!(messages(&fixture.store), ["m1", "m2", "m3"]);
    let has = |name| fixture.store.get(&id(name)).unwrap().is_some();
    assert!(has("m8") && !has("m5"));
}
