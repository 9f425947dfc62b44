//! What is done to a file as a whole: looking, checking, copying, compacting.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use redb::{Database, TableDefinition};
use wharf_core::invariant::Violation;
use wharf_core::{Cursor, MessageSeq, Status};
use wharf_store::{
    CheckError, Claims, Inspection, OpenError, Progress, Report, Settle, Store, StoreFile, compact,
};

use crate::everything::everything;
use crate::fixture::{Fixture, T0, accept, channel, end, log_of, settle, wait, wire};

const CACHE_BYTES: usize = 8 << 20;
const FILTER_BYTES: usize = 1 << 20;

fn open(path: &Path) -> Result<StoreFile, OpenError> {
    StoreFile::open(path, CACHE_BYTES, true, |_| {})
}

fn check(path: &Path) -> Result<Report, CheckError> {
    open(path).unwrap().check(FILTER_BYTES, &mut |_| {})
}

fn inspect(path: &Path) -> Inspection {
    open(path).unwrap().inspect(true, &mut |_| {}).unwrap()
}

fn closed(fixture: &Fixture) -> PathBuf {
    wait(fixture.store.close()).unwrap();
    fixture.path()
}

/// Looks at a file in every way that there is, and sees that no byte of it has changed.
fn look(path: &Path) -> (Report, Inspection) {
    let read = || (fs::read(path).unwrap(), fs::read(log_of(path)).ok());
    let before = read();
    let report = check(path).unwrap();
    let inspection = inspect(path);
    let copy = tempfile::tempfile().unwrap();
    open(path).unwrap().backup(copy, &mut |_| {}).unwrap();
    assert!(read() == before, "its bytes have changed");
    (report, inspection)
}

/// Goal: looking at a file changes nothing of it, closed or killed, and says the same of both but how the stop was.
#[test]
fn looking_changes_no_byte() {
    let fixture = everything();
    let expected = fixture.check();
    let (report, of_killed) = look(&fixture.left_behind());
    assert_eq!(report, expected);
    let (report, of_closed) = look(&closed(&fixture));
    assert_eq!(report, expected);
    assert!(of_closed.is_clean && !of_killed.is_clean);
    assert_eq!(of_closed.counts, of_killed.counts);
}

/// Goal: a check is no start. What was found claimed is not counted again, however often someone looks.
#[test]
fn looking_counts_no_claim_as_found() {
    let mut fixture = Fixture::new();
    fixture.accept(vec![accept("m", &["a"])]);
    fixture.kill();
    let Claims::Careful(claims) = fixture.store.claim(&channel("a"), 1, T0).unwrap() else {
        panic!("after an unclean stop claims go on disk");
    };
    let claims = wait(fixture.store.persist_claims(claims)).unwrap();
    let path = fixture.left_behind();
    for _ in 0..5 {
        assert_eq!(look(&path).1.claimed, 1);
    }
    drop(claims);
    wait(fixture.store.close()).unwrap();
    fixture.put_back(&path);
    fixture.store = Store::open(&fixture.path(), &fixture.options).unwrap();
    // Found for the first time: it is tried alone, and not dead.
    assert_eq!(fixture.delivery("m").status, Status::Queued);
    assert_eq!(fixture.store.stats().suspects, 1);
}

/// Goal: everything that is wrong is said, not the first thing alone, and the file is left as it is.
#[test]
fn a_check_says_all_that_is_wrong() {
    const DELIVERY: TableDefinition<'static, u64, &'static [u8]> = TableDefinition::new("delivery");
    const CURSOR: TableDefinition<'static, &'static str, &'static [u8]> =
        TableDefinition::new("cursor");
    let fixture = everything();
    let path = closed(&fixture);
    let database = Database::open(&path).unwrap();
    let tx = database.begin_write().unwrap();
    tx.open_table(CURSOR)
        .unwrap()
        .insert("audit", [9, 9].as_slice())
        .unwrap();
    tx.open_table(DELIVERY)
        .unwrap()
        .insert(u64::MAX, [2].as_slice())
        .unwrap();
    tx.commit().unwrap();
    drop(database);
    let before = fs::read(&path).unwrap();
    let Err(CheckError::Violations(violations)) = check(&path) else {
        panic!("it is damaged");
    };
    let said: Vec<_> = violations.iter().map(Violation::to_string).collect();
    assert_eq!(violations.len(), 2, "{said:?}");
    assert!(said[0].contains("cursor audit"), "{said:?}");
    assert!(said[1].contains("table delivery has"), "{said:?}");
    assert!(fs::read(&path).unwrap() == before, "its bytes have changed");
}

/// Goal: a page that was flipped is found by its checksum, whichever it is, or is one that holds nothing; in no case is
/// a byte changed, and none ends the process.
#[test]
fn a_flipped_page_is_found() {
    let fixture = everything();
    let path = closed(&fixture);
    let whole = fs::read(&path).unwrap();
    let (expected, of_whole) = (check(&path).unwrap(), inspect(&path));
    let damaged = fixture.folder.path().join("damaged");
    let mut found_count = 0;
    for page in 0..whole.len() / 4096 {
        let mut bytes = whole.clone();
        flip(&mut bytes[page * 4096 + 4..][..8]);
        fs::write(&damaged, &bytes).unwrap();
        match open(&damaged) {
            Ok(file) => {
                assert_eq!(file.check(FILTER_BYTES, &mut |_| {}).unwrap(), expected);
                assert_eq!(file.inspect(true, &mut |_| {}).unwrap(), of_whole);
            }
            Err(OpenError::Damaged { .. }) => found_count += 1,
            Err(other) => panic!("page {page}: {other:?}"),
        }
        assert!(fs::read(&damaged).unwrap() == bytes, "page {page} changed");
    }
    // Each table has one at least that has anything.
    let tables = of_whole.tables.iter().filter(|table| table.rows > 0);
    assert!(found_count >= tables.count(), "{found_count}");
}

/// Goal: a copy is of one moment, whatever is committed while it is made; nothing of it waits for the copy. It opens as
/// after a clean stop and passes its check, also where claims were out.
#[test]
fn a_backup_is_of_one_moment() {
    let mut fixture = everything();
    fixture.kill();
    let Claims::Careful(claims) = fixture.store.claim(&channel("a"), 1, T0).unwrap() else {
        panic!("after an unclean stop claims go on disk");
    };
    let out = wait(fixture.store.persist_claims(claims)).unwrap();
    let expected = fixture.check();
    let path = fixture.folder.path().join("copy");
    let mut told = Vec::new();
    fixture
        .store
        .backup(File::create_new(&path).unwrap(), &mut |progress| {
            // Every step of the copy lets a commit through.
            let late = accept(&format!("late-{}", told.len()), &["a"]);
            wait(fixture.store.accept(vec![late])).unwrap();
            told.push(progress);
        })
        .unwrap();
    let last = told.last().unwrap();
    assert!(told.len() > 20 && last.done <= last.total, "{last:?}");
    let (report, inspection) = look(&path);
    assert_eq!(report, expected);
    assert_eq!((inspection.is_clean, inspection.claimed), (true, 0));
    drop(out);
    let now = fixture.check();
    assert_eq!(now.messages, expected.messages + told.len() as u64);

    wait(fixture.store.close()).unwrap();
    fs::rename(&path, fixture.path()).unwrap();
    fixture.store = Store::open(&fixture.path(), &fixture.options).unwrap();
    assert_eq!(fixture.check(), expected);
    assert_eq!(fixture.store.stats().suspects, 0);
    assert!(matches!(
        fixture.store.claim(&channel("a"), 1, T0).unwrap(),
        Claims::Ready(claims) if claims.len() == 1
    ));
}

/// Goal: a copy that is cut off by a close says so, and the close does not wait for it.
#[test]
fn a_close_ends_a_backup() {
    let fixture = everything();
    let into = tempfile::tempfile().unwrap();
    let mut is_open = true;
    let copied = fixture.store.backup(into, &mut |_| {
        if std::mem::take(&mut is_open) {
            wait(fixture.store.close()).unwrap();
        }
    });
    let error = copied.unwrap_err();
    assert_eq!(error.to_string(), "the store could not be read");
}

/// Goal: compacting gives back what was deleted, keeps all that is stored, and leaves the marks of the last stop.
#[test]
fn compacting_gives_back_and_keeps() {
    let fixture = Fixture::new();
    let large = "x".repeat(200_000);
    let all: Vec<_> = (0..40)
        .map(|number| accept(&format!("m{number}"), &["a"]))
        .collect();
    wait(fixture.store.accept(all)).unwrap();
    for to in [Status::Retrying, Status::Delivered] {
        let claims = fixture.claim("a", usize::MAX, T0);
        let settled = claims.into_iter().map(|claim| Settle {
            wire: (to == Status::Retrying).then(|| wire(&large)),
            ..settle(claim, end(to))
        });
        wait(fixture.store.settle(settled.collect())).unwrap();
    }
    fixture.check();
    let (left, path) = (fixture.left_behind(), closed(&fixture));
    for (path, is_clean) in [(path, true), (left, false)] {
        let before = inspect(&path);
        let compacted = compact(&path, CACHE_BYTES, |_| {}).unwrap();
        assert!(compacted.after < compacted.before, "{compacted:?}");
        assert_eq!(fs::metadata(&path).unwrap().len(), compacted.after);
        let (report, after) = look(&path);
        assert_eq!((report.messages, report.deliveries), (40, 40));
        assert_eq!((before.is_clean, after.is_clean), (is_clean, is_clean));
        assert_eq!(before.counts, after.counts);
    }
}

/// Goal: what is said of a file is what the commands say, and its sizes add up to less than the file.
#[test]
fn an_inspection_says_what_is_there() {
    let fixture = everything();
    let online = fixture.store.inspect(true).unwrap();
    let report = fixture.check();
    let head = Cursor(report.rows);
    let path = closed(&fixture);
    let mut told = Vec::new();
    let found = open(&path)
        .unwrap()
        .inspect(true, &mut |progress: Progress| told.push(progress))
        .unwrap();
    assert_eq!(found.counts.messages(), report.messages);
    assert_eq!(found.chunks, report.chunks);
    assert_eq!(found.next_seq, MessageSeq(report.messages + 1));
    assert_eq!((found.first_row, found.last_row), (Some(Cursor(1)), head));
    assert_eq!((found.ids_from, found.parked), (MessageSeq(3), 2));
    assert!(found.id_runs > 0 && found.is_clean && !online.is_clean);
    assert_eq!(online.counts, found.counts);
    let used = found.used_bytes().unwrap();
    assert!(used > 0 && used <= fs::metadata(&path).unwrap().len());
    let last = told.last().unwrap();
    assert_eq!(
        (last.done, last.total),
        (last.total, found.tables.len() as u64)
    );
    // None is forgotten.
    let database = Database::open(&path).unwrap();
    let tx = redb::ReadableDatabase::begin_read(&database).unwrap();
    assert_eq!(tx.list_tables().unwrap().count(), found.tables.len());
    let quick = fixture.folder.path().join("quick");
    fs::copy(&path, &quick).unwrap();
    let quick = open(&quick).unwrap().inspect(false, &mut |_| {}).unwrap();
    assert_eq!(quick.used_bytes(), None);
}

/// Goal: nobody looks at a file that a host has open, several look at once, and while someone looks no host opens it.
#[test]
fn looking_and_running_exclude_each_other() {
    let fixture = everything();
    let is_locked = |error: &OpenError| matches!(error, OpenError::Locked { .. });
    assert!(is_locked(&open(&fixture.path()).unwrap_err()));
    let path = closed(&fixture);
    let (one, other) = (open(&path).unwrap(), open(&path).unwrap());
    let opened = Store::open(&path, &fixture.options);
    assert!(is_locked(&opened.err().unwrap()));
    drop((one, other));
    Store::open(&path, &fixture.options).unwrap();
}

/// Goal: a start on a file with a page that makes no sense goes on, or says that the file is damaged; the engine's panics
/// on such pages stay within.
#[test]
fn a_start_on_a_flipped_page_does_not_panic() {
    let fixture = everything();
    let path = closed(&fixture);
    let whole = fs::read(&path).unwrap();
    let damaged = fixture.folder.path().join("damaged");
    let mut refused_count = 0;
    for at in (0..whole.len()).step_by(4096) {
        for within in [0, 2, 4] {
            let mut bytes = whole.clone();
            flip(&mut bytes[at + within..][..8]);
            fs::write(&damaged, &bytes).unwrap();
            match Store::open(&damaged, &fixture.options) {
                // What it comes to then is another question: the next one needs the file.
                Ok(store) => drop(wait(store.close())),
                Err(OpenError::Damaged { .. } | OpenError::Read(_)) => refused_count += 1,
                Err(other) => panic!("page {at}+{within}: {other:?}"),
            }
        }
    }
    assert!(refused_count > 10, "{refused_count}");
}

fn flip(bytes: &mut [u8]) {
    bytes.iter_mut().for_each(|byte| *byte ^= 0x5a);
}
