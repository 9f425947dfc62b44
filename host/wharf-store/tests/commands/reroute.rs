//! Routing again what no route matched.

use wharf_core::retry::Budget;
use wharf_core::route::Planned;
use wharf_core::{Cause, ChannelName, DeliveryId, MessageSeq, Standing, Status};
use wharf_store::{Accepted, Filter, Reroute, Rerouted};

use crate::fixture::{Fixture, T0, accept, after_ms, end, id, retry, settle, wait};

fn planned(channels: &[&str]) -> Vec<Planned> {
    let planned = channels
        .iter()
        .map(|name| Planned::at_once("again".into(), ChannelName::new(name)));
    planned.collect()
}

fn reroute(fixture: &Fixture, seq: u64, channels: &[&str]) -> Rerouted {
    let one = Reroute {
        message: MessageSeq(seq),
        planned: planned(channels),
        at: after_ms(5),
    };
    let answers = wait(fixture.store.reroute(vec![one])).unwrap();
    fixture.check();
    answers[0]
}

/// In one chunk: a delivery that is out, a message without deliveries, one that waits, and another without.
fn chunk() -> Fixture {
    let fixture = Fixture::new();
    fixture.accept(vec![
        accept("m1", &["a"]),
        accept("m2", &[]),
        accept("m3", &["b", "a"]),
        accept("m4", &[]),
    ]);
    fixture
}

/// Goal: it has deliveries from then on, with its own row in front of theirs, whatever stands beside it in its chunk;
/// and is sent as any other.
#[test]
fn an_unroutable_message_gets_deliveries() {
    let mut fixture = chunk();
    let out = fixture.claim("a", 1, T0).remove(0);
    let before = fixture.get("m3");
    assert_eq!(reroute(&fixture, 2, &["c", "a"]), Rerouted::Recorded(2));
    for _ in 0..2 {
        let view = fixture.get("m2");
        assert_eq!(view.standing, None);
        let of = |one: &wharf_store::DeliveryView| (one.channel.to_string(), one.route.to_string());
        let deliveries: Vec<_> = view.deliveries.iter().map(of).collect();
        let again = |channel: &str| (channel.to_owned(), "again".to_owned());
        assert_eq!(deliveries, [again("c"), again("a")]);
        assert_eq!(
            fixture.get("m3").deliveries[0].last,
            before.deliveries[0].last
        );
        let rows = fixture.store.journal_of(&id("m2")).unwrap();
        let causes: Vec<_> = rows.iter().map(|row| row.cause).collect();
        assert_eq!(causes, [Cause::NoRoute, Cause::Redriven, Cause::Redriven]);
        let stats = fixture.store.stats();
        assert_eq!(stats.counts.standing(Standing::Unroutable), 1);
        assert_eq!(stats.counts.status(Status::Queued), 5);
        // The second time after a start.
        if view.deliveries[0].last == rows[1].cursor && stats.spread.leased == 0 {
            break;
        }
        fixture.kill();
    }
    drop(out);

    // The same message again is answered with its deliveries.
    let same = fixture.accept(vec![accept("m2", &[])]);
    let is_same = matches!(&same[0], Accepted::Duplicate { deliveries_count: 2, seq, .. } if *seq == MessageSeq(2));
    assert!(is_same, "{same:?}");

    // What is left is listed, and no more.
    let unroutable = Filter {
        statuses: vec![],
        standings: Standing::ALL.to_vec(),
        channel: None,
    };
    let page = fixture.store.list(&unroutable, None, 10).unwrap();
    let left: Vec<_> = page.entries.iter().map(|one| one.message.clone()).collect();
    assert_eq!(left, [id("m4")]);

    let claim = fixture.claim_one("c", T0);
    assert_eq!((&claim.message.id, &*claim.route), (&id("m2"), "again"));
    let budget = Budget {
        attempts_before: 0,
        began_at: after_ms(5),
    };
    assert_eq!(claim.budget, budget);
    fixture.settle(vec![settle(claim, retry(1, "first"))]);
    let claim = fixture.claim_one("c", after_ms(1_000));
    fixture.settle(vec![settle(claim, end(Status::Delivered))]);
    assert_eq!(fixture.get("m2").deliveries[0].status, Status::Delivered);
    fixture.restart();
    assert_eq!(fixture.get("m2").deliveries[0].status, Status::Delivered);
}

#[test]
fn nothing_else_is_routed_again() {
    let fixture = chunk();
    assert_eq!(reroute(&fixture, 1, &["b"]), Rerouted::Refused);
    assert_eq!(reroute(&fixture, 2, &[]), Rerouted::Refused);
    assert_eq!(reroute(&fixture, 5, &["a"]), Rerouted::Unknown);
    assert_eq!(reroute(&fixture, 2, &["a"]), Rerouted::Recorded(1));
    assert_eq!(reroute(&fixture, 2, &["b"]), Rerouted::Refused);
    // Two of a chunk in one commit, one of them twice.
    let one = |seq| Reroute {
        message: MessageSeq(seq),
        planned: planned(&["d"]),
        at: T0,
    };
    let fixture = chunk();
    let answers = wait(fixture.store.reroute(vec![one(2), one(4), one(2)])).unwrap();
    fixture.check();
    let (done, refused) = (Rerouted::Recorded(1), Rerouted::Refused);
    assert_eq!(answers, [done, done, refused]);
    assert_eq!(fixture.claim("d", 9, T0).len(), 2);
    assert_eq!(fixture.claim("a", 9, T0).len(), 2);
}

/// Goal: it is not sent before it may be.
#[test]
fn it_waits_for_its_time() {
    let mut fixture = Fixture::new();
    let mut later = accept("m", &[]);
    later.message.deliver_after = Some(after_ms(100));
    fixture.accept(vec![later]);
    assert_eq!(reroute(&fixture, 1, &["a"]), Rerouted::Recorded(1));
    for _ in 0..2 {
        assert_eq!(fixture.delivery("m").due, Some(after_ms(100)));
        assert!(fixture.claim("a", 1, after_ms(99)).is_empty());
        fixture.restart();
    }
    let claim = fixture.claim_one("a", after_ms(100));
    assert_eq!(claim.lease.delivery(), DeliveryId::new(MessageSeq(1), 0));
}
