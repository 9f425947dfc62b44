//! Deferring: what is not attempted now waits for a time, and nothing else of it changes.

use std::num::NonZeroU32;

use wharf_core::outcome::Effect;
use wharf_core::{Status, TimeMs};
use wharf_store::{Claim, Defer, Options, Settled, Target};

use crate::fixture::{Fixture, T0, accept, after_ms, channel, end, id, retry, settle, wait, wire};

fn defer(fixture: &Fixture, claim: Claim, until: TimeMs, body: Option<&str>) -> Settled {
    defer_for(fixture, claim, until, body, None)
}

fn defer_for(
    fixture: &Fixture,
    claim: Claim,
    until: TimeMs,
    body: Option<&str>,
    failure: Option<Effect>,
) -> Settled {
    let wire = body.map(wire);
    let lease = claim.lease;
    let deferred = wait(fixture.store.defer(vec![Defer {
        lease,
        until,
        wire,
        failure,
    }]))
    .unwrap();
    fixture.check();
    deferred[0]
}

/// A new delivery, and one that was attempted, are deferred with what was to be sent, also over a restart, and no row of
/// the journal says so.
#[test]
fn a_deferred_delivery_waits_for_its_time_and_has_no_new_row() {
    let mut fixture = Fixture::new();
    fixture.accept(vec![accept("m", &["a"]), accept("n", &["b"])]);
    let claim = fixture.claim_one("b", T0);
    fixture.settle(vec![settle(claim, retry(5, "n as sent"))]);
    let rows_count = fixture.store.journal_head().borrow().0;
    let claim = fixture.claim_one("a", T0);
    let deferred = defer(&fixture, claim, after_ms(10), Some("m as converted"));
    assert_eq!(deferred, Settled::Deferred);
    let claim = fixture.claim_one("b", after_ms(5));
    // What is stored already stays.
    defer(&fixture, claim, after_ms(10), Some("n anew"));
    for _ in 0..2 {
        for (name, status, attempts_count) in [("m", Status::Queued, 0), ("n", Status::Retrying, 1)]
        {
            let view = fixture.delivery(name);
            assert_eq!((view.status, view.attempts_count), (status, attempts_count));
            assert_eq!(view.due, Some(after_ms(10)));
        }
        assert!(fixture.ready("a", after_ms(9)).is_empty());
        fixture.restart();
    }
    assert_eq!(fixture.store.journal_head().borrow().0, rows_count);
    for (name, body) in [("a", "m as converted"), ("b", "n as sent")] {
        let claim = fixture.claim_one(name, after_ms(10));
        assert_eq!(claim.wire, Some(wire(body)));
        fixture.settle(vec![settle(claim, end(Status::Delivered))]);
    }
}

/// A lane that is left alone counts against a delivery that has another way to go, and spends none of its attempts.
#[test]
fn what_counts_as_a_failure_is_remembered() {
    let mut fixture = Fixture::new();
    let mut message = accept("m", &["a", "b"]);
    message.planned[1].after = NonZeroU32::new(2);
    fixture.accept(vec![message]);
    let claim = fixture.claim_one("a", T0);
    defer_for(&fixture, claim, after_ms(10), None, Some(Effect::None));
    fixture.restart();
    let claim = fixture.claim_one("a", after_ms(10));
    let failover = claim.failover.unwrap();
    assert_eq!(
        (failover.failures.definite_count, claim.attempts_count),
        (1, 0)
    );
    assert!(failover.is_due(Effect::None));
    drop(claim);
}

#[test]
fn a_stale_lease_defers_nothing() {
    let fixture = Fixture::new();
    fixture.accept(vec![accept("m", &["a"])]);
    let claim = fixture.claim_one("a", T0);
    assert!(fixture.store.revoke(claim.lease.delivery()));
    let deferred = defer(&fixture, claim, after_ms(10), None);
    assert_eq!(deferred, Settled::Stale);
    assert_eq!(fixture.ready("a", T0), ["m"]);
}

/// It is to be cancelled, not to be sent: that need not wait.
#[test]
fn what_is_to_be_cancelled_is_not_kept_waiting() {
    let fixture = Fixture::new();
    fixture.accept(vec![accept("m", &["a"])]);
    let claim = fixture.claim_one("a", T0);
    fixture.cancel(vec![Target::Message(id("m"))]);
    defer(&fixture, claim, after_ms(10), None);
    assert!(fixture.claim_one("a", T0).is_cancelled);
}

#[test]
fn a_deferred_delivery_can_be_cancelled() {
    let fixture = Fixture::new();
    fixture.accept(vec![accept("m", &["a"])]);
    let claim = fixture.claim_one("a", T0);
    defer(&fixture, claim, after_ms(10), Some("body"));
    fixture.cancel(vec![Target::Message(id("m"))]);
    assert_eq!(fixture.delivery("m").status, Status::Cancelled);
    assert!(fixture.ready("a", after_ms(10)).is_empty());
}

/// Those that are named with their time, in memory; the time on disk stays.
#[test]
fn deferred_deliveries_are_hastened_until_a_restart() {
    let mut options = Options::new([1; 32], T0);
    options.queue_sizes.due = 2;
    let mut fixture = Fixture::with(options);
    let names = ["m", "n", "o"];
    fixture.accept(names.iter().map(|name| accept(name, &["a"])).collect());
    let mut deferred = Vec::new();
    for claim in fixture.claim("a", 3, T0) {
        let due = (after_ms(10), claim.lease.delivery());
        defer(&fixture, claim, due.0, None);
        deferred.push(due);
    }
    let another_time = deferred.iter().map(|due| (after_ms(9), due.1));
    let another_time: Vec<_> = another_time.collect();
    assert_eq!(fixture.store.hasten(&channel("a"), &another_time), 0);
    // The third one is on disk alone.
    assert_eq!(fixture.store.hasten(&channel("a"), &deferred), 2);
    fixture.check();
    let claims = fixture.claim("a", 9, T0);
    let ids: Vec<_> = claims
        .iter()
        .map(|claim| claim.message.id.as_str())
        .collect();
    assert_eq!(ids, ["m", "n"]);
    assert_eq!(fixture.ready("a", after_ms(10)), ["o"]);
    drop(claims);
    fixture.restart();
    assert!(fixture.ready("a", after_ms(9)).is_empty());
    assert_eq!(fixture.ready("a", after_ms(10)).len(), 3);
}
