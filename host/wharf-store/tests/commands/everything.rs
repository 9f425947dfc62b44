//! A store that has something of everything: for tests of what is done to a file as a whole.

use std::num::NonZeroU32;

use bytes::Bytes;
use wharf_core::journal::{Attempt, HookRun};
use wharf_core::message::Priority;
use wharf_core::outcome::Effect;
use wharf_core::route::Planned;
use wharf_core::{Cursor, Message, MessageSeq, Status, TimeMs, Update, WireForm, update};
use wharf_store::{Apply, IdSizes, Options, Parked, Redrive, Settle, Target};

use crate::fixture::{
    End, Fixture, T0, accept, after_ms, channel, end, id, message, retry, settle, to, wait,
};

/// Statuses that some command leads to; `held` waits for the resequencer.
pub(crate) const STATUSES: &[Status] = &[
    Status::Delivered,
    Status::Retrying,
    Status::Pending,
    Status::Provisional,
    Status::Rejected,
    Status::Dead,
    // This one is redriven.
    Status::Dead,
    Status::Expired,
    Status::Cancelled,
    Status::Shed,
    Status::Superseded,
];

/// A store with messages of every kind, deliveries in every status that is reachable, redriven and rerouted ones, some in reserve, ids in
/// the log and in runs, some of them forgotten, cursors, named values, parked things and status updates, text and bytes everywhere.
pub(crate) fn everything() -> Fixture {
    let mut options = Options::new([1; 32], T0);
    options.id_sizes = IdSizes {
        recent: 8,
        block: 2,
        segment: 2,
    };
    let fixture = Fixture::with(options);
    for (number, status) in STATUSES.iter().enumerate() {
        let mut plain = accept(&format!("plain-{number}"), &["a"]);
        if *status == Status::Superseded {
            let in_reserve = accept("reserve", &["quiet", "b"]).planned;
            plain
                .planned
                .extend(in_reserve.into_iter().map(|planned| Planned {
                    after: NonZeroU32::new(2),
                    ..planned
                }));
        }
        fixture.accept(vec![
            plain,
            accept(&format!("wide-{number}"), &["quiet", "b", "quiet"]),
        ]);
        let claim = fixture.claim_one("a", T0);
        fixture.settle(vec![detailed(settle(claim, ending(*status)))]);
    }
    fixture.accept(vec![
        to(full("full"), &["a", "b"]),
        to(message("nowhere", "nowhere"), &[]),
        to(message("empty", ""), &["quiet"]),
    ]);
    let dead = Redrive {
        delivery: fixture.delivery("plain-6").id,
        reconvert: true,
        new_key: true,
        at: after_ms(5),
    };
    fixture.redrive(vec![dead]);
    fixture.cancel(vec![Target::Delivery(fixture.delivery("empty").id)]);
    wait(fixture.store.forget_ids(MessageSeq(3))).unwrap();
    // What was forgotten may come again.
    fixture.accept(vec![accept("plain-0", &["a"])]);
    wait(fixture.store.set_cursor("audit", Cursor(7))).unwrap();
    wait(fixture.store.set_state("pause/a", Some(Bytes::from("{}")))).unwrap();
    let bytes = Bytes::from_static(&[0, 0xff, b'\n']);
    wait(fixture.store.set_state("odd \"name\"", Some(bytes))).unwrap();
    for content in [&b"{\"a\":1}"[..], &[0xfe, 0]] {
        let parked = Parked {
            source: "post-event/audit".to_owned(),
            reason: "it is never taken".to_owned(),
            at: after_ms(9),
            content_type: "application/json".to_owned(),
            content: content.to_vec(),
        };
        wait(fixture.store.park(parked, None)).unwrap();
    }
    report(&fixture);
    fixture.check();
    fixture
}

/// One update that is a conflict, and one that waits for a message that nobody has sent.
fn report(fixture: &Fixture) {
    let said = [("plain-4", "too late"), ("not-yet", "too \"soon\"")];
    let said = said.map(|(name, reason)| Update {
        channel: channel("a"),
        target: update::Target {
            id: Some(id(name)),
            token: Some("token".to_owned()),
            sender: Some("SG".to_owned()),
            sender_ref: None,
        },
        report: update::Report {
            status: update::Claim::Delivered,
            code: Some("late".to_owned()),
            reason: Some(reason.to_owned()),
            reference: None,
            notes: vec![("by".to_owned(), "desk 7".to_owned())],
        },
        received_at: after_ms(3),
    });
    wait(fixture.store.receive(&said)).unwrap();
    for waiting in fixture.store.updates_due(after_ms(3), 9).unwrap().due {
        let apply = Apply {
            place: waiting.place,
            again: Some(after_ms(50)),
            at: after_ms(4),
        };
        wait(fixture.store.apply(vec![apply])).unwrap();
    }
    assert_eq!(fixture.store.updates_count().unwrap(), 1);
}

/// A message that has every field, and a payload that is no text.
fn full(name: &str) -> Message {
    Message {
        attributes: ["sender", "sender_ref", "type"]
            .map(|name| (name.to_owned(), format!("\"{name}\"")))
            .to_vec(),
        payload: Bytes::from_static(&[0xc3, 0x28, 0, b'"']),
        ordering_key: Some("customer-7".to_owned()),
        sequence_global: Some(u64::MAX),
        sequence_key: Some(0),
        deliver_after: Some(after_ms(60_000)),
        expires_at: Some(TimeMs(u64::MAX)),
        priority: Priority::High,
        traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned()),
        ..message(name, "")
    }
}

fn ending(status: Status) -> End {
    match status {
        Status::Retrying => retry(30, "converted"),
        Status::Pending => End {
            due: Some(after_ms(40)),
            wire: Some(WireForm {
                endpoint: Some("https://example.com/in".to_owned()),
                headers: vec![("content-type".to_owned(), "text/plain".to_owned())],
                body: vec![0xff, 1],
                begun: None,
            }),
            ..end(status)
        },
        _ => end(status),
    }
}

/// The same with all that an attempt can tell.
fn detailed(mut settle: Settle) -> Settle {
    settle.attempt = settle.attempt.map(|attempt| Attempt {
        duration_us: 1234,
        hooks: vec![HookRun {
            hook: "converter json-map".into(),
            digest: [7; 32],
            duration_us: 56,
        }],
        code: Some("http-503".to_owned()),
        reason: Some("it said \"no\"\n".to_owned()),
        effect: Some(Effect::Unknown),
        reference: Some("r-1".to_owned()),
        body_sha256: Some([9; 32]),
        notes: vec![("http-status".to_owned(), "503".to_owned())],
        ..attempt
    });
    settle
}

/// Every status that there is to be is there.
#[test]
fn it_has_every_status() {
    let fixture = everything();
    let counts = fixture.store.stats().counts;
    for status in STATUSES {
        assert!(counts.status(*status) > 0, "{status}");
    }
}
