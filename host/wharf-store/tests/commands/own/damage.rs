//! What a store still does whose file has been damaged in one place, and what its check says of it.

use std::path::Path;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use redb::{Database, Key, ReadableTable, TableDefinition, TableHandle};
use wharf_core::{Cursor, DeliveryId, MessageSeq, Status, WireForm, invariant};
use wharf_store::{
    Accepted, Cancel, CheckError, Filter, IdSizes, Options, Store, Target, WriteError,
};

use crate::fixture::{End, Fixture, T0, accept, channel, id, settle, wait};

type Numbered = TableDefinition<'static, u64, &'static [u8]>;
type ByHash = TableDefinition<'static, &'static [u8; 24], &'static [u8]>;

const CHUNK: Numbered = TableDefinition::new("chunk");
const JOURNAL: Numbered = TableDefinition::new("journal");
const WIRE: Numbered = TableDefinition::new("wire");
const ID_RUN: ByHash = TableDefinition::new("id_run");
const ID_FILTER: ByHash = TableDefinition::new("id_filter");
const CURSOR: TableDefinition<'static, &'static str, &'static [u8]> =
    TableDefinition::new("cursor");

/// Damages the first value of a table.
fn damage_first<K: Key + 'static>(
    path: &Path,
    table: TableDefinition<'_, K, &'static [u8]>,
    damage: impl FnOnce(&mut [u8]),
) {
    let database = Database::open(path).unwrap();
    let tx = database.begin_write().unwrap();
    {
        let mut table = tx.open_table(table).unwrap();
        let (key, mut value) = {
            let (key, value) = table.first().unwrap().unwrap();
            let key = K::as_bytes(&key.value()).as_ref().to_vec();
            (key, value.value().to_vec())
        };
        damage(&mut value);
        let key = K::from_bytes(&key);
        table.insert(key, value.as_slice()).unwrap();
    }
    tx.commit().unwrap();
}

/// `m` and `n` in one commit, of which `m` is to be sent again, and `o` in another. The ids of the first two are in a
/// run.
fn damaged<K: Key + 'static>(
    table: TableDefinition<'static, K, &'static [u8]>,
    damage: impl FnOnce(&mut [u8]),
) -> Fixture {
    let mut options = Options::new([1; 32], T0);
    options.id_sizes = IdSizes {
        recent: 2,
        block: 2,
        segment: 2,
    };
    let mut fixture = Fixture::with(options);
    fixture.accept(vec![accept("m", &["a"]), accept("n", &["a"])]);
    fixture.accept(vec![accept("o", &["a"])]);
    let retry = End {
        to: Status::Retrying,
        due: None,
        wire: Some(WireForm {
            endpoint: None,
            headers: vec![],
            body: vec![],
            begun: None,
        }),
    };
    let first = fixture.claim("a", 1, T0).remove(0);
    fixture.settle(vec![settle(first, retry)]);
    wait(fixture.store.set_cursor("reader", Cursor(1))).unwrap();
    wait(fixture.store.close()).unwrap();
    damage_first(&fixture.path(), table, damage);
    fixture.store = Store::open(&fixture.path(), &fixture.options).unwrap();
    fixture
}

/// Damages a store, and claims what is left.
fn check(table: Numbered, damage: impl FnOnce(&mut [u8]), readable: &[&str]) {
    let fixture = damaged(table, damage);
    let claims = fixture.claim("a", usize::MAX, T0);
    let mut payloads: Vec<_> = claims.iter().map(|claim| &*claim.message.payload).collect();
    payloads.sort_unstable();
    let expected: Vec<_> = readable.iter().map(|payload| payload.as_bytes()).collect();
    assert_eq!(payloads, expected);
    // The rest is neither handed out again nor waited for, nor has it gone.
    assert!(fixture.claim("a", usize::MAX, T0).is_empty());
    let channel = channel("a");
    let ready = pin!(fixture.store.ready(&channel));
    let polled = ready.poll(&mut Context::from_waker(Waker::noop()));
    assert_eq!(polled, Poll::Pending);
    let stats = fixture.store.stats();
    assert_eq!(stats.spread.blocked, 3 - readable.len() as u64);
    assert_eq!(stats.channels[0].leased, readable.len() as u64);
    invariant::deliveries_are_partitioned(stats.spread, stats.counts.deliveries()).unwrap();
    // It is left out of lists, and what can be read is not.
    let queued = Filter {
        statuses: vec![Status::Queued, Status::Retrying],
        ..Filter::default()
    };
    let page = fixture.store.list(&queued, None, 10).unwrap();
    // A list reads no wire forms.
    let expected = if table.name() == WIRE.name() {
        3
    } else {
        readable.len()
    };
    assert_eq!((page.entries.len(), page.next), (expected, None));
    assert_eq!(page.unreadable_count, 3 - expected as u64);
    // An operator can be rid of it.
    drop(claims);
    let targets = (1..=3).map(|seq| Cancel {
        target: Target::Delivery(DeliveryId::new(MessageSeq(seq), 0)),
        at: T0,
    });
    wait(fixture.store.cancel(targets.collect())).unwrap();
    let stats = fixture.store.stats();
    assert_eq!(stats.spread.ended, 3);
    invariant::deliveries_are_partitioned(stats.spread, 3).unwrap();
}

#[test]
fn an_unreadable_message_does_not_stop_its_channel() {
    // The first part comes after the version, the count and two ends; it begins with the length of its id.
    check(CHUNK, |value| value[5 + 2 * 4] = 0xff, &["n", "o"]);
}

#[test]
fn an_unreadable_chunk_keeps_back_no_other() {
    check(CHUNK, |value| value[0] = 0xff, &["o"]);
}

#[test]
fn an_unreadable_wire_form_keeps_back_its_delivery_alone() {
    check(WIRE, |value| value[0] = 0xff, &["n", "o"]);
}

/// Reads the whole journal, page by page: cursors of the rows that are there, and what is passed over.
fn read_on(fixture: &Fixture, max_rows: usize) -> (Vec<u64>, Vec<(u64, u64)>) {
    let (mut read, mut passed_over) = (Vec::new(), Vec::new());
    let mut after = Cursor(0);
    loop {
        let page = fixture.store.journal(after, max_rows, usize::MAX).unwrap();
        assert!(page.entries.len() <= max_rows);
        if page.end == after {
            return (read, passed_over);
        }
        assert!(page.end > after);
        read.extend(page.entries.iter().map(|entry| entry.row.cursor.0));
        let lost = page.passed_over.iter();
        passed_over.extend(lost.map(|lost| (lost.first.0, lost.last.0)));
        after = page.end;
    }
}

/// Rows 1 and 2 are those of `m` and `n`, 3 that of `o`, 4 is the retry of `m`.
fn check_reads_on(fixture: &Fixture, read: &[u64], passed_over: &[(u64, u64)]) {
    let found = read_on(fixture, 100);
    assert_eq!((&*found.0, &*found.1), (read, passed_over));
    let (found, lost) = read_on(fixture, 1);
    assert_eq!(found, read);
    let lost: Vec<_> = lost
        .into_iter()
        .flat_map(|(first, last)| first..=last)
        .collect();
    let expected = passed_over.iter();
    let expected: Vec<_> = expected.flat_map(|(first, last)| *first..=*last).collect();
    assert_eq!(lost, expected);
}

#[test]
fn the_journal_is_read_on_behind_what_is_damaged() {
    let check = |table, damage: fn(&mut [u8]), read: &[u64], passed_over: &[(u64, u64)]| {
        check_reads_on(&damaged(table, damage), read, passed_over);
    };
    check(JOURNAL, version, &[3, 4], &[(1, 2)]);
    check(JOURNAL, |value| value[13] = 0xff, &[2, 3, 4], &[(1, 1)]);
    // The second row only: its kind comes after a first part of 8 bytes or so, where that one says it ends.
    let second = |value: &mut [u8]| value[13 + usize::from(value[5])] = 0xff;
    check(JOURNAL, second, &[1, 3, 4], &[(2, 2)]);
    check(CHUNK, version, &[3], &[(1, 2), (4, 4)]);
    check(CHUNK, |value| value[13] = 0xff, &[2, 3], &[(1, 1), (4, 4)]);
}

#[test]
fn a_gap_in_the_journal_is_passed_over_too() {
    for (lost, read, passed_over) in [
        (1, &[3, 4][..], (1, 2)),
        (3, &[1, 2, 4], (3, 3)),
        (4, &[1, 2, 3], (4, 4)),
    ] {
        let mut fixture = damaged(JOURNAL, |_| ());
        wait(fixture.store.close()).unwrap();
        let database = Database::open(fixture.path()).unwrap();
        let tx = database.begin_write().unwrap();
        tx.open_table(JOURNAL).unwrap().remove(lost).unwrap();
        tx.commit().unwrap();
        drop(database);
        fixture.store = Store::open(&fixture.path(), &fixture.options).unwrap();
        check_reads_on(&fixture, read, &[passed_over]);
    }
}

/// Everything that a check finds, in its words.
fn violations(fixture: &Fixture) -> Vec<String> {
    match wait(fixture.store.check()) {
        Err(CheckError::Violations(violations)) => {
            violations.iter().map(ToString::to_string).collect()
        }
        Err(cause) => panic!("the check gave up: {cause:?}"),
        Ok(report) => panic!("the check has seen nothing: {report:?}"),
    }
}

/// Damages a store, and a cursor besides, which a check looks at last. It finds both, and nothing that only follows from
/// them. Expected are the beginnings of what it says.
fn check_finds<K: Key + 'static>(
    table: TableDefinition<'static, K, &'static [u8]>,
    damage: impl FnOnce(&mut [u8]),
    expected: &[&str],
) {
    let mut fixture = damaged(table, damage);
    wait(fixture.store.close()).unwrap();
    damage_first(&fixture.path(), CURSOR, |value| value[0] = 0xff);
    fixture.store = Store::open(&fixture.path(), &fixture.options).unwrap();
    let found = violations(&fixture);
    let expected = [expected, &["cursor reader: a stored value is malformed"]].concat();
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found}, not {expected}");
    }
}

fn version(value: &mut [u8]) {
    value[0] = 0xff;
}

#[test]
fn a_check_names_what_is_damaged_and_goes_on_behind_it() {
    check_finds(CHUNK, version, &["chunk 1: a stored value is malformed"]);
    check_finds(CHUNK, |value| value[13] = 0xff, &["message 1: a stored"]);
    check_finds(JOURNAL, version, &["journal blob 1: a stored"]);
    // The first row's kind: it is the first part, behind the version, the count and two ends.
    check_finds(
        JOURNAL,
        |value| value[13] = 0xff,
        &["journal row 1: a stored"],
    );
    check_finds(
        ID_RUN,
        version,
        &[
            "a block of id run 1 from",
            "the id of message 1: a stored",
            "the id of message 2: a stored",
        ],
    );
    check_finds(
        ID_RUN,
        |value| value[1..81].rotate_left(40),
        &[
            "a block of id run 1 from",
            "the tables contradict one another: message",
        ],
    );
    check_finds(ID_FILTER, version, &["the filter of id run 1 from"]);
    // All its bits.
    check_finds(
        ID_FILTER,
        |value| value[17..].fill(0),
        &[
            "the tables contradict one another: block",
            "the tables contradict one another: message 1 has the id entry None",
            "the tables contradict one another: message 2 has the id entry None",
        ],
    );
}

#[test]
fn an_unreadable_id_block_refuses_its_own_ids_alone() {
    let fixture = damaged(ID_RUN, version);
    let again = wait(fixture.store.accept(vec![accept("m", &["a"])]));
    assert!(
        matches!(again, Err(WriteError::IdUnreadable(_))),
        "{again:?}"
    );
    assert!(fixture.store.get(&id("m")).is_err());
    // One batch, one answer; the next messages are accepted as ever.
    let others = wait(
        fixture
            .store
            .accept(vec![accept("o", &["a"]), accept("p", &["a"])]),
    );
    let others = others.unwrap();
    assert!(
        matches!(
            others[..],
            [Accepted::Duplicate { .. }, Accepted::New { .. }]
        ),
        "{others:?}"
    );
    assert_eq!(fixture.get("p").seq, MessageSeq(4));
}

/// Its runs are not merged, which hurts nothing else, until they are forgotten.
#[test]
fn an_unreadable_id_block_stops_its_merge_and_goes_with_its_run() {
    let mut options = Options::new([1; 32], T0);
    options.id_sizes = IdSizes {
        recent: 16,
        block: 2,
        segment: 8,
    };
    let mut fixture = Fixture::with(options);
    fixture.accept((0..16).map(|n| accept(&format!("m{n}"), &[])).collect());
    wait(fixture.store.close()).unwrap();
    damage_first(&fixture.path(), ID_RUN, version);
    fixture.store = Store::open(&fixture.path(), &fixture.options).unwrap();

    let send = |name: &str| wait(fixture.store.accept(vec![accept(name, &[])]));
    let is_new = |name: &str| match send(name) {
        Ok(accepted) => matches!(accepted[..], [Accepted::New { .. }]),
        Err(WriteError::IdUnreadable(_)) => false,
        Err(cause) => panic!("{cause:?}"),
    };
    let names: Vec<_> = (0..200).map(|n| format!("x{n}")).collect();
    let accepted: Vec<_> = names.iter().filter(|name| is_new(name)).collect();
    // One block of eight, which is asked for hardly anything that the filter does not know.
    assert!(accepted.len() > 180, "{}", accepted.len());
    for name in accepted {
        let again = send(name).unwrap();
        assert!(
            matches!(again[..], [Accepted::Duplicate { .. }]),
            "{again:?}"
        );
    }
    let found = violations(&fixture);
    assert_eq!(found.len(), 3, "{found:#?}");
    assert!(
        found[0].starts_with("a block of id run 1 from"),
        "{found:#?}"
    );
    wait(fixture.store.forget_ids(MessageSeq(u64::MAX))).unwrap();
    for n in 0..200 {
        assert!(is_new(&format!("y{n}")));
    }
    fixture.check();
}
