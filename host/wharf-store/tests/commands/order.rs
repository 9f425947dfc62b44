//! Order per key: of each key one delivery is out at a time, in the order of acceptance, however many wait, and no key waits
//! for another one.

use wharf_core::order::{OnDead, Policy, Until};
use wharf_core::{Status, TimeMs};
use wharf_store::{Accept, Claim, Defer, Options, Redrive};

use crate::fixture::{Fixture, T0, after_ms, channel, end, message, retry, settle, to, wait};

fn keyed(name: &str, key: &str) -> Accept {
    let mut message = message(name, name);
    message.ordering_key = Some(key.to_owned());
    to(message, &["a"])
}

fn fixture(policy: Policy, ready: usize) -> Fixture {
    let mut options = Options::new([1; 32], T0);
    options.queue_sizes.ready = ready;
    options.queue_sizes.page = ready;
    let fixture = Fixture::with(options);
    fixture.store.set_order(&channel("a"), Some(policy));
    fixture
}

fn restart(fixture: &mut Fixture, policy: Policy) {
    fixture.restart();
    fixture.store.set_order(&channel("a"), Some(policy));
}

fn names(claims: &[Claim]) -> Vec<&str> {
    claims
        .iter()
        .map(|claim| claim.message.id.as_str())
        .collect()
}

/// One of each key at a time, whatever becomes of it; what is put back is the next one again.
#[test]
fn a_key_is_freed_by_a_settle_alone() {
    let fixture = fixture(Policy::default(), 100);
    fixture.accept(vec![
        keyed("x1", "x"),
        keyed("x2", "x"),
        keyed("y1", "y"),
        keyed("x3", "x"),
    ]);
    let mut claims = fixture.claim("a", 9, T0);
    assert_eq!(names(&claims), ["x1", "y1"]);
    assert_eq!(fixture.store.stats().spread.blocked, 2);
    fixture.check();
    drop(claims.remove(0));
    let mut again = fixture.claim("a", 9, T0);
    assert_eq!(names(&again), ["x1"]);
    // Tried again later, it keeps them back while it waits.
    fixture.settle(vec![settle(again.remove(0), retry(10, "x1"))]);
    assert!(fixture.claim("a", 9, T0).is_empty());
    let mut again = fixture.claim("a", 9, after_ms(10));
    assert_eq!(names(&again), ["x1"]);
    fixture.settle(vec![settle(again.remove(0), end(Status::Delivered))]);
    assert_eq!(names(&fixture.claim("a", 9, T0)), ["x2"]);
}

#[test]
fn what_was_tried_keeps_the_others_back_over_a_restart() {
    let mut fixture = fixture(Policy::default(), 100);
    fixture.accept(vec![keyed("x1", "x"), keyed("x2", "x"), keyed("y1", "y")]);
    let mut claims = fixture.claim("a", 9, T0);
    fixture.settle(vec![settle(claims.remove(0), retry(10, "x1"))]);
    restart(&mut fixture, Policy::default());
    assert_eq!(names(&fixture.claim("a", 9, T0)), ["y1"]);
    assert_eq!(names(&fixture.claim("a", 9, after_ms(10))), ["x1", "y1"]);
}

/// The store goes by what the channel says: `pending` is far enough or not, and so is `dead`. A redriven one has left the
/// order.
#[test]
fn a_policy_says_what_is_far_enough() {
    let check = |policy, to: Status, next: &[&str]| {
        let mut fixture = fixture(policy, 100);
        fixture.accept(vec![keyed("x1", "x"), keyed("x2", "x")]);
        let mut claims = fixture.claim("a", 9, T0);
        let id = claims[0].lease.delivery();
        fixture.settle(vec![settle(claims.remove(0), end(to))]);
        assert_eq!(names(&fixture.claim("a", 9, T0)), next, "{to} {policy:?}");
        restart(&mut fixture, policy);
        assert_eq!(names(&fixture.claim("a", 9, T0)), next, "{to} {policy:?}");
        if to == Status::Dead {
            fixture.redrive(vec![Redrive {
                delivery: id,
                reconvert: false,
                new_key: false,
                at: T0,
            }]);
            let mut claims = fixture.claim("a", 9, T0);
            claims.sort_by_key(|claim| claim.lease.delivery());
            assert_eq!(names(&claims), ["x1", "x2"], "{policy:?}");
        }
    };
    let policy = |until, on_dead| Policy { until, on_dead };
    check(
        policy(Until::Delivered, OnDead::Block),
        Status::Pending,
        &[],
    );
    check(
        policy(Until::Accepted, OnDead::Block),
        Status::Pending,
        &["x2"],
    );
    check(policy(Until::Delivered, OnDead::Block), Status::Dead, &[]);
    check(
        policy(Until::Delivered, OnDead::Continue),
        Status::Dead,
        &["x2"],
    );
    check(
        policy(Until::Delivered, OnDead::Block),
        Status::Expired,
        &["x2"],
    );
}

/// More wait for one key than there is memory, and the store is restarted in between: another key does not wait for them,
/// and they come in order.
#[test]
fn more_than_there_is_memory_come_in_order() {
    const COUNT: usize = 40;
    let mut fixture = fixture(Policy::default(), 3);
    let of_x = (0..COUNT).map(|n| keyed(&format!("x{n:02}"), "x"));
    fixture.accept(of_x.chain([keyed("y", "y")]).collect());
    let mut now = T0;
    let mut delivered = Vec::new();
    let mut head = None;
    // The first one stays out until the other key was through.
    for round in 0.. {
        assert!(round < 2000, "only {delivered:?}");
        now = TimeMs(now.0 + 10);
        for claim in fixture.claim("a", 2, now) {
            if claim.is_behind {
                let (lease, until) = (claim.lease, TimeMs(now.0 + 5));
                let wire = None;
                wait(fixture.store.defer(vec![Defer {
                    lease,
                    until,
                    wire,
                    failure: None,
                }]))
                .unwrap();
            } else if claim.message.id.as_str() == "x00" && !delivered.contains(&"y".to_owned()) {
                head = Some(claim);
            } else {
                delivered.push(claim.message.id.to_string());
                fixture.settle(vec![settle(claim, end(Status::Delivered))]);
            }
        }
        fixture.check();
        if delivered.len() == 1
            && let Some(claim) = head.take()
        {
            assert_eq!(delivered, ["y"]);
            delivered.push("x00".to_owned());
            fixture.settle(vec![settle(claim, end(Status::Delivered))]);
        }
        if delivered.len() == 20 {
            restart(&mut fixture, Policy::default());
        }
        if delivered.len() == COUNT + 1 {
            break;
        }
    }
    let expected: Vec<_> = (0..COUNT).map(|n| format!("x{n:02}")).collect();
    assert_eq!(delivered[1..], expected);
}
