//! What a commit writes, seen from outside.

use std::fs;

use bytes::Bytes;

use crate::fixture::{Fixture, log_of, message, to, wait};

/// A message is never torn apart, and a value has the size that measured best.
#[test]
fn a_commit_is_split_at_the_size_of_a_blob() {
    let fixture = Fixture::new();
    let payloads = [200_000, 100_000, 262_016, 300_000].map(|len| "x".repeat(len));
    let batch = (0..).zip(&payloads);
    let batch = batch.map(|(n, payload)| to(message(&format!("m{n}"), payload), &["a"]));
    fixture.accept(batch.collect());
    assert_eq!(fixture.check().chunks, 4);
}

#[test]
fn what_stands_already_is_not_written_again() {
    let fixture = Fixture::new();
    let set = |value: Option<&'static str>| {
        let value = value.map(|value| Bytes::from_static(value.as_bytes()));
        wait(fixture.store.set_state("a", value)).unwrap();
    };
    set(Some("1"));
    let read = || [fixture.path(), log_of(&fixture.path())].map(|file| fs::read(file).unwrap());
    let bytes = read();
    set(Some("1"));
    assert!(bytes == read());
    set(None);
    assert!(bytes != read());
}
