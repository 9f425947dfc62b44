//! Claiming: leases, their guards, what waits for a time, what is in memory.

use wharf_core::Status;
use wharf_store::Options;

use crate::fixture::{End, Fixture, T0, accept, after_ms, end, message, settle, to};

#[test]
fn a_delivery_has_at_most_one_lease() {
    let fixture = Fixture::new();
    fixture.accept(vec![
        accept("m", &["a"]),
        accept("n", &["a"]),
        accept("o", &["b"]),
    ]);
    let claims = fixture.claim("a", 1, T0);
    assert_eq!(claims[0].message.id.as_str(), "m");
    assert_eq!(claims[0].attempts_count, 0);
    assert!(fixture.delivery("m").is_leased);
    assert_eq!(fixture.ready("a", T0), ["n"]);
    let spread = fixture.store.stats().spread;
    assert_eq!((spread.ready, spread.leased), (2, 1));
}

#[test]
fn a_dropped_lease_makes_its_delivery_ready_again_and_first() {
    let fixture = Fixture::new();
    fixture.accept(vec![accept("m", &["a"]), accept("n", &["a"])]);
    drop(fixture.claim("a", 1, T0));
    assert_eq!(fixture.ready("a", T0).len(), 2);
    let claim = &fixture.claim("a", 1, T0)[0];
    assert_eq!(claim.lease.status(), Status::Queued);
    assert!(claim.lease.fence().0 > 1, "a fence rises with every claim");
}

#[test]
fn a_lease_ends_with_a_restart() {
    let mut fixture = Fixture::new();
    fixture.accept(vec![accept("m", &["a"])]);
    let claim = fixture.claim_one("a", T0);
    fixture.restart();
    assert_eq!(fixture.ready("a", T0), ["m"]);
    // Nor does the old guard disturb the new store.
    drop(claim);
    assert_eq!(fixture.claim("a", 9, T0).len(), 1);
}

#[test]
fn a_delayed_message_waits_for_its_time_also_over_a_restart() {
    let mut fixture = Fixture::new();
    let mut delayed = message("m", "m");
    delayed.deliver_after = Some(after_ms(100));
    let mut past = message("n", "n");
    past.deliver_after = Some(T0);
    fixture.accept(vec![to(delayed, &["a"]), to(past, &["a"])]);
    for _ in 0..2 {
        assert_eq!(fixture.ready("a", after_ms(99)), ["n"]);
        assert_eq!(fixture.store.next_due(), Some(after_ms(100)));
        fixture.restart();
    }
    assert_eq!(fixture.store.promote_due(after_ms(99)).unwrap(), 0);
    assert_eq!(fixture.store.promote_due(after_ms(100)).unwrap(), 1);
    assert_eq!(fixture.store.next_due(), None);
    let claims = fixture.claim("a", 9, T0);
    assert_eq!(claims.len(), 2);
    fixture.settle(
        claims
            .into_iter()
            .map(|claim| settle(claim, end(Status::Delivered)))
            .collect(),
    );
    assert_eq!(fixture.store.stats().counts.status(Status::Delivered), 2);
}

#[test]
fn what_fell_due_is_claimed_the_earliest_first() {
    let fixture = Fixture::new();
    fixture.accept(vec![accept("m", &["a"]), accept("n", &["a"])]);
    let [m, n] = fixture.claim("a", 2, T0).try_into().unwrap();
    let retry = |due| End {
        to: Status::Retrying,
        due: Some(after_ms(due)),
        wire: None,
    };
    fixture.settle(vec![settle(m, retry(20)), settle(n, retry(10))]);
    assert_eq!(fixture.ready("a", after_ms(9)), [""; 0]);
    assert_eq!(fixture.ready("a", after_ms(10)), ["n"]);
    let payloads: Vec<_> = fixture.claim("a", 2, after_ms(20));
    let names: Vec<_> = payloads
        .iter()
        .map(|claim| claim.message.id.as_str())
        .collect();
    assert_eq!(names, ["n", "m"]);
}

/// Past the bound messages are read back, and nothing else changes.
#[test]
fn resident_messages_are_bounded() {
    let mut options = Options::new([1; 32], T0);
    options.resident_bytes_max = 10_000;
    let fixture = Fixture::with(options);
    let payloads: Vec<_> = (0..20).map(|n| format!("{n}").repeat(1000)).collect();
    let batch = payloads.iter().enumerate();
    let batch = batch.map(|(n, payload)| to(message(&format!("m{n}"), payload), &["a", "b"]));
    fixture.accept(batch.collect());
    let resident_bytes = fixture.store.stats().resident_bytes;
    assert!(
        (1_000..=10_000).contains(&resident_bytes),
        "{resident_bytes}"
    );
    assert_eq!(fixture.ready("a", T0), payloads);
    assert_eq!(fixture.ready("b", T0), payloads);
    assert_eq!(fixture.store.stats().resident_bytes, 0);
}
