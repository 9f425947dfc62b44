//! Redriving: where it leads, what is kept, and what begins anew.

use wharf_core::delivery::Transition;
use wharf_core::retry::Budget;
use wharf_core::{Cause, DeliveryId, MessageSeq, Status, TimeMs};
use wharf_store::{Redrive, Redriven};

use crate::fixture::{Fixture, T0, accept, after_ms, end, id, retry, settle, wire};

fn first() -> DeliveryId {
    DeliveryId::new(MessageSeq(1), 0)
}

fn plain(at: TimeMs) -> Redrive {
    Redrive {
        delivery: first(),
        reconvert: false,
        new_key: false,
        at,
    }
}

/// A message `m` whose second attempt ended so; the first one left a wire form.
fn ended(to: Status) -> Fixture {
    let fixture = Fixture::new();
    fixture.accept(vec![accept("m", &["a"])]);
    fixture.settle(vec![settle(fixture.claim_one("a", T0), retry(1, "first"))]);
    let claim = fixture.claim_one("a", after_ms(1));
    fixture.settle(vec![settle(claim, end(to))]);
    fixture
}

/// Redrives what ended so, and looks at what it is then, now and after a restart. Where it goes on, it is delivered.
fn check(to: Status, expected: Option<Status>) {
    let mut fixture = ended(to);
    let redriven = fixture.redrive(vec![plain(after_ms(5))]);
    let rows = fixture.store.journal_of(&id("m")).unwrap();
    let last = rows.last().unwrap();
    let is_expected = match (redriven[0], expected) {
        (Redriven::Recorded { row, to }, Some(expected)) => {
            (row, last.cause, to) == (last.cursor, Cause::Redriven, expected)
        }
        (Redriven::Refused(status), None) => status == to && last.cause != Cause::Redriven,
        _ => false,
    };
    assert!(is_expected, "{to}: {redriven:?}");
    let stats = fixture.store.stats();
    assert_eq!(
        stats.spread.ended,
        u64::from(expected.unwrap_or(to).is_final())
    );
    for _ in 0..2 {
        assert_eq!(fixture.delivery("m").status, expected.unwrap_or(to));
        fixture.restart();
    }
    if expected == Some(Status::Queued) {
        let claim = fixture.claim_one("a", T0);
        let attempts_count = claim.attempts_count;
        fixture.settle(vec![settle(claim, end(Status::Delivered))]);
        assert_eq!(fixture.delivery("m").attempts_count, attempts_count + 1);
    } else {
        assert_eq!(fixture.ready("a", after_ms(1_000_000)), [""; 0]);
    }
}

#[test]
fn what_was_given_up_is_queued_again_and_nothing_else() {
    for status in Status::ALL.iter().copied() {
        match status {
            Status::Dead | Status::Rejected | Status::Shed => check(status, Some(Status::Queued)),
            // No attempt ends there.
            Status::Queued | Status::Held | Status::Retrying => {}
            // It leaves another delivery behind: see `failover`.
            Status::Superseded => {}
            Status::Pending
            | Status::Provisional
            | Status::Delivered
            | Status::Expired
            | Status::Cancelled => check(status, None),
        }
    }
}

#[test]
fn what_can_still_be_sent_is_not_redriven() {
    let fixture = Fixture::new();
    fixture.accept(vec![accept("m", &["a"])]);
    let queued = Redriven::Refused(Status::Queued);
    assert_eq!(fixture.redrive(vec![plain(T0)]), [queued]);
    let claim = fixture.claim_one("a", T0);
    assert_eq!(fixture.redrive(vec![plain(T0)]), [queued]);
    fixture.settle(vec![settle(claim, retry(1, ""))]);
    let retrying = Redriven::Refused(Status::Retrying);
    assert_eq!(fixture.redrive(vec![plain(T0)]), [retrying]);
    assert_eq!(fixture.claim("a", 9, after_ms(1)).len(), 1);
}

#[test]
fn what_is_not_there_is_said_to_be_unknown() {
    let fixture = Fixture::new();
    fixture.accept(vec![accept("m", &["a"]), accept("unroutable", &[])]);
    for (seq, place) in [(0, 0), (1, 1), (2, 0), (3, 0)] {
        let unknown = Redrive {
            delivery: DeliveryId::new(MessageSeq(seq), place),
            ..plain(T0)
        };
        assert_eq!(fixture.redrive(vec![unknown]), [Redriven::Unknown]);
    }
}

#[test]
fn one_request_answers_for_each_of_its_deliveries() {
    let fixture = ended(Status::Dead);
    let other = Redrive {
        delivery: DeliveryId::new(MessageSeq(9), 0),
        ..plain(T0)
    };
    let redriven = fixture.redrive(vec![plain(T0), other, plain(T0)]);
    assert!(
        matches!(
            redriven[..],
            [
                Redriven::Recorded { .. },
                Redriven::Unknown,
                Redriven::Refused(Status::Queued),
            ]
        ),
        "{redriven:?}"
    );
    assert_eq!(fixture.ready("a", T0), ["m"], "it is ready once");
}

/// Redrives twice, with an attempt in between that is given up too.
#[test]
fn attempt_numbers_go_on_and_the_budget_begins_anew() {
    let mut fixture = ended(Status::Dead);
    let budget = |attempts_before, ms| Budget {
        attempts_before,
        began_at: after_ms(ms),
    };
    for (attempts_before, ms) in [(2, 5), (3, 9)] {
        fixture.redrive(vec![plain(after_ms(ms))]);
        for _ in 0..2 {
            let claim = fixture.claim_one("a", T0);
            assert_eq!(claim.status, Status::Queued);
            assert_eq!(claim.attempts_count, attempts_before);
            assert_eq!(claim.budget, budget(attempts_before, ms));
            fixture.restart();
        }
        let claim = fixture.claim_one("a", T0);
        fixture.settle(vec![settle(claim, end(Status::Dead))]);
        let view = fixture.delivery("m");
        assert_eq!(view.attempts_count, attempts_before + 1);
        assert_eq!(view.redriven, Some(budget(attempts_before, ms)));
    }
    let new = Fixture::new();
    new.accept(vec![accept("m", &["a"])]);
    assert_eq!(new.claim_one("a", T0).budget, budget(0, 0));
}

#[test]
fn what_was_sent_is_sent_again_unless_it_is_to_be_converted_anew() {
    for (reconvert, expected) in [(false, Some(wire("first"))), (true, None)] {
        let mut fixture = ended(Status::Dead);
        fixture.redrive(vec![Redrive {
            reconvert,
            ..plain(T0)
        }]);
        fixture.restart();
        let claim = fixture.claim_one("a", T0);
        assert_eq!(claim.wire, expected);
        // What is converted anew is then kept as the first one was.
        fixture.settle(vec![settle(claim, retry(1, "second"))]);
        let kept = if reconvert { "second" } else { "first" };
        let claim = fixture.claim_one("a", after_ms(1));
        assert_eq!(claim.wire, Some(wire(kept)));
    }
}

#[test]
fn a_new_key_is_one_that_no_attempt_has_carried() {
    let mut fixture = ended(Status::Rejected);
    for (new_key, key) in [(false, "m"), (true, "m~1"), (false, "m~1"), (true, "m~2")] {
        fixture.redrive(vec![Redrive {
            new_key,
            ..plain(T0)
        }]);
        fixture.restart();
        let claim = fixture.claim_one("a", T0);
        assert_eq!(claim.idempotency_key(), key);
        fixture.settle(vec![settle(claim, end(Status::Rejected))]);
    }
    fixture.redrive(vec![plain(T0)]);
    fixture.settle(vec![settle(
        fixture.claim_one("a", T0),
        end(Status::Delivered),
    )]);
    fixture.restart();
    let view = fixture.delivery("m");
    assert_eq!((view.key_generation, view.attempts_count), (2, 7));
}

/// The receiver took it and nobody knows what became of it: it is asked before anything is sent again.
#[test]
fn what_ended_with_an_unknown_outcome_is_asked_for_first() {
    let mut fixture = Fixture::new();
    fixture.accept(vec![accept("m", &["a"])]);
    let mut unknown = settle(fixture.claim_one("a", T0), end(Status::Dead));
    unknown.transition = Transition {
        to: Status::Dead,
        cause: Cause::OutcomeUnknown,
        due: None,
        token: Some("job-7".to_owned()),
    };
    fixture.settle(vec![unknown]);
    fixture.restart();
    let redriven = fixture.redrive(vec![plain(after_ms(5))]);
    let pending = Status::Pending;
    assert!(matches!(redriven[0], Redriven::Recorded { to, .. } if to == pending));
    for _ in 0..2 {
        let view = fixture.delivery("m");
        assert_eq!((view.status, view.due), (pending, Some(after_ms(5))));
        assert_eq!(view.token.as_deref(), Some("job-7"));
        assert_eq!(fixture.store.stats().waiting, 1);
        assert_eq!(fixture.ready("a", after_ms(1_000_000)), [""; 0]);
        fixture.restart();
    }
}

/// A token is kept only where it can be used: else a redrive would ask a receiver that never took it.
#[test]
fn what_was_given_up_for_another_reason_is_not_asked_for() {
    let fixture = Fixture::new();
    fixture.accept(vec![accept("m", &["a"])]);
    let mut dead = settle(fixture.claim_one("a", T0), end(Status::Dead));
    dead.transition.token = Some("job-7".to_owned());
    fixture.settle(vec![dead]);
    assert_eq!(fixture.delivery("m").token, None);
    let redriven = fixture.redrive(vec![plain(T0)]);
    assert!(matches!(
        redriven[0],
        Redriven::Recorded {
            to: Status::Queued,
            ..
        }
    ));
}
