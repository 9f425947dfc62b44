//! Listing: what is found, what is said of it, and how it is paged.

use wharf_core::{Cause, DeliveryId, MessageSeq, Standing, Status};
use wharf_store::{Entry, Filter, Of, Redrive};

use crate::fixture::{
    Fixture, T0, accept, after_ms, channel, end, id, message, retry, settle, to, wait,
};

/// What an entry is of: the message's id, and its channel and status, or where it stands.
fn name(entry: &Entry) -> String {
    match &entry.of {
        Of::Delivery(view) => format!("{} {} {}", entry.message, view.channel, view.status),
        Of::Message(standing) => format!("{} {standing}", entry.message),
    }
}

/// Lists in pages of every size, and compares the names.
fn check(fixture: &Fixture, filter: &Filter, expected: &[&str]) {
    for max in [1, 2, 3, usize::MAX] {
        let mut found = Vec::new();
        let mut after = None;
        loop {
            let page = fixture.store.list(filter, after, max).unwrap();
            assert_eq!(page.unreadable_count, 0);
            assert!(page.entries.len() <= max);
            found.extend(page.entries.iter().map(name));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(found, expected, "{filter:?} in pages of {max}");
    }
}

fn statuses(statuses: &[Status]) -> Filter {
    Filter {
        statuses: statuses.to_vec(),
        ..Filter::default()
    }
}

/// Several commits, so that there are open and closed chunks in turn, with deliveries of many kinds.
fn fixture() -> Fixture {
    let fixture = Fixture::new();
    fixture.accept(vec![accept("m1", &["a", "b"]), accept("m2", &[])]);
    let mut delayed = message("m4", "m4");
    delayed.deliver_after = Some(after_ms(10));
    fixture.accept(vec![accept("m3", &["a"]), to(delayed, &["b"])]);
    fixture.accept(vec![accept("m5", &[]), accept("m6", &["b", "a", "c"])]);
    let [m1, m3, m6] = fixture.claim("a", 3, T0).try_into().unwrap();
    fixture.settle(vec![
        settle(m1, end(Status::Delivered)),
        settle(m3, end(Status::Dead)),
        settle(m6, retry(50, "wire")),
    ]);
    let [m1, m6] = fixture.claim("b", 2, T0).try_into().unwrap();
    fixture.settle(vec![
        settle(m1, end(Status::Rejected)),
        settle(m6, end(Status::Pending)),
    ]);
    fixture
}

#[test]
fn what_stands_somewhere_is_listed_in_order() {
    let mut fixture = fixture();
    for _ in 0..2 {
        let dead_letters = Filter {
            statuses: vec![Status::Dead, Status::Rejected, Status::Shed],
            standings: vec![Standing::Unroutable],
            channel: None,
        };
        let expected = [
            "m1 b rejected",
            "m2 unroutable",
            "m3 a dead",
            "m5 unroutable",
        ];
        check(&fixture, &dead_letters, &expected);
        let no_unroutable = statuses(&dead_letters.statuses);
        check(&fixture, &no_unroutable, &["m1 b rejected", "m3 a dead"]);
        let waits = [Status::Queued, Status::Retrying, Status::Pending];
        let expected = [
            "m4 b queued",
            "m6 b pending",
            "m6 a retrying",
            "m6 c queued",
        ];
        check(&fixture, &statuses(&waits), &expected);
        check(
            &fixture,
            &statuses(&[Status::Queued]),
            &["m4 b queued", "m6 c queued"],
        );
        check(
            &fixture,
            &statuses(&[Status::Delivered]),
            &["m1 a delivered"],
        );
        let all = Filter {
            statuses: Status::ALL.to_vec(),
            standings: Standing::ALL.to_vec(),
            channel: None,
        };
        let expected = [
            "m1 a delivered",
            "m1 b rejected",
            "m2 unroutable",
            "m3 a dead",
            "m4 b queued",
            "m5 unroutable",
            "m6 b pending",
            "m6 a retrying",
            "m6 c queued",
        ];
        check(&fixture, &all, &expected);
        check(&fixture, &Filter::default(), &[]);
        check(&fixture, &statuses(&[Status::Expired]), &[]);
        let of_channel = |name: &str| Filter {
            channel: Some(channel(name)),
            ..all.clone()
        };
        let expected = ["m1 a delivered", "m3 a dead", "m6 a retrying"];
        check(&fixture, &of_channel("a"), &expected);
        check(&fixture, &of_channel("c"), &["m6 c queued"]);
        check(&fixture, &of_channel("unknown"), &[]);
        let dead_of_b = Filter {
            channel: Some(channel("b")),
            ..dead_letters.clone()
        };
        check(&fixture, &dead_of_b, &["m1 b rejected"]);
        fixture.restart();
    }
}

#[test]
fn an_entry_says_what_get_and_the_journal_say() {
    let fixture = fixture();
    let dead = DeliveryId::new(MessageSeq(3), 0);
    let mut refused = settle(fixture.claim_one("c", T0), end(Status::Rejected));
    refused.attempt.as_mut().unwrap().code = Some("http-400".to_owned());
    refused.attempt.as_mut().unwrap().reason = Some("no such account".to_owned());
    refused.at = after_ms(7);
    refused.transition.cause = Cause::Refused;
    fixture.settle(vec![refused]);
    let list = |status| {
        let filter = Filter {
            channel: Some(channel("c")),
            ..statuses(&[status])
        };
        let mut page = fixture.store.list(&filter, None, 10).unwrap();
        assert_eq!(page.entries.len(), 1);
        page.entries.remove(0)
    };
    let rejected = list(Status::Rejected);
    assert_eq!(rejected.accepted_at, T0);
    assert_eq!(
        (rejected.changed_at, rejected.cause),
        (Some(after_ms(7)), Some(Cause::Refused))
    );
    assert_eq!(rejected.code.as_deref(), Some("http-400"));
    assert_eq!(rejected.reason.as_deref(), Some("no such account"));
    let view = fixture.get("m6").deliveries.remove(2);
    assert_eq!(rejected.of, Of::Delivery(view.clone()));

    // A command's row has no attempt: the one before it is told.
    fixture.redrive(vec![Redrive {
        delivery: view.id,
        reconvert: true,
        new_key: true,
        at: after_ms(9),
    }]);
    let claim = fixture.claim_one("c", T0);
    let queued = list(Status::Queued);
    assert_eq!(
        (queued.changed_at, queued.cause),
        (Some(after_ms(9)), Some(Cause::Redriven))
    );
    assert_eq!(queued.code.as_deref(), Some("http-400"));
    let view = fixture.get("m6").deliveries.remove(2);
    assert!(view.is_leased && view.key_generation == 1);
    assert_eq!(queued.of, Of::Delivery(view));
    drop(claim);

    let unroutable = Filter {
        standings: vec![Standing::Unroutable],
        ..Filter::default()
    };
    let page = fixture.store.list(&unroutable, Some(dead), 10).unwrap();
    let [entry] = &page.entries[..] else {
        panic!("{page:?}");
    };
    assert_eq!(entry.message, id("m5"));
    assert_eq!(
        (entry.cause, entry.code.as_ref()),
        (Some(Cause::NoRoute), None)
    );
}

/// Most deliveries are not looked for: pages end early, and lead on.
#[test]
fn a_page_ends_where_it_has_looked_at_enough() {
    const COUNT: u64 = 20_000;
    let fixture = Fixture::new();
    for batch in 0..COUNT / 2_000 {
        let names = (0..2_000).map(|n| accept(&format!("m{batch}-{n}"), &["a"]));
        wait(fixture.store.accept(names.collect())).unwrap();
    }
    fixture.accept(vec![accept("last", &["b"]), accept("other", &["a"])]);
    let check = |filter: &Filter, expected: &str| {
        let first = fixture.store.list(filter, None, 10).unwrap();
        assert_eq!(first.entries, []);
        let next = first.next.expect("it has not come to the end");
        let second = fixture.store.list(filter, Some(next), 10).unwrap();
        assert_eq!(
            second.entries.iter().map(name).collect::<Vec<_>>(),
            [expected]
        );
        assert_eq!(second.next, None);
    };
    let expired = fixture.claim_one("b", T0);
    fixture.settle(vec![settle(expired, end(Status::Delivered))]);
    check(&statuses(&[Status::Delivered]), "last b delivered");

    // The same for the walk through rows: all the others are dead.
    let claims = fixture.claim("a", usize::MAX, T0);
    let (dead, rejected) = claims
        .into_iter()
        .partition::<Vec<_>, _>(|claim| claim.message.id != id("other"));
    for (claims, to) in [(dead, Status::Dead), (rejected, Status::Rejected)] {
        let batch = claims.into_iter().map(|claim| settle(claim, end(to)));
        wait(fixture.store.settle(batch.collect())).unwrap();
    }
    check(&statuses(&[Status::Rejected]), "other a rejected");
    let of_channel = Filter {
        channel: Some(channel("a")),
        ..statuses(&[Status::Rejected])
    };
    check(&of_channel, "other a rejected");
}
