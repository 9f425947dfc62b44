//! What a store still does whose file has been damaged in one place.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use redb::{Database, ReadableTable, TableDefinition, TableHandle};
use wharf_core::{DeliveryId, MessageSeq, Status, WireForm, invariant};
use wharf_store::{Cancel, Filter, Store, Target};

use crate::fixture::{End, Fixture, T0, accept, channel, settle, wait};

type Numbered = TableDefinition<'static, u64, &'static [u8]>;

const CHUNK: Numbered = TableDefinition::new("chunk");
const WIRE: Numbered = TableDefinition::new("wire");

/// Accepts `m` and `n` in one commit and `o` in another, damages the first value of a table while the store is
/// closed, and claims what is left.
fn check(table: Numbered, damage: impl FnOnce(&mut [u8]), readable: &[&str]) {
    let mut fixture = Fixture::new();
    fixture.accept(vec![accept("m", &["a"]), accept("n", &["a"])]);
    fixture.accept(vec![accept("o", &["a"])]);
    let retry = End {
        to: Status::Retrying,
        due: None,
        wire: Some(WireForm {
            endpoint: None,
            headers: vec![],
            body: vec![],
        }),
    };
    let first = fixture.claim("a", 1, T0).remove(0);
    fixture.settle(vec![settle(first, retry)]);
    wait(fixture.store.close()).unwrap();
    {
        let database = Database::open(fixture.path()).unwrap();
        let tx = database.begin_write().unwrap();
        {
            let mut table = tx.open_table(table).unwrap();
            let (key, mut value) = {
                let (key, value) = table.first().unwrap().unwrap();
                (key.value(), value.value().to_vec())
            };
            damage(&mut value);
            table.insert(key, value.as_slice()).unwrap();
        }
        tx.commit().unwrap();
    }
    fixture.store = Store::open(&fixture.path(), &fixture.options).unwrap();

    let claims = fixture.claim("a", usize::MAX, T0);
    let mut payloads: Vec<_> = claims.iter().map(|claim| &*claim.message.payload).collect();
    payloads.sort_unstable();
    let expected: Vec<_> = readable.iter().map(|payload| payload.as_bytes()).collect();
    assert_eq!(payloads, expected);
    // The rest is neither handed out again nor waited for, nor has it gone.
    assert!(fixture.claim("a", usize::MAX, T0).is_empty());
    let channel = channel("a");
    let ready = pin!(fixture.store.ready(&channel));
    let polled = ready.poll(&mut Context::from_waker(Waker::noop()));
    assert_eq!(polled, Poll::Pending);
    let stats = fixture.store.stats();
    assert_eq!(stats.spread.blocked, 3 - readable.len() as u64);
    assert_eq!(stats.channels[0].leased, readable.len() as u64);
    invariant::deliveries_are_partitioned(stats.spread, stats.counts.deliveries()).unwrap();
    // It is left out of lists, and what can be read is not.
    let queued = Filter {
        statuses: vec![Status::Queued, Status::Retrying],
        ..Filter::default()
    };
    let page = fixture.store.list(&queued, None, 10).unwrap();
    // A list reads no wire forms.
    let expected = if table.name() == WIRE.name() {
        3
    } else {
        readable.len()
    };
    assert_eq!((page.entries.len(), page.next), (expected, None));
    assert_eq!(page.unreadable_count, 3 - expected as u64);
    // An operator can be rid of it.
    drop(claims);
    let targets = (1..=3).map(|seq| Cancel {
        target: Target::Delivery(DeliveryId::new(MessageSeq(seq), 0)),
        at: T0,
    });
    wait(fixture.store.cancel(targets.collect())).unwrap();
    let stats = fixture.store.stats();
    assert_eq!(stats.spread.ended, 3);
    invariant::deliveries_are_partitioned(stats.spread, 3).unwrap();
}

#[test]
fn an_unreadable_message_does_not_stop_its_channel() {
    // The first part comes after the version, the count and two ends; it begins with the length of its id.
    check(CHUNK, |value| value[5 + 2 * 4] = 0xff, &["n", "o"]);
}

#[test]
fn an_unreadable_chunk_keeps_back_no_other() {
    check(CHUNK, |value| value[0] = 0xff, &["o"]);
}

#[test]
fn an_unreadable_wire_form_keeps_back_its_delivery_alone() {
    check(WIRE, |value| value[0] = 0xff, &["n", "o"]);
}
