//! Accepting: what is new, what is a duplicate, what is a conflict.

use wharf_core::{MessageSeq, Standing, Status};
use wharf_store::{Accept, Accepted};

use crate::fixture::{Fixture, T0, accept, after_ms, id, message, to, wait};

const fn new(seq: u64, deliveries_count: u16) -> Accepted {
    Accepted::New {
        seq: MessageSeq(seq),
        deliveries_count,
    }
}

const fn duplicate(seq: u64, deliveries_count: u16) -> Accepted {
    Accepted::Duplicate {
        seq: MessageSeq(seq),
        accepted_at: T0,
        deliveries_count,
    }
}

const fn conflict(seq: u64) -> Accepted {
    Accepted::Conflict {
        seq: MessageSeq(seq),
    }
}

/// Accepts the batches one after the other, restarting in between, and compares the answers.
fn check(batches: Vec<Vec<Accept>>, expected: &[&[Accepted]]) -> Fixture {
    let mut fixture = Fixture::new();
    for (batch, expected) in batches.into_iter().zip(expected) {
        assert_eq!(fixture.accept(batch), *expected);
        fixture.restart();
    }
    fixture
}

#[test]
fn an_accepted_message_is_there_with_its_deliveries_after_a_restart() {
    let fixture = check(vec![vec![accept("m", &["a", "b"])]], &[&[new(1, 2)]]);
    let view = fixture.get("m");
    assert_eq!(*view.message, message("m", "m"));
    let seen: Vec<_> = view
        .deliveries
        .iter()
        .map(|d| (d.channel.as_str(), &*d.route, d.status))
        .collect();
    assert_eq!(
        seen,
        [("a", "to-a", Status::Queued), ("b", "to-b", Status::Queued)]
    );
    assert_eq!(fixture.ready("a", T0), ["m"]);
    assert_eq!(fixture.ready("b", T0), ["m"]);
    assert_eq!(fixture.store.get(&id("other")).unwrap(), None);
}

#[test]
fn the_same_id_and_content_gets_the_first_answer_again() {
    let mut later = accept("m", &["a"]);
    later.message.accepted_at = after_ms(5);
    later.message.traceparent = Some("00-another".to_owned());
    let batches = vec![
        vec![accept("m", &["a"]), accept("m", &["a"]), accept("n", &[])],
        vec![later, accept("n", &[])],
    ];
    let fixture = check(
        batches,
        &[
            &[new(1, 1), duplicate(1, 1), new(2, 0)],
            &[duplicate(1, 1), duplicate(2, 0)],
        ],
    );
    assert_eq!(fixture.ready("a", T0), ["m"], "no new delivery");
}

#[test]
fn the_same_id_with_other_content_changes_nothing() {
    let other = || to(message("m", "other"), &["a"]);
    let batches = vec![vec![accept("m", &["a"]), other()], vec![other()]];
    let fixture = check(batches, &[&[new(1, 1), conflict(1)], &[conflict(1)]]);
    assert_eq!(*fixture.get("m").message, message("m", "m"));
}

#[test]
fn duplicates_within_one_group_commit_are_found() {
    let fixture = Fixture::new();
    let threads: Vec<_> = (0..16)
        .map(|_| {
            let store = fixture.store.clone();
            std::thread::spawn(move || wait(store.accept(vec![accept("m", &["a"])])).unwrap()[0])
        })
        .collect();
    let answers: Vec<_> = threads
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .collect();
    assert_eq!(
        answers
            .iter()
            .filter(|answer| **answer == new(1, 1))
            .count(),
        1
    );
    assert_eq!(
        answers
            .iter()
            .filter(|answer| **answer == duplicate(1, 1))
            .count(),
        15
    );
    assert_eq!(fixture.check().messages, 1);
}

#[test]
fn a_message_without_a_plan_is_unroutable() {
    let fixture = check(vec![vec![accept("m", &[])]], &[&[new(1, 0)]]);
    assert_eq!(fixture.get("m").standing, Some(Standing::Unroutable));
    assert_eq!(
        fixture.store.stats().counts.standing(Standing::Unroutable),
        1
    );
    assert_eq!(fixture.store.journal_of(&id("m")).unwrap().len(), 1);
}

#[test]
fn messages_of_every_size_come_back_whole() {
    let payloads: Vec<_> = [0, 1, 100, 200_000, 100_000, 262_016, 300_000, 5]
        .map(|len| "x".repeat(len))
        .into();
    let name = |index: usize| format!("m{index}");
    let batch = payloads.iter().enumerate();
    let batch = batch
        .map(|(index, payload)| to(message(&name(index), payload), &["a"]))
        .collect();
    let expected: Vec<_> = (1..=8).map(|seq| new(seq, 1)).collect();
    let fixture = check(vec![batch], &[&expected]);
    assert_eq!(fixture.ready("a", T0), payloads);
    assert_eq!(fixture.get(&name(6)).message.payload, payloads[6]);
}
