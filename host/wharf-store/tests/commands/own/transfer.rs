//! Export and import: what is carried over as text, and what is refused.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use redb::{Database, ReadableTable, TableDefinition};
use wharf_core::{Cursor, MessageSeq, Standing, Status};
use wharf_store::{
    Accept, Accepted, CheckError, ExportError, Filter, ImportError, ImportStage, Options, Prune,
    Report, Store, StoreFile, import,
};

use crate::everything::everything;
use crate::fixture::{Fixture, T0, accept, end, id, never, settle, wait};

pub(super) fn export(path: &Path) -> String {
    let file = StoreFile::open(path, 8 << 20, true, |_| {}).unwrap();
    let mut text = Vec::new();
    let mut told = Vec::new();
    file.export(&mut text, &mut |progress| told.push(progress))
        .unwrap();
    assert!(told.last().is_none_or(|last| last.done == last.total));
    String::from_utf8(text).unwrap()
}

/// Another secret than that of the store that was exported.
fn options(fixture: &Fixture) -> Options {
    Options {
        id_key: [3; 32],
        ..fixture.options.clone()
    }
}

fn try_import(fixture: &Fixture, text: &str) -> Result<Report, ImportError> {
    let path = fixture.folder.path().join("imported");
    import(&mut text.as_bytes(), &path, &options(fixture), &mut |_| {})
}

fn closed(fixture: &Fixture) -> std::path::PathBuf {
    wait(fixture.store.close()).unwrap();
    fixture.path()
}

/// Goal: an import is the same store to everyone who asks: its export is the same byte for byte, every message, delivery
/// and journal row is, ids are known where they were, what was forgotten is new.
#[test]
fn an_import_is_the_same_store() {
    let fixture = assert_same(everything());
    let answers = fixture.accept(vec![accept("wide-5", &["b"]), accept("wide-0", &["b"])]);
    assert!(matches!(answers[0], Accepted::Duplicate { .. }));
    assert!(matches!(answers[1], Accepted::New { .. }));
}

/// Goal: the same of a store that retention has removed messages from, with and without others beside them: their numbers
/// stay, and a duplicate is answered as the first time.
#[test]
fn what_was_removed_is_carried_over() {
    let fixture = with_removed();
    assert!(fixture.store.get(&id("gone-0")).unwrap().is_none());
    let first = fixture.store.remains(&id("gone-0")).unwrap();
    assert!(first.is_some());
    let numbers = fixture.store.inspect(false).unwrap();
    assert!(numbers.first_row > Some(Cursor(1)), "{numbers:?}");

    let fixture = assert_same(fixture);
    assert_eq!(fixture.store.remains(&id("gone-0")).unwrap(), first);
    for answer in fixture.accept(gone()) {
        assert!(matches!(answer, Accepted::Duplicate { .. }), "{answer:?}");
    }
    let mut other = accept("gone-1", &["a"]);
    other.message.payload = "other".into();
    let answers = fixture.accept(vec![other]);
    assert!(matches!(answers[0], Accepted::Conflict { .. }));
}

fn gone() -> Vec<Accept> {
    vec![accept("gone-0", &["a"]), accept("gone-1", &["a"])]
}

/// A store that has something of everything, and what stays of removed messages, whole chunks of them and some among
/// others; and a journal that was shortened, with a gap.
pub(super) fn with_removed() -> Fixture {
    let fixture = everything();
    fixture.accept(gone());
    for claim in fixture.claim("a", usize::MAX, T0) {
        fixture.settle(vec![settle(claim, end(Status::Delivered))]);
    }
    let mut prune = Prune {
        ended: Duration::ZERO,
        ..never(10_000)
    };
    let run = |prune: &Prune| while wait(fixture.store.prune(prune.clone())).unwrap().is_more {};
    run(&prune);
    // Less than it has, and not all of it was read.
    prune.journal_bytes_hard = Some(1000);
    prune.readers = vec!["audit".to_owned()];
    run(&prune);
    fixture.check();
    fixture
}

/// Carries a store over and compares all that it says; the fixture has the import then.
fn assert_same(mut fixture: Fixture) -> Fixture {
    let expected = fixture.check();
    let numbers = fixture.store.inspect(false).unwrap();
    let all = Filter {
        statuses: Status::ALL.to_vec(),
        standings: Standing::ALL.to_vec(),
        ..Filter::default()
    };
    // Each as text, so that a difference says where it is.
    let look = |store: &Store| {
        let mut said = Vec::new();
        for seq in (1..numbers.next_seq.0).map(MessageSeq) {
            let view = store.get_numbered(seq).unwrap();
            let by_id = view
                .as_ref()
                .and_then(|view| store.get(&view.message.id).unwrap());
            said.push(format!("{view:?}, {:?}", by_id.map(|view| view.seq)));
        }
        let journal = store.journal(Cursor(0), 10_000, usize::MAX).unwrap();
        said.extend(journal.entries.iter().map(|entry| format!("{entry:?}")));
        let listed = store.list(&all, None, 1000).unwrap();
        said.extend(listed.entries.iter().map(|entry| format!("{entry:?}")));
        let stats = store.stats();
        said.push(format!("{:?}", stats.counts));
        let space = stats.space;
        said.push(format!("{:?}", (space.pruned_messages, space.pruned_rows)));
        let channels = stats.channels.iter();
        let depths: BTreeMap<_, _> = channels.map(|one| (&one.channel, one.depths)).collect();
        said.push(format!("{depths:?}"));
        said.push(format!("{:?}", store.parked(0, 100).unwrap()));
        said.push(format!("{:?}", store.states("")));
        said.push(format!("{:?}", store.cursor("audit").unwrap()));
        said
    };
    let before = look(&fixture.store);
    let text = export(&closed(&fixture));

    let mut stages = Vec::new();
    let path = fixture.folder.path().join("imported");
    let report = import(
        &mut text.as_bytes(),
        &path,
        &options(&fixture),
        &mut |stage| stages.push(stage),
    )
    .unwrap();
    // One message is the least of a chunk, a whole commit the most.
    assert_eq!(
        (report.messages, report.deliveries, report.rows),
        (expected.messages, expected.deliveries, expected.rows)
    );
    assert!(stages.contains(&ImportStage::Reading(text.len() as u64)));
    assert!(export(&path) == text, "the second export differs");

    fs::rename(&path, fixture.path()).unwrap();
    fixture.store = Store::open(&fixture.path(), &fixture.options).unwrap();
    fixture.check();
    for (now, before) in look(&fixture.store).iter().zip(&before) {
        assert_eq!(now, before);
    }
    fixture
}

/// Goal: it goes on where it was: what was ready is sent, what waits comes when it is due.
#[test]
fn an_import_goes_on() {
    let mut fixture = everything();
    let text = export(&closed(&fixture));
    try_import(&fixture, &text).unwrap();
    fs::rename(fixture.folder.path().join("imported"), fixture.path()).unwrap();
    fixture.store = Store::open(&fixture.path(), &fixture.options).unwrap();
    let claims = fixture.claim("b", usize::MAX, T0);
    assert!(!claims.is_empty());
    let ended = claims
        .into_iter()
        .map(|claim| settle(claim, end(Status::Delivered)));
    fixture.settle(ended.collect());
}

/// Goal: more than a commit takes, and enough ids to be merged, in bounded pieces.
#[test]
fn an_import_takes_several_commits() {
    let mut fixture = Fixture::new();
    let payload = "ü\"\n".repeat(1000);
    for batch in 0..50 {
        let messages = (0..50).map(|number| {
            let mut one = accept(&format!("m{batch}-{number}"), &["a"]);
            one.message.payload = payload.clone().into();
            one
        });
        wait(fixture.store.accept(messages.collect())).unwrap();
    }
    fixture.options.id_sizes.recent = 100;
    let text = export(&closed(&fixture));
    let report = try_import(&fixture, &text).unwrap();
    assert_eq!(report.messages, 2500);
    assert!(export(&fixture.folder.path().join("imported")) == text);
}

#[test]
fn an_empty_store_is_carried_over_too() {
    let fixture = Fixture::new();
    let text = export(&closed(&fixture));
    assert_eq!(text.lines().count(), 1);
    assert_eq!(try_import(&fixture, &text).unwrap(), Report::default());
}

/// Goal: what is wrong is named by line and field, and leaves no file behind.
#[test]
fn bad_input_is_refused_by_line_and_field() {
    let fixture = everything();
    let text = export(&closed(&fixture));
    let files = || fs::read_dir(fixture.folder.path()).unwrap().count();
    let before = files();
    let check = |text: &str, expected: &str| {
        let error = try_import(&fixture, text).unwrap_err();
        let said = format!("{:#}", Chain(&error));
        assert!(said.contains(expected), "no {expected:?} in: {said}");
        assert_eq!(files(), before, "{expected}: something is left");
    };
    let lines: Vec<&str> = text.lines().collect();
    let place = |start: &str, nth: usize| {
        let found = lines
            .iter()
            .enumerate()
            .filter(|(_, line)| line.starts_with(start));
        found.map(|(at, _)| at).nth(nth).unwrap()
    };
    // Something replaced in a line, which is named.
    let replaced = |start: &str, from: &str, to: &str, expected: &str| {
        let (at, line) = lines
            .iter()
            .enumerate()
            .find(|(_, line)| line.starts_with(start) && line.contains(from))
            .unwrap_or_else(|| panic!("no {from:?} in a {start:?}"));
        let changed = line.replacen(from, to, 1);
        let mut lines = lines.clone();
        lines[at] = &changed;
        let expected = format!("line {}: {expected}", at + 1);
        check(&(lines.join("\n") + "\n"), &expected);
    };
    let message = "{\"message\"";
    let delivery = "{\"delivery\"";
    let row = "{\"row\"";
    let header = "{\"header\"";
    replaced(header, "wharf-export", "other", "it is no header");
    replaced(
        header,
        "\"version\":1",
        "\"version\":2",
        "header.version: it is 2",
    );
    replaced(
        header,
        "\"next_row\":",
        "\"next_row\":99999999999999999",
        "header.next_row: it is",
    );
    replaced(
        message,
        "\"seq\":1,",
        "\"seq\":2,",
        "message.seq: it is message 2, 1 should",
    );
    replaced(
        message,
        "\"id\":\"plain-0\"",
        "\"id\":\"a.b\"",
        "message.id: id has '.'",
    );
    replaced(
        message,
        "\"priority\":\"normal\"",
        "\"priority\":\"urgent\"",
        "message.priority: unknown variant",
    );
    replaced(
        message,
        "\"priority\"",
        "\"colour\"",
        "message.colour: unknown field",
    );
    replaced(
        message,
        "{\"base64\":\"wyg",
        "{\"base64\":\"!",
        "message.payload: it is no base64",
    );
    replaced(
        message,
        "\"payload\":\"plain-0\"",
        "\"payload\":7",
        "message.payload: it takes a text, or",
    );
    replaced(
        message,
        "\"deliveries\":1",
        "\"deliveries\":0",
        "message.standing: it says where",
    );
    replaced(
        delivery,
        "\"place\":0",
        "\"place\":1",
        "delivery.place: it is delivery 1, 0 should",
    );
    replaced(
        delivery,
        "\"message\":1,",
        "\"message\":2,",
        "delivery.message: it stands behind message 1",
    );
    replaced(
        delivery,
        "\"status\":\"delivered\"",
        "\"status\":\"sent\"",
        "delivery.status: unknown variant `sent`",
    );
    replaced(
        delivery,
        "\"last_row\":",
        "\"last_row\":99",
        "delivery.last_row: header.next_row leaves no row",
    );
    replaced(
        row,
        "\"row\":1,",
        "\"row\":2,",
        "row.row: it is row 2, 1 should be next",
    );
    replaced(
        row,
        "\"cause\":\"accepted\"",
        "\"cause\":\"whim\"",
        "row.cause: unknown variant `whim`",
    );
    replaced(
        row,
        "\"message\":1,",
        "\"message\":77,",
        "row.subject: it is about a message",
    );
    replaced(
        row,
        "\"digest\":\"07",
        "\"digest\":\"7",
        "row.attempt.hooks[0].digest: it takes 32 bytes",
    );
    replaced(
        "{\"cursor\"",
        "\"row\":7",
        "\"row\":-7",
        "cursor.row: invalid value",
    );
    replaced(
        "{\"parked\"",
        "\"number\":2",
        "\"number\":1",
        "parked.number: it came before",
    );
    replaced(message, "{\"message\"", "[\"message\"", "expected");

    // The same id twice, where it counts.
    replaced(
        message,
        "\"id\":\"wide-5\"",
        "\"id\":\"wide-4\"",
        "message.id: message 10 has it too",
    );

    // Cut off, in a line and between lines.
    check(&text[..text.len() - 5], "it is cut off");
    let without_last = lines[..lines.len() - 1].join("\n") + "\n";
    check(&without_last, "header.updates says 1, here it is 0");
    replaced(
        "{\"update\":",
        "\"number\":2",
        "\"number\":3",
        "update.number: header.next_update leaves no update 3",
    );
    let without_delivery = {
        let mut lines = lines.clone();
        lines.remove(place(delivery, 0));
        lines.join("\n") + "\n"
    };
    check(&without_delivery, "delivery 0 of a message should be here");
    check("", "it is no header");
    check("\n", "line 1: ");

    // Each line may be right, and all of them no store.
    let contradiction = {
        let at = place(delivery, 0);
        let changed = lines[at].replacen("\"delivered\"", "\"dead\"", 1);
        let mut lines = lines.clone();
        lines[at] = &changed;
        lines.join("\n") + "\n"
    };
    check(&contradiction, "does not fit together: the store breaks");
    let error = try_import(&fixture, &contradiction).unwrap_err();
    assert!(matches!(
        error,
        ImportError::Check(CheckError::Violations(_))
    ));
}

#[test]
fn a_file_that_is_there_is_left_alone() {
    let fixture = Fixture::new();
    let text = export(&closed(&fixture));
    let path = fixture.folder.path().join("imported");
    fs::write(&path, "mine").unwrap();
    let error = try_import(&fixture, &text).unwrap_err();
    assert!(matches!(error, ImportError::Exists(_)), "{error:?}");
    assert_eq!(fs::read(&path).unwrap(), b"mine");
}

/// Goal: an export of a store with a hole says where that is, instead of leaving it out.
#[test]
fn what_cannot_be_read_ends_an_export() {
    const CHUNK: TableDefinition<'static, u64, &'static [u8]> = TableDefinition::new("chunk");
    let fixture = everything();
    let path = closed(&fixture);
    let database = Database::open(&path).unwrap();
    let tx = database.begin_write().unwrap();
    {
        let mut table = tx.open_table(CHUNK).unwrap();
        let mut value = table.get(3).unwrap().unwrap().value().to_vec();
        let at = 5 + 2 * 4;
        value[at] = 0xff;
        table.insert(3, value.as_slice()).unwrap();
    }
    tx.commit().unwrap();
    drop(database);
    let file = StoreFile::open(&path, 8 << 20, true, |_| {}).unwrap();
    let error = file.export(&mut Vec::new(), &mut |_| {}).unwrap_err();
    assert!(
        matches!(&error, ExportError::Unreadable { what, .. } if what == "message 3"),
        "{error:?}"
    );
}

/// An error with its causes.
struct Chain<'a>(&'a dyn std::error::Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
