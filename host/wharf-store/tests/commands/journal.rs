//! The journal: of one message, and from a cursor on.

use wharf_core::journal::Subject;
use wharf_core::{Cause, Cursor, Status};

use crate::fixture::{End, Fixture, T0, accept, after_ms, end, id, message, settle, to};

#[test]
fn the_rows_of_a_message_are_a_chain() {
    let mut fixture = Fixture::new();
    fixture.accept(vec![accept("m", &["a", "b"]), accept("n", &["a"])]);
    let retry = End {
        to: Status::Retrying,
        due: Some(after_ms(1)),
        wire: None,
    };
    fixture.settle(vec![settle(fixture.claim("a", 1, T0).remove(0), retry)]);
    fixture.restart();
    fixture.settle(vec![settle(
        fixture.claim_one("b", T0),
        end(Status::Rejected),
    )]);
    let claims = fixture.claim("a", 2, after_ms(1));
    fixture.settle(
        claims
            .into_iter()
            .map(|claim| settle(claim, end(Status::Delivered)))
            .collect(),
    );

    let rows = fixture.store.journal_of(&id("m")).unwrap();
    let steps: Vec<_> = rows
        .iter()
        .map(|row| match row.subject {
            Subject::Delivery { id, from, to } => (
                row.cursor.0,
                row.previous.map(|p| p.0),
                id.place(),
                from,
                to,
            ),
            Subject::Message { .. } | Subject::Gap { .. } => panic!("the message has deliveries"),
        })
        .collect();
    assert_eq!(
        steps,
        [
            (1, None, 0, None, Status::Queued),
            (2, None, 1, None, Status::Queued),
            (4, Some(1), 0, Some(Status::Queued), Status::Retrying),
            (5, Some(2), 1, Some(Status::Queued), Status::Rejected),
            // The other message's delivery was ready before the retry fell due.
            (7, Some(4), 0, Some(Status::Retrying), Status::Delivered),
        ]
    );
    assert_eq!(rows[2].due, Some(after_ms(1)));
    assert_eq!(
        rows[4].attempt.as_ref().map(|attempt| attempt.number),
        Some(2)
    );
    assert_eq!(fixture.store.journal_of(&id("unknown")).unwrap(), []);
}

#[test]
fn rows_are_read_from_a_cursor_on_with_what_they_are_about() {
    let fixture = Fixture::new();
    fixture.accept(vec![accept("m", &["a", "b"]), accept("n", &[])]);
    fixture.accept(vec![accept("o", &["a"])]);
    let read = |after, max| {
        let page = fixture
            .store
            .journal(Cursor(after), max, usize::MAX)
            .unwrap();
        assert_eq!(page.passed_over, []);
        let last = page.entries.last().map(|entry| entry.row.cursor);
        assert_eq!(page.end, last.unwrap_or(Cursor(after)));
        let entries = page.entries.into_iter().map(|entry| {
            assert_eq!(entry.attributes, message("x", "").attributes);
            let planned = entry.planned;
            let route = planned.as_ref().map(|planned| planned.route.to_string());
            let channel = planned.map(|planned| planned.channel.to_string());
            assert_eq!(
                route,
                channel.as_ref().map(|channel| format!("to-{channel}"))
            );
            (
                entry.row.cursor.0,
                entry.message.as_ref().unwrap().to_string(),
                channel,
                entry.row.cause,
            )
        });
        entries.collect::<Vec<_>>()
    };
    let row = |cursor, id: &str, channel: Option<&str>, cause| {
        (cursor, id.to_owned(), channel.map(str::to_owned), cause)
    };
    let all = [
        row(1, "m", Some("a"), Cause::Accepted),
        row(2, "m", Some("b"), Cause::Accepted),
        row(3, "n", None, Cause::NoRoute),
        row(4, "o", Some("a"), Cause::Accepted),
    ];
    assert_eq!(read(0, 100), all);
    assert_eq!(read(1, 2), all[1..3]);
    assert_eq!(read(3, 1), all[3..]);
    assert_eq!(read(4, 100), []);
    assert_eq!(read(u64::MAX, 100), []);
    assert_eq!(*fixture.store.journal_head().borrow(), Cursor(4));
}

#[test]
fn a_batch_of_rows_is_bounded_by_its_bytes_and_never_empty() {
    let fixture = Fixture::new();
    let mut large = message("large", "");
    large.attributes = vec![("x".to_owned(), "y".repeat(8 << 10)); 4];
    fixture.accept(vec![
        accept("m", &["a"]),
        accept("n", &["a"]),
        to(large, &["a", "b"]),
    ]);
    let read = |after, max_bytes| {
        let page = fixture.store.journal(Cursor(after), 100, max_bytes);
        let entries = page.unwrap().entries.into_iter();
        entries.map(|entry| entry.row.cursor.0).collect::<Vec<_>>()
    };
    assert_eq!(read(0, 0), [1]);
    assert_eq!(read(0, 16 << 10), [1, 2]);
    assert_eq!(read(2, 16 << 10), [3]);
    // What two rows say counts twice.
    assert_eq!(read(2, 48 << 10), [3]);
    assert_eq!(read(0, 128 << 10), [1, 2, 3, 4]);
    assert_eq!(read(4, 0), [0; 0]);
}
