//! Numbers by channel.

use wharf_core::{DeliveryId, MessageSeq, Status};
use wharf_store::{Options, Redrive, Target};

use crate::fixture::{Fixture, T0, accept, after_ms, channel, end, id, message, retry, settle, to};

/// The statuses that a channel's deliveries have, each with how many.
fn check(fixture: &Fixture, name: &str, expected: &[(Status, u64)]) {
    let stats = fixture.store.stats();
    let of_channel = stats
        .channels
        .iter()
        .find(|one| one.channel == channel(name));
    let depths = of_channel.expect("the channel is known").depths;
    let mut found = Vec::new();
    for status in Status::ALL {
        if depths.status(*status) > 0 {
            found.push((*status, depths.status(*status)));
        }
    }
    assert_eq!(found, expected);
}

#[test]
fn deliveries_are_counted_by_channel_and_status() {
    let mut fixture = Fixture::new();
    let mut delayed = message("delayed", "");
    delayed.deliver_after = Some(after_ms(99));
    let names = ["m1", "m2", "m3", "m4"];
    fixture.accept(names.map(|name| accept(name, &["a"])).into());
    fixture.accept(vec![accept("m5", &["a", "b"]), to(delayed, &["b"])]);
    check(&fixture, "a", &[(Status::Queued, 5)]);
    check(&fixture, "b", &[(Status::Queued, 2)]);
    let claims = fixture.claim("a", 4, T0);
    check(&fixture, "a", &[(Status::Queued, 5)]);
    let ends = [
        end(Status::Delivered),
        retry(10, ""),
        end(Status::Pending),
        end(Status::Dead),
    ];
    let batch = claims.into_iter().zip(ends);
    fixture.settle(batch.map(|(claim, end)| settle(claim, end)).collect());
    let after = [
        (Status::Queued, 1),
        (Status::Retrying, 1),
        (Status::Pending, 1),
        (Status::Dead, 1),
    ];
    for _ in 0..2 {
        check(&fixture, "a", &after);
        check(&fixture, "b", &[(Status::Queued, 2)]);
        fixture.restart();
    }
    fixture.cancel(vec![Target::Message(id("m5"))]);
    fixture.redrive(vec![Redrive {
        delivery: DeliveryId::new(MessageSeq(4), 0),
        reconvert: false,
        new_key: false,
        at: T0,
    }]);
    let after = [
        (Status::Queued, 1),
        (Status::Retrying, 1),
        (Status::Pending, 1),
        (Status::Cancelled, 1),
    ];
    for _ in 0..2 {
        check(&fixture, "a", &after);
        check(
            &fixture,
            "b",
            &[(Status::Queued, 1), (Status::Cancelled, 1)],
        );
        fixture.restart();
    }
}

#[test]
fn a_channel_is_behind_by_what_comes_first() {
    for resident_bytes_max in [0, 1 << 20] {
        let mut options = Options::new([1; 32], T0);
        options.resident_bytes_max = resident_bytes_max;
        let fixture = Fixture::with(options);
        let at = |name: &str, ms| {
            let mut message = message(name, "");
            message.accepted_at = after_ms(ms);
            message
        };
        fixture.accept(vec![
            to(at("m1", 1), &["a"]),
            to(at("m2", 2), &["a", "b"]),
            accept("m3", &["c"]),
        ]);
        let claims = (fixture.claim_one("c", T0), fixture.claim("a", 1, T0));
        let behind = fixture.store.behind().unwrap();
        let expected = ["a", "b"].map(|name| (channel(name), after_ms(2)));
        assert_eq!(behind, expected);
        drop(claims);
    }
}
