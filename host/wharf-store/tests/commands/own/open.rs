//! Opening: what is found instead of a store, and what is said about it.

use std::fs;

use redb::{Database, TableDefinition};
use wharf_store::OpenError;

use crate::fixture::{Fixture, accept, open, wait};

const META: TableDefinition<'static, &'static str, &'static [u8]> = TableDefinition::new("meta");

/// Opens the fixture's file after `damage` was done to it, and looks at the error.
fn check(damage: impl FnOnce(&Fixture), is_expected: impl FnOnce(&OpenError) -> bool) {
    let fixture = Fixture::new();
    fixture.accept(vec![accept("m", &["a"])]);
    wait(fixture.store.close()).unwrap();
    damage(&fixture);
    let error = open(&fixture.path(), &fixture.options)
        .err()
        .expect("it does not open");
    assert!(is_expected(&error), "{error:?}");
}

#[test]
fn another_format_is_refused_by_its_number() {
    let with_format = |format: u32| {
        move |fixture: &Fixture| {
            let database = Database::open(fixture.path()).unwrap();
            let tx = database.begin_write().unwrap();
            tx.open_table(META)
                .unwrap()
                .insert("format", format.to_le_bytes().as_slice())
                .unwrap();
            tx.commit().unwrap();
        }
    };
    check(
        with_format(1_000),
        |error| matches!(error, OpenError::NewerFormat { found: 1_000, known } if *known < 1_000),
    );
    check(
        with_format(5),
        |error| matches!(error, OpenError::OlderFormat { found: 5, known } if *known > 5),
    );
}

#[test]
fn a_database_of_someone_else_is_no_store() {
    let other = |fixture: &Fixture| {
        fs::remove_file(fixture.path()).unwrap();
        drop(Database::create(fixture.path()).unwrap());
    };
    check(other, |error| matches!(error, OpenError::NotAStore));
}

#[test]
fn a_damaged_file_is_said_to_be_damaged() {
    let is_damaged = |error: &OpenError| matches!(error, OpenError::Damaged { .. });
    check(
        |fixture| fs::write(fixture.path(), "not a database").unwrap(),
        is_damaged,
    );
    check(|fixture| fs::write(fixture.path(), "").unwrap(), is_damaged);
    let header = |fixture: &Fixture| {
        let mut bytes = fs::read(fixture.path()).unwrap();
        bytes[..512].fill(0x55);
        fs::write(fixture.path(), bytes).unwrap();
    };
    check(header, is_damaged);
    let cut_short = |fixture: &Fixture| {
        let bytes = fs::read(fixture.path()).unwrap();
        fs::write(fixture.path(), &bytes[..bytes.len() / 2]).unwrap();
    };
    check(cut_short, is_damaged);
}

#[test]
fn creation_leaves_no_other_file_behind_and_survives_a_leftover() {
    let fixture = Fixture::new();
    let files_count = || fs::read_dir(fixture.folder.path()).unwrap().count();
    // With its log, while it is open.
    assert_eq!(files_count(), 2);
    wait(fixture.store.close()).unwrap();
    assert_eq!(files_count(), 1);
    fs::remove_file(fixture.path()).unwrap();
    let leftover = format!("store.{}.new", std::process::id());
    fs::write(fixture.folder.path().join(leftover), "cut short").unwrap();
    let store = open(&fixture.path(), &fixture.options).unwrap();
    assert_eq!(files_count(), 2);
    assert_eq!(store.stats().counts.messages(), 0);
}
