//! Tails that cannot be read: the deliveries of their chunk are kept back, and nothing else is.

use redb::{Database, ReadableTable, TableDefinition};
use wharf_core::Status;
use wharf_store::{Accept, Settled, Store};

use crate::fixture::{Fixture, T0, accept, end, retry, settle, wait};

const OPEN: TableDefinition<'static, u64, &'static [u8]> = TableDefinition::new("open");

/// Damages the tails of the first open chunk.
fn damage(path: &std::path::Path) {
    let database = Database::open(path).unwrap();
    let tx = database.begin_write().unwrap();
    let mut table = tx.open_table(OPEN).unwrap();
    let (first, mut value) = {
        let (first, value) = table.first().unwrap().unwrap();
        (first.value(), value.value().to_vec())
    };
    value[0] = 0xff;
    table.insert(first, value.as_slice()).unwrap();
    drop(table);
    tx.commit().unwrap();
}

/// A store whose first delivery for `a` waits to be tried again, stopped and damaged, and opened again.
fn damaged(commits: Vec<Vec<Accept>>) -> Fixture {
    let mut fixture = Fixture::new();
    for commit in commits {
        fixture.accept(commit);
    }
    let claim = fixture.claim("a", 1, T0).remove(0);
    fixture.settle(vec![settle(claim, retry(0, "wire"))]);
    wait(fixture.store.close()).unwrap();
    damage(&fixture.path());
    fixture.store = Store::open(&fixture.path(), &fixture.options).unwrap();
    fixture
}

/// Claims and delivers all that a channel has. Returns how many.
fn deliver(fixture: &Fixture, name: &str) -> usize {
    let claims = fixture.claim(name, 9, T0).into_iter();
    let settles = claims.map(|claim| settle(claim, end(Status::Delivered)));
    let settled = wait(fixture.store.settle(settles.collect())).unwrap();
    let are_recorded = settled
        .iter()
        .all(|one| matches!(one, Settled::Recorded(_)));
    assert!(are_recorded, "{settled:?}");
    settled.len()
}

/// What cannot be recorded is not sent, however often the host starts; the others are.
#[test]
fn a_retry_of_the_chunk_is_kept_back() {
    let mut fixture = damaged(vec![
        vec![accept("x", &["a"]), accept("y", &["a"])],
        vec![accept("z", &["b"]), accept("u", &["b"])],
    ]);
    for others_count in [1, 1, 0] {
        assert_eq!(deliver(&fixture, "a"), 0);
        let claims = fixture.claim("b", others_count, T0).into_iter();
        let settles = claims.map(|claim| settle(claim, end(Status::Delivered)));
        assert_eq!(
            wait(fixture.store.settle(settles.collect())).unwrap().len(),
            others_count
        );
        assert!(fixture.store.stats().spread.blocked > 0);
        fixture.kill_and(|_| {});
    }
}

#[test]
fn a_retry_of_a_later_chunk_is_delivered() {
    let fixture = damaged(vec![
        vec![accept("n", &["a"]), accept("m", &["b"])],
        vec![accept("o", &["a"])],
    ]);
    // Of `a` the first is of the damaged chunk.
    assert_eq!(deliver(&fixture, "a"), 1);
    let fixture = behind();
    assert_eq!(deliver(&fixture, "a"), 1);
    assert!(
        fixture
            .store
            .get(&crate::fixture::id("n"))
            .unwrap()
            .is_some()
    );
}

/// A damaged chunk of `b`, and a delivery for `a` behind it that waits to be tried again.
fn behind() -> Fixture {
    damaged(vec![vec![accept("m", &["b"])], vec![accept("n", &["a"])]])
}

/// What was being attempted at an unclean stop, behind a damaged chunk, is tried alone as ever.
#[test]
fn a_suspect_of_a_later_chunk_is_delivered() {
    let mut fixture = behind();
    for _ in 0..2 {
        let claims = fixture.claim("a", 9, T0);
        assert_eq!(claims.len(), 1);
        fixture.kill_and(|_| drop(claims));
    }
    assert_eq!(fixture.store.stats().suspects, 1);
    assert_eq!(deliver(&fixture, "a"), 1);
}
