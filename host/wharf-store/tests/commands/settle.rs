//! Settling: what a status means for what comes next, and what a stale settle means: nothing.

use wharf_core::{Status, WireForm};
use wharf_store::Settled;

use crate::fixture::{End, Fixture, T0, accept, after_ms, end, id, settle};

/// Settles a new message's delivery, twice with a restart in between, and looks at what it is then.
fn check(to: Status) -> Fixture {
    let mut fixture = Fixture::new();
    fixture.accept(vec![accept("m", &["a"]), accept("other", &["a"])]);
    let claim = fixture.claim("a", 1, T0).remove(0);
    let settled = fixture.settle(vec![settle(claim, end(to))]);
    assert!(matches!(settled[..], [Settled::Recorded(_)]));
    for _ in 0..2 {
        let delivery = fixture.delivery("m");
        assert_eq!(delivery.status, to);
        assert!(!delivery.is_leased);
        assert_eq!(fixture.store.stats().counts.status(to), 1);
        fixture.restart();
    }
    fixture
}

#[test]
fn a_final_status_ends_a_delivery() {
    for to in [
        Status::Delivered,
        Status::Rejected,
        Status::Dead,
        Status::Expired,
    ] {
        let fixture = check(to);
        assert_eq!(fixture.ready("a", after_ms(1_000_000)), ["other"], "{to}");
        assert_eq!(fixture.store.stats().spread.ended, 1);
    }
}

#[test]
fn pending_and_provisional_wait_for_a_poll() {
    for to in [Status::Pending, Status::Provisional] {
        let fixture = check(to);
        assert_eq!(fixture.ready("a", after_ms(1_000_000)), ["other"], "{to}");
        assert_eq!(fixture.store.stats().waiting, 1);
        assert_eq!(fixture.store.next_due(), None, "a poll is no attempt");
        assert_eq!(fixture.delivery("m").token.as_deref(), Some("token"));
    }
}

#[test]
fn a_retry_keeps_its_count_and_its_first_wire_form() {
    let mut fixture = Fixture::new();
    fixture.accept(vec![accept("m", &["a"])]);
    let form = |body: &str| {
        Some(WireForm {
            endpoint: None,
            headers: vec![],
            body: body.as_bytes().to_vec(),
            begun: None,
        })
    };
    let retry = |ms, wire| End {
        to: Status::Retrying,
        due: Some(after_ms(ms)),
        wire,
    };
    fixture.settle(vec![settle(
        fixture.claim_one("a", T0),
        retry(10, form("first")),
    )]);
    fixture.restart();
    let claim = fixture.claim_one("a", after_ms(10));
    assert_eq!((claim.status, claim.attempts_count), (Status::Retrying, 1));
    assert_eq!(claim.wire, form("first"));
    fixture.settle(vec![settle(claim, retry(20, form("second")))]);
    let claim = fixture.claim_one("a", after_ms(20));
    assert_eq!((claim.attempts_count, &claim.wire), (2, &form("first")));
    fixture.settle(vec![settle(claim, end(Status::Delivered))]);
    assert_eq!(fixture.delivery("m").attempts_count, 3);
    assert_eq!(fixture.store.journal_of(&id("m")).unwrap().len(), 4);
}

#[test]
fn a_stale_settle_changes_nothing() {
    let fixture = Fixture::new();
    fixture.accept(vec![accept("m", &["a"])]);
    let lost = fixture.claim_one("a", T0);
    assert!(fixture.store.revoke(lost.lease.delivery()));
    assert!(
        !fixture.store.revoke(lost.lease.delivery()),
        "it has no lease now"
    );
    let live = fixture.claim_one("a", T0);
    let batch = vec![
        settle(lost, end(Status::Rejected)),
        settle(live, end(Status::Delivered)),
    ];
    let settled = fixture.settle(batch);
    assert!(
        matches!(settled[..], [Settled::Stale, Settled::Recorded(_)]),
        "{settled:?}"
    );
    assert_eq!(fixture.delivery("m").status, Status::Delivered);
}

#[test]
fn a_stale_guard_does_not_end_the_new_lease() {
    let fixture = Fixture::new();
    fixture.accept(vec![accept("m", &["a"])]);
    let lost = fixture.claim_one("a", T0);
    fixture.store.revoke(lost.lease.delivery());
    let _live = fixture.claim_one("a", T0);
    drop(lost);
    assert_eq!(fixture.ready("a", T0), [""; 0]);
}

#[test]
#[should_panic(expected = "no step queued -> held")]
fn a_step_that_the_machine_does_not_have_is_the_callers_mistake() {
    let fixture = Fixture::new();
    fixture.accept(vec![accept("m", &["a"])]);
    fixture.settle(vec![settle(fixture.claim_one("a", T0), end(Status::Held))]);
}
