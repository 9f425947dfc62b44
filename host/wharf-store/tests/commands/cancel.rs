//! Cancelling: at once, under an attempt, too late; and that nothing which is cancelled is claimed.

use std::collections::BTreeSet;
use std::sync::Mutex;

use wharf_core::delivery::Transition;
use wharf_core::journal::Subject;
use wharf_core::{Cause, DeliveryId, MessageSeq, Status};
use wharf_store::{Cancel, Cancelled, Claim, Settle, Settled, Target};

use crate::fixture::{
    End, Fixture, T0, accept, after_ms, end, id, message, retry, settle, to, wait,
};

fn first() -> DeliveryId {
    DeliveryId::new(MessageSeq(1), 0)
}

/// Cancels message `m`, which `prepare` has brought somewhere, and looks at the answer and at what it is then, now and
/// after a restart. Whatever happens, the message beside it is ready and alone.
fn check(prepare: impl FnOnce(&Fixture), is_expected: impl Fn(Cancelled) -> bool, then: Status) {
    let mut fixture = Fixture::new();
    prepare(&fixture);
    fixture.accept(vec![accept("other", &["a"])]);
    let answers = fixture.cancel(vec![Target::Message(id("m"))]);
    let [answer] = &answers[..] else {
        panic!("one request, one answer: {answers:?}");
    };
    let [(delivery, cancelled)] = answer[..] else {
        panic!("the message has one delivery: {answer:?}");
    };
    assert_eq!(delivery, first());
    assert!(is_expected(cancelled), "{cancelled:?}");
    let rows = fixture.store.journal_of(&id("m")).unwrap();
    if let Cancelled::Recorded(row) = cancelled {
        let last = rows.last().unwrap();
        assert_eq!((last.cursor, last.cause), (row, Cause::Cancelled));
    }
    for _ in 0..2 {
        assert_eq!(fixture.delivery("m").status, then);
        assert_eq!(fixture.store.stats().counts.status(then), 1);
        assert_eq!(fixture.ready("a", after_ms(1_000_000)), ["other"]);
        fixture.restart();
    }
    assert_eq!(fixture.store.journal_of(&id("m")).unwrap(), rows);
}

fn is_recorded(cancelled: Cancelled) -> bool {
    matches!(cancelled, Cancelled::Recorded(_))
}

fn settled(fixture: &Fixture, how: End) {
    fixture.accept(vec![accept("m", &["a"])]);
    fixture.settle(vec![settle(fixture.claim_one("a", T0), how)]);
}

#[test]
fn what_waits_is_cancelled_at_once() {
    let new = |fixture: &Fixture| drop(fixture.accept(vec![accept("m", &["a"])]));
    check(new, is_recorded, Status::Cancelled);
    let delayed = |fixture: &Fixture| {
        let mut delayed = message("m", "m");
        delayed.deliver_after = Some(after_ms(10));
        fixture.accept(vec![to(delayed, &["a"])]);
    };
    check(delayed, is_recorded, Status::Cancelled);
    let retrying = |fixture: &Fixture| settled(fixture, retry(10, "wire"));
    check(retrying, is_recorded, Status::Cancelled);
    let fell_due = |fixture: &Fixture| {
        settled(fixture, retry(10, "wire"));
        fixture.store.promote_due(after_ms(10)).unwrap();
    };
    check(fell_due, is_recorded, Status::Cancelled);
    let given_back = |fixture: &Fixture| {
        fixture.accept(vec![accept("m", &["a"])]);
        drop(fixture.claim_one("a", T0));
    };
    check(given_back, is_recorded, Status::Cancelled);
}

#[test]
fn what_the_receiver_has_is_not_cancelled() {
    for to in [Status::Pending, Status::Provisional] {
        let refused = |cancelled| cancelled == Cancelled::Refused(to);
        check(|fixture| settled(fixture, end(to)), refused, to);
    }
}

#[test]
fn what_has_ended_stays_as_it_ended() {
    let ended = Status::ALL.iter().copied().filter(|to| to.is_final());
    // What is superseded leaves another delivery behind: see `failover`.
    for to in ended.filter(|to| *to != Status::Superseded) {
        let ended = |cancelled| cancelled == Cancelled::Ended(to);
        check(|fixture| settled(fixture, end(to)), ended, to);
    }
}

#[test]
fn what_is_not_there_is_said_to_be_unknown() {
    let fixture = Fixture::new();
    fixture.accept(vec![accept("m", &["a"]), accept("unroutable", &[])]);
    for (seq, place) in [(0, 0), (1, 1), (1, 0xffff), (2, 0), (3, 0), (1 << 47, 0)] {
        let unknown = DeliveryId::new(MessageSeq(seq), place);
        let answers = fixture.cancel(vec![Target::Delivery(unknown)]);
        assert_eq!(answers, [[(unknown, Cancelled::Unknown)]]);
    }
    for name in ["unroutable", "unknown"] {
        let answers = fixture.cancel(vec![Target::Message(id(name))]);
        assert_eq!(answers, [[]]);
    }
    assert_eq!(fixture.ready("a", T0), ["m"]);
}

#[test]
fn one_request_answers_for_each_of_its_targets() {
    let fixture = Fixture::new();
    fixture.accept(vec![accept("m", &["a", "b"]), accept("n", &["a"])]);
    let claim = fixture.claim_one("b", T0);
    let number = |seq, place| DeliveryId::new(MessageSeq(seq), place);
    let answers = fixture.cancel(vec![
        Target::Message(id("m")),
        Target::Delivery(number(1, 0)),
        Target::Delivery(number(1, 1)),
        Target::Delivery(number(2, 0)),
    ]);
    let [of_m, again, flagged_again, of_n] = &answers[..] else {
        panic!("{answers:?}");
    };
    assert!(
        is_recorded(of_m[0].1) && is_recorded(of_n[0].1),
        "{answers:?}"
    );
    assert_eq!(of_m[1], (number(1, 1), Cancelled::Flagged));
    assert_eq!(
        again[..],
        [(number(1, 0), Cancelled::Ended(Status::Cancelled))]
    );
    assert_eq!(flagged_again[..], [(number(1, 1), Cancelled::Flagged)]);
    let stats = fixture.store.stats();
    assert_eq!((stats.spread.ready, stats.spread.leased), (0, 1));
    assert_eq!(
        stats.resident_bytes, 0,
        "what is cancelled is not kept in memory"
    );
    drop(claim);
}

/// Cancels under an attempt, which then ends.
fn check_flagged(ends: End, expected: fn(Settled) -> bool, then: Status) -> Fixture {
    let fixture = Fixture::new();
    fixture.accept(vec![accept("m", &["a"])]);
    let claim = fixture.claim_one("a", T0);
    let answers = fixture.cancel(vec![Target::Delivery(first())]);
    assert_eq!(answers, [[(first(), Cancelled::Flagged)]]);
    let view = fixture.delivery("m");
    assert!(view.is_cancelled && view.is_leased);
    assert_eq!(view.status, Status::Queued);
    let settled = fixture.settle(vec![settle(claim, ends)]);
    assert!(expected(settled[0]), "{settled:?}");
    assert_eq!(fixture.delivery("m").status, then);
    assert_eq!(fixture.ready("a", after_ms(1_000_000)), [""; 0]);
    fixture
}

#[test]
fn any_outcome_of_the_attempt_wins_but_a_retry() {
    let recorded = |settled| matches!(settled, Settled::Recorded(_));
    for to in [
        Status::Delivered,
        Status::Rejected,
        Status::Dead,
        Status::Expired,
        Status::Pending,
        Status::Provisional,
    ] {
        let fixture = check_flagged(end(to), recorded, to);
        // What may yet be tried again is still not to be.
        assert_eq!(fixture.delivery("m").is_cancelled, !to.is_final(), "{to}");
    }
    let cancelled = |settled| matches!(settled, Settled::Cancelled(_));
    let fixture = check_flagged(retry(10, "wire"), cancelled, Status::Cancelled);
    let rows = fixture.store.journal_of(&id("m")).unwrap();
    let last = rows.last().unwrap();
    assert_eq!((last.cause, last.due), (Cause::Cancelled, None));
    assert_eq!(
        last.attempt.as_ref().unwrap().number,
        1,
        "the attempt is told"
    );
    assert_eq!(fixture.delivery("m").attempts_count, 1);
}

fn settle_cancelled(claim: Claim) -> Settle {
    Settle {
        lease: claim.lease,
        transition: Transition {
            to: Status::Cancelled,
            cause: Cause::Cancelled,
            due: None,
            token: None,
        },
        attempt: None,
        wire: None,
        at: T0,
    }
}

/// The attempt is lost: its lease is dropped, or taken back, or the process ends.
fn check_lost(prepare: impl Fn(&Fixture) -> Claim, lose: impl Fn(&mut Fixture, Claim)) {
    let mut fixture = Fixture::new();
    let claim = prepare(&fixture);
    assert!(!claim.is_cancelled);
    let attempts_count = claim.attempts_count;
    fixture.cancel(vec![Target::Message(id("m"))]);
    lose(&mut fixture, claim);
    let claim = fixture.claim_one("a", after_ms(10));
    assert!(claim.is_cancelled);
    assert_eq!(claim.attempts_count, attempts_count);
    fixture.settle(vec![settle_cancelled(claim)]);
    fixture.restart();
    assert_eq!(fixture.delivery("m").status, Status::Cancelled);
    let rows = fixture.store.journal_of(&id("m")).unwrap();
    assert!(matches!(
        rows.last().unwrap().subject,
        Subject::Delivery {
            to: Status::Cancelled,
            ..
        }
    ));
}

#[test]
fn the_next_claim_shows_what_a_lost_attempt_did_not_settle() {
    let new = |fixture: &Fixture| {
        fixture.accept(vec![accept("m", &["a"])]);
        fixture.claim_one("a", T0)
    };
    let retrying = |fixture: &Fixture| {
        settled(fixture, retry(10, "wire"));
        fixture.claim_one("a", after_ms(10))
    };
    let revoke = |fixture: &mut Fixture, claim: Claim| {
        assert!(fixture.store.revoke(claim.lease.delivery()));
    };
    let restart = |fixture: &mut Fixture, _claim: Claim| fixture.restart();
    for prepare in [&new as &dyn Fn(&Fixture) -> Claim, &retrying] {
        check_lost(prepare, |_, claim| drop(claim));
        check_lost(prepare, revoke);
        check_lost(prepare, restart);
    }
}

/// Workers claim and deliver while everything is being cancelled: each delivery is one or the other.
#[test]
fn nothing_that_is_cancelled_is_claimed() {
    const COUNT: u64 = 2_000;
    let fixture = Fixture::new();
    let names = (0..COUNT).map(|n| accept(&format!("m{n}"), &["a"]));
    fixture.accept(names.collect());
    let claimed = Mutex::new(BTreeSet::new());
    let mut recorded = BTreeSet::new();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let claims = fixture.claim("a", 3, T0);
                    if claims.is_empty() {
                        break;
                    }
                    let ids = claims.iter().map(|claim| claim.lease.delivery());
                    claimed.lock().unwrap().extend(ids);
                    let ends = claims.into_iter();
                    let ends = ends.map(|claim| settle(claim, end(Status::Delivered)));
                    wait(fixture.store.settle(ends.collect())).unwrap();
                }
            });
        }
        for batch in (1..=COUNT).rev().collect::<Vec<_>>().chunks(50) {
            let batch = batch.iter().map(|seq| Cancel {
                target: Target::Delivery(DeliveryId::new(MessageSeq(*seq), 0)),
                at: T0,
            });
            for (id, cancelled) in wait(fixture.store.cancel(batch.collect()))
                .unwrap()
                .concat()
            {
                match cancelled {
                    Cancelled::Recorded(_) => assert!(recorded.insert(id)),
                    Cancelled::Flagged | Cancelled::Ended(Status::Delivered) => {}
                    other => panic!("{id}: {other:?}"),
                }
            }
        }
    });
    fixture.check();
    let claimed = claimed.into_inner().unwrap();
    assert!(claimed.is_disjoint(&recorded));
    assert_eq!((claimed.len() + recorded.len()) as u64, COUNT);
    let counts = fixture.store.stats().counts;
    assert_eq!(counts.status(Status::Delivered), claimed.len() as u64);
    assert_eq!(counts.status(Status::Cancelled), recorded.len() as u64);
}
