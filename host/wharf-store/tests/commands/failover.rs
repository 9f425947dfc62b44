//! Failing over: what stands in for a delivery is made in the commit that supersedes it, and not before.

use std::num::NonZeroU32;

use wharf_core::failover::Failures;
use wharf_core::outcome::Effect;
use wharf_core::retry::Budget;
use wharf_core::{Cause, DeliveryId, MessageSeq, Status};
use wharf_store::{
    Accept, Accepted, Cancelled, Claim, Options, Redrive, Redriven, Reroute, Rerouted, Settle,
    Settled, Target,
};

use crate::fixture::{Fixture, T0, accept, after_ms, end, ended_by, id, retry, settle, wait};

/// A message for the first of these channels, each of the others in reserve for the one before it.
fn failover(name: &str, channels: &[&str], after: u32) -> Accept {
    let mut accept = accept(name, channels);
    for planned in &mut accept.planned[1..] {
        planned.after = NonZeroU32::new(after);
    }
    accept
}

fn failed(claim: Claim, to: Status, effect: Effect) -> Settle {
    let end = match to {
        Status::Retrying => retry(1, "sent"),
        to => end(to),
    };
    let mut settle = settle(claim, end);
    settle.at = after_ms(7);
    settle.attempt = settle.attempt.map(|mut attempt| {
        attempt.effect = Some(effect);
        attempt
    });
    settle
}

fn statuses(fixture: &Fixture, name: &str) -> Vec<(String, Status)> {
    let deliveries = fixture.get(name).deliveries;
    let shown = deliveries
        .iter()
        .map(|one| (one.channel.to_string(), one.status));
    shown.collect()
}

fn reserve(fixture: &Fixture, name: &str) -> Vec<String> {
    let in_reserve = fixture.get(name).in_reserve;
    in_reserve
        .iter()
        .map(|(_, one)| one.channel.to_string())
        .collect()
}

/// Goal: each channel's turn comes in the commit that gives up the one before it, with a budget of its own; also where
/// the process was killed in between, and where nothing of it is in memory.
#[test]
fn the_next_channel_takes_over_in_the_same_commit() {
    for resident_bytes in [0, 1 << 20] {
        let mut options = Options::new([1; 32], T0);
        options.resident_bytes_max = resident_bytes;
        let mut fixture = Fixture::with(options);
        let answers = fixture.accept(vec![
            failover("m", &["a", "b", "c"], 1),
            accept("n", &["b"]),
        ]);
        let is_one = matches!(
            answers[0],
            Accepted::New {
                deliveries_count: 1,
                ..
            }
        );
        assert!(is_one, "{answers:?}");
        assert_eq!(reserve(&fixture, "m"), ["b", "c"]);
        assert_eq!(fixture.store.stats().counts.status(Status::Queued), 2);

        let claim = fixture.claim_one("a", T0);
        let first = claim.failover.unwrap();
        assert_eq!(
            (first.after.get(), first.failures),
            (1, Failures::default())
        );
        fixture.settle(vec![failed(claim, Status::Superseded, Effect::None)]);
        fixture.kill();
        assert_eq!(reserve(&fixture, "m"), ["c"]);
        let ready = fixture.claim("b", 9, T0);
        assert_eq!(ready.len(), 2);
        for claim in ready {
            let is_last_resort = claim.message.id == id("m");
            assert_eq!(claim.failover.is_some(), is_last_resort);
            if is_last_resort {
                let budget = Budget {
                    attempts_before: 0,
                    began_at: after_ms(7),
                };
                assert_eq!((claim.budget, &*claim.route), (budget, "to-b"));
                fixture.settle(vec![failed(claim, Status::Superseded, Effect::None)]);
            }
        }
        fixture.restart();
        let last = fixture.claim_one("c", T0);
        assert_eq!((last.failover, last.attempts_count), (None, 0));
        fixture.settle(vec![settle(last, end(Status::Delivered))]);
        let of = |channel: &str, status| (channel.to_owned(), status);
        let expected = [
            of("a", Status::Superseded),
            of("b", Status::Superseded),
            of("c", Status::Delivered),
        ];
        assert_eq!(statuses(&fixture, "m"), expected);

        let rows = fixture.store.journal_of(&id("m")).unwrap();
        let causes: Vec<_> = rows.iter().map(|row| row.cause).collect();
        use Cause::{Accepted as New, FailedOver, Sent};
        assert_eq!(causes, [New, Sent, FailedOver, Sent, FailedOver, Sent]);
        // Sent again, it is answered as the first time.
        let again = fixture.accept(vec![failover("m", &["a", "b", "c"], 1)]);
        let is_one = matches!(
            again[0],
            Accepted::Duplicate {
                deliveries_count: 1,
                ..
            }
        );
        assert!(is_one, "{again:?}");
    }
}

/// Goal: what failures said is kept, over restarts; a redrive counts anew, and what may have arrived still may.
#[test]
fn failures_are_counted_over_restarts() {
    let mut fixture = Fixture::new();
    fixture.accept(vec![failover("m", &["a", "b"], 3)]);
    let failures = |definite_count, is_ambiguous| Failures {
        definite_count,
        is_ambiguous,
    };
    let mut expected = failures(0, false);
    for effect in [Effect::None, Effect::None, Effect::Unknown, Effect::None] {
        let claim = fixture.claim_one("a", after_ms(100));
        assert_eq!(claim.failover.unwrap().failures, expected);
        expected = expected.and(Some(effect));
        fixture.settle(vec![failed(claim, Status::Retrying, effect)]);
        fixture.restart();
    }
    let claim = fixture.claim_one("a", after_ms(100));
    assert_eq!(claim.failover.unwrap().failures, failures(3, true));
    fixture.settle(vec![failed(claim, Status::Dead, Effect::None)]);
    let redrive = Redrive {
        delivery: fixture.delivery("m").id,
        reconvert: false,
        new_key: false,
        at: after_ms(200),
    };
    fixture.redrive(vec![redrive]);
    let claim = fixture.claim_one("a", after_ms(200));
    assert_eq!(claim.failover.unwrap().failures, failures(0, true));
}

/// Goal: a message that was cancelled goes nowhere, also not on another channel.
#[test]
fn a_cancelled_delivery_calls_nothing_in() {
    let fixture = Fixture::new();
    fixture.accept(vec![failover("m", &["a", "b"], 1)]);
    let claim = fixture.claim_one("a", T0);
    let first = claim.lease.delivery();
    let answers = fixture.cancel(vec![Target::Message(id("m"))]);
    assert_eq!(answers, [[(first, Cancelled::Flagged)]]);
    let settled = fixture.settle(vec![failed(claim, Status::Superseded, Effect::None)]);
    assert!(matches!(settled[..], [Settled::Cancelled(_)]));
    assert!(fixture.claim("b", 9, T0).is_empty());
    assert_eq!(reserve(&fixture, "m"), ["b"]);
    // Nobody can name what was not made.
    let second = DeliveryId::new(MessageSeq(1), 1);
    let answers = fixture.cancel(vec![Target::Delivery(second)]);
    assert_eq!(answers, [[(second, Cancelled::Unknown)]]);
}

/// Goal: what a failover left behind stays as it is: its message goes on elsewhere.
#[test]
fn what_is_superseded_stays_so() {
    let fixture = Fixture::new();
    fixture.accept(vec![failover("m", &["a", "b"], 1)]);
    let claim = fixture.claim_one("a", T0);
    let delivery = claim.lease.delivery();
    fixture.settle(vec![failed(claim, Status::Superseded, Effect::None)]);
    let answers = fixture.cancel(vec![Target::Delivery(delivery)]);
    let superseded = Cancelled::Ended(Status::Superseded);
    assert_eq!(answers, [[(delivery, superseded)]]);
    let redrive = Redrive {
        delivery,
        reconvert: false,
        new_key: false,
        at: after_ms(9),
    };
    let answers = fixture.redrive(vec![redrive]);
    assert_eq!(answers, [Redriven::Refused(Status::Superseded)]);
}

/// Goal: what is in reserve keeps nothing from being removed, what was called in and waits does.
#[test]
fn what_is_in_reserve_holds_nothing_back() {
    let fixture = Fixture::new();
    fixture.accept(vec![
        failover("done", &["a", "b"], 1),
        failover("waits", &["a", "b"], 1),
    ]);
    for claim in fixture.claim("a", 9, T0) {
        let end = match claim.message.id == id("done") {
            true => settle(claim, end(Status::Delivered)),
            false => failed(claim, Status::Superseded, Effect::None),
        };
        fixture.settle(vec![end]);
    }
    wait(fixture.store.prune(ended_by(60_000))).unwrap();
    wait(fixture.store.prune(ended_by(60_000))).unwrap();
    fixture.check();
    assert!(fixture.store.get(&id("done")).unwrap().is_none());
    assert_eq!(
        fixture
            .store
            .remains(&id("done"))
            .unwrap()
            .unwrap()
            .deliveries_count,
        1
    );
    let claim = fixture.claim_one("b", T0);
    fixture.settle(vec![settle(claim, end(Status::Delivered))]);
    wait(fixture.store.prune(ended_by(60_000))).unwrap();
    wait(fixture.store.prune(ended_by(60_000))).unwrap();
    fixture.check();
    assert!(fixture.store.get(&id("waits")).unwrap().is_none());
}

/// Goal: a message that is routed again gets its reserve too.
#[test]
fn a_rerouted_message_fails_over() {
    let fixture = Fixture::new();
    fixture.accept(vec![accept("m", &[])]);
    let one = Reroute {
        message: MessageSeq(1),
        planned: failover("m", &["a", "b"], 1).planned,
        at: after_ms(5),
    };
    let answers = wait(fixture.store.reroute(vec![one])).unwrap();
    fixture.check();
    assert_eq!(answers, [Rerouted::Recorded(1)]);
    let claim = fixture.claim_one("a", T0);
    fixture.settle(vec![failed(claim, Status::Superseded, Effect::None)]);
    assert_eq!(fixture.claim_one("b", T0).failover, None);
}

#[test]
#[should_panic(expected = "no other channel is in reserve")]
fn nothing_is_superseded_by_nothing() {
    let fixture = Fixture::new();
    fixture.accept(vec![accept("m", &["a", "b"])]);
    let claim = fixture.claim_one("a", T0);
    fixture.settle(vec![failed(claim, Status::Superseded, Effect::None)]);
}
