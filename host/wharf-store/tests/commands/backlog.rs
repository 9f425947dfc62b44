//! More waits than is kept in memory: it is read on in its order, and nothing of it is passed over.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use wharf_core::Status;
use wharf_store::{Options, QueueSizes, Target};

use crate::fixture::{
    Fixture, T0, accept, after_ms, channel, end, id, message, retry, settle, to, wait,
};

/// A store that keeps next to nothing in memory.
fn small() -> Fixture {
    let mut options = Options::new([1; 32], T0);
    options.resident_bytes_max = 0;
    options.queue_sizes = QueueSizes {
        ready: 4,
        due: 3,
        page: 3,
    };
    Fixture::with(options)
}

/// Whether someone who sleeps until the channel has something would be woken.
fn is_awake(fixture: &Fixture, name: &str) -> bool {
    let name = channel(name);
    let ready = pin!(fixture.store.ready(&name));
    ready.poll(&mut Context::from_waker(Waker::noop())) == Poll::Ready(())
}

/// Delivers all that a channel has by now, as a dispatcher would. Returns the ids in order.
fn drain(fixture: &Fixture, name: &str, now_ms: u64) -> Vec<String> {
    let mut ids = Vec::new();
    fixture.store.promote_due(after_ms(now_ms)).unwrap();
    while is_awake(fixture, name) {
        let claims = fixture.claim(name, 2, after_ms(now_ms));
        assert!(!claims.is_empty(), "who is woken finds something");
        ids.extend(claims.iter().map(|claim| claim.message.id.to_string()));
        let settles = claims
            .into_iter()
            .map(|claim| settle(claim, end(Status::Delivered)));
        fixture.settle(settles.collect());
        fixture.store.promote_due(after_ms(now_ms)).unwrap();
    }
    ids
}

fn names(numbers: impl Iterator<Item = u32>) -> Vec<String> {
    numbers.map(|number| format!("m-{number}")).collect()
}

/// Accepts messages in commits of five; every third goes to a second channel too.
fn fill(fixture: &Fixture, numbers: std::ops::Range<u32>) {
    let numbers: Vec<_> = numbers.collect();
    for some in numbers.chunks(5) {
        let batch = some.iter().map(|number| {
            let channels: &[&str] = if number % 3 == 0 { &["a", "b"] } else { &["a"] };
            accept(&format!("m-{number}"), channels)
        });
        fixture.accept(batch.collect());
    }
}

#[test]
fn a_backlog_is_claimed_in_its_order() {
    let fixture = small();
    fill(&fixture, 0..42);
    let ready = fixture.store.stats().channels;
    let ready: Vec<_> = ready.iter().map(|channel| channel.ready).collect();
    assert_eq!(ready, [42, 14]);
    assert_eq!(drain(&fixture, "b", 0), names((0..42).step_by(3)));
    assert_eq!(drain(&fixture, "a", 0), names(0..42));
    // Once it is used up, what is new comes through memory again.
    fill(&fixture, 42..50);
    assert_eq!(drain(&fixture, "a", 0), names(42..50));
}

#[test]
fn a_backlog_is_found_again_by_every_start() {
    let mut fixture = small();
    fill(&fixture, 0..30);
    let first = fixture.claim("a", 2, T0);
    fixture.settle(vec![settle(
        first.into_iter().next().unwrap(),
        end(Status::Delivered),
    )]);
    fixture.restart();
    fill(&fixture, 30..40);
    // What is left of the first chunk: a page ends where a chunk does.
    assert_eq!(fixture.claim("a", 9, T0).len(), 4);
    fixture.kill();
    assert_eq!(drain(&fixture, "a", 0), names(1..40));
    fixture.kill();
    assert_eq!(drain(&fixture, "b", 0), names((0..40).step_by(3)));
    assert!(!is_awake(&fixture, "a"));
}

#[test]
fn retries_fall_due_in_their_order_wherever_they_wait() {
    let mut fixture = small();
    fill(&fixture, 0..20);
    // Backwards, so that each comes before all that wait already.
    for number in 0..20_u64 {
        let claim = fixture.claim("a", 1, T0).remove(0);
        fixture.settle(vec![settle(claim, retry(100 - number, "wire"))]);
    }
    assert_eq!(fixture.store.next_due(), Some(after_ms(81)));
    fixture.store.promote_due(after_ms(80)).unwrap();
    assert!(!is_awake(&fixture, "a"));
    assert_eq!(drain(&fixture, "a", 90), names((10..20).rev()));
    fixture.restart();
    assert_eq!(drain(&fixture, "a", 100), names((0..10).rev()));
    assert_eq!(fixture.store.next_due(), None);
}

/// New ones are not kept waiting by retries that never end, nor the other way round.
#[test]
fn neither_new_ones_nor_retries_starve() {
    let fixture = small();
    fill(&fixture, 0..30);
    for _ in 0..12 {
        let claim = fixture.claim("a", 1, T0).remove(0);
        fixture.settle(vec![settle(claim, retry(1, "wire"))]);
    }
    let mut counts = (0, 0);
    for _ in 0..16 {
        let claim = fixture.claim("a", 1, after_ms(1)).remove(0);
        match claim.attempts_count {
            0 => counts.0 += 1,
            _ => counts.1 += 1,
        }
        fixture.settle(vec![settle(claim, retry(1, "wire"))]);
    }
    assert!(counts.0 >= 4 && counts.1 >= 4, "{counts:?}");
}

#[test]
fn what_was_cancelled_on_disk_is_not_sent() {
    let fixture = small();
    fill(&fixture, 0..20);
    let mut later = message("later", "");
    later.deliver_after = Some(after_ms(5));
    for number in 0..8 {
        let delayed = format!("d-{number}");
        fixture.accept(vec![to(
            wharf_core::Message {
                id: id(&delayed),
                ..later.clone()
            },
            &["a"],
        )]);
    }
    let target = |name: &str| Target::Message(id(name));
    fixture.cancel(vec![
        target("m-1"),
        target("m-17"),
        target("d-0"),
        target("d-7"),
    ]);
    let mut expected = names((0..20).filter(|number| ![1, 17].contains(number)));
    expected.extend((1..7).map(|number| format!("d-{number}")));
    let mut found = drain(&fixture, "a", 5);
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    wait(fixture.store.close()).unwrap();
}
