//! That the engines do what they are compared by.

use std::path::Path;

use super::control::Control;
use super::fjall::Fjall;
use super::row::RowLayout;
use super::sqlite::Sqlite;
use super::wharf::{Does, Wharf};
use super::{Engine, plain};
use crate::caller::Retention;
use crate::work::{Clock, PAYLOAD_BYTES, Work};

const BATCH: usize = 8;

fn engines(folder: &Path, clock: Clock) -> Vec<(&'static str, Box<dyn Engine>)> {
    let wharf = |name, retention| {
        let wharf = Wharf::open(&folder.join(name), Does::Life, retention, clock);
        Box::new(wharf.unwrap())
    };
    vec![
        ("wharf, retention 0", wharf("zero", Retention::Zero)),
        ("wharf, kept", wharf("week", Retention::Week)),
        ("row", Box::new(RowLayout::open(folder, clock).unwrap())),
        ("sqlite", Box::new(Sqlite::open(folder, clock).unwrap())),
        ("fjall", Box::new(Fjall::open(folder, clock).unwrap())),
    ]
}

/// An engine that forgets ids with their messages would have less to do than the others.
#[test]
fn every_engine_knows_an_id_after_its_message_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::start();
    for (name, mut engine) in engines(folder.path(), clock) {
        let mut work = Work::new(1, clock);
        let first = work.batch(BATCH);
        engine.round(&mut first.clone()).unwrap();
        for _ in 0..3 {
            engine.round(&mut work.batch(BATCH)).unwrap();
        }
        let again = engine.round(&mut first.clone());
        assert!(again.is_err(), "{name} took the same messages twice");
    }
}

/// Each round is durable by itself, and payloads are written whole.
#[test]
fn every_engine_commits_once_a_round() {
    const ROUNDS: u64 = 4;
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::start();
    for (name, mut engine) in engines(folder.path(), clock) {
        let mut work = Work::new(1, clock);
        let before = engine.io().unwrap();
        for _ in 0..ROUNDS {
            engine.round(&mut work.batch(BATCH)).unwrap();
        }
        let io = engine.io().unwrap().since(before);
        let payload_bytes = ROUNDS * (BATCH * PAYLOAD_BYTES) as u64;
        assert!(io.written_bytes > payload_bytes, "{name}: {io:?}");
        // Ours may begin with what came first.
        assert!(io.commits_count >= ROUNDS, "{name}: {io:?}");
        assert!(
            io.syncs_count.is_none_or(|syncs| syncs >= io.commits_count),
            "{name}: {io:?}"
        );
    }
}

#[test]
fn the_control_writes_as_much_as_the_messages_have_and_syncs_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut work = Work::new(1, Clock::start());
    let message_bytes = plain::message(&work.message()).len();
    let mut control = Control::open(folder.path(), message_bytes).unwrap();
    let before = control.io().unwrap();
    control.round(&mut work.batch(BATCH)).unwrap();
    let io = control.io().unwrap().since(before);
    assert_eq!(io.written_bytes, (BATCH * message_bytes) as u64);
    assert_eq!((io.syncs_count, io.commits_count), (Some(1), 1));
}
