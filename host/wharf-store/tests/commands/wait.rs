//! Sleeping until something changes, and what a store that is closed says.

use std::time::Duration;

use wharf_core::{Cursor, Status};
use wharf_store::{CloseError, ReadError, WriteError};

use crate::fixture::{End, Fixture, T0, accept, after_ms, channel, id, settle, wait};

/// Sleeps on another thread while `change` is made here.
fn check(fixture: &Fixture, change: impl FnOnce()) {
    let store = fixture.store.clone();
    let sleeper = std::thread::spawn(move || wait(store.ready(&channel("a"))));
    // Most runs let the sleeper sleep; those that do not still have to end.
    std::thread::sleep(Duration::from_millis(20));
    assert!(!sleeper.is_finished(), "nothing is ready yet");
    change();
    sleeper.join().unwrap();
}

#[test]
fn a_sleeper_is_woken_by_whatever_makes_a_delivery_ready() {
    let fixture = Fixture::new();
    check(&fixture, || drop(fixture.accept(vec![accept("m", &["a"])])));
    let claim = fixture.claim_one("a", T0);
    check(&fixture, || drop(claim));
    let claim = fixture.claim_one("a", T0);
    check(&fixture, || {
        assert!(fixture.store.revoke(claim.lease.delivery()))
    });
    let claim = fixture.claim_one("a", T0);
    let retry = End {
        to: Status::Retrying,
        due: Some(after_ms(1)),
        wire: None,
    };
    fixture.settle(vec![settle(claim, retry)]);
    check(&fixture, || {
        assert_eq!(fixture.store.promote_due(after_ms(1)).unwrap(), 1)
    });
}

#[test]
fn watchers_see_the_journal_and_the_next_due_time() {
    let fixture = Fixture::new();
    let (mut head, mut due) = (fixture.store.journal_head(), fixture.store.watch_next_due());
    fixture.accept(vec![accept("m", &["a"])]);
    wait(head.changed()).unwrap();
    assert_eq!(*head.borrow_and_update(), Cursor(1));
    let retry = End {
        to: Status::Retrying,
        due: Some(after_ms(7)),
        wire: None,
    };
    fixture.settle(vec![settle(fixture.claim_one("a", T0), retry)]);
    wait(due.changed()).unwrap();
    assert_eq!(*due.borrow_and_update(), Some(after_ms(7)));
    fixture.store.promote_due(after_ms(7)).unwrap();
    wait(due.changed()).unwrap();
    assert_eq!(*due.borrow(), None);
}

#[test]
fn a_closed_store_refuses_everything() {
    let fixture = Fixture::new();
    fixture.accept(vec![accept("m", &["a"])]);
    let claim = fixture.claim_one("a", T0);
    wait(fixture.store.close()).unwrap();
    let store = &fixture.store;
    assert!(matches!(
        wait(store.accept(vec![])),
        Err(WriteError::Refused)
    ));
    let settled = wait(store.settle(vec![settle(claim, crate::fixture::end(Status::Dead))]));
    assert!(matches!(settled, Err(WriteError::Refused)));
    assert!(matches!(
        store.claim(&channel("a"), 1, T0),
        Err(ReadError::Closed)
    ));
    assert!(matches!(store.get(&id("m")), Err(ReadError::Closed)));
    assert!(matches!(
        wait(store.close()),
        Err(CloseError::AlreadyClosed)
    ));
}
