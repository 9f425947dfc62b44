//! Status updates: durable before they are answered, applied once, never over a final status.

use std::time::Duration;

use wharf_core::order::{OnDead, Policy};
use wharf_core::update::{Claim, Report, Target, again};
use wharf_core::{Cause, Status, TimeMs, Update};
use wharf_store::{Accept, Applied, Apply, Waiting};

use crate::fixture::{
    Fixture, T0, accept, after_ms, channel, end, ended_by, id, message, retry, settle, to, wait,
};

const GRACE: Duration = Duration::from_secs(10);

fn report(status: Claim) -> Report {
    Report {
        status,
        code: None,
        reason: None,
        reference: None,
        notes: vec![],
    }
}

fn update(target: Target, status: Claim) -> Update {
    Update {
        channel: channel("a"),
        target,
        report: report(status),
        received_at: T0,
    }
}

fn by_id(name: &str) -> Target {
    Target {
        id: Some(id(name)),
        ..Target::default()
    }
}

fn by_token(token: &str) -> Target {
    Target {
        token: Some(token.to_owned()),
        ..Target::default()
    }
}

fn by_reference(sender: &str, sender_ref: &str) -> Target {
    Target {
        sender: Some(sender.to_owned()),
        sender_ref: Some(sender_ref.to_owned()),
        ..Target::default()
    }
}

/// A message that its sender has a name for.
fn referred(name: &str, sender_ref: &str) -> Accept {
    let mut message = message(name, name);
    message.attributes = vec![
        ("sender".to_owned(), "SG".to_owned()),
        ("sender_ref".to_owned(), sender_ref.to_owned()),
    ];
    to(message, &["b", "a"])
}

/// A message `m`, whose delivery's attempt ended so.
fn ended(status: Status) -> Fixture {
    let fixture = Fixture::new();
    fixture.accept(vec![accept("m", &["a"])]);
    fixture.settle(vec![settle(fixture.claim_one("a", T0), end(status))]);
    fixture
}

impl Fixture {
    fn receive(&self, batch: &[Update]) -> Vec<u64> {
        let numbers = wait(self.store.receive(batch)).unwrap();
        self.check();
        numbers
    }

    fn waiting(&self, now: TimeMs) -> Vec<Waiting> {
        self.store.updates_due(now, usize::MAX).unwrap().due
    }

    /// Applies what is due by then, each for itself.
    fn apply(&self, now: TimeMs) -> Vec<Applied> {
        let applied = self.waiting(now).into_iter().map(|waiting| {
            let Waiting {
                place,
                tries,
                update,
            } = waiting;
            let again = again(update.received_at, tries, GRACE, now);
            let apply = Apply {
                place,
                again,
                at: now,
            };
            let applied = wait(self.store.apply(vec![apply])).unwrap();
            self.check();
            applied.into_iter().next().unwrap()
        });
        applied.collect()
    }

    fn causes(&self) -> Vec<Cause> {
        let rows = self.store.journal_of(&id("m")).unwrap();
        rows.iter().map(|row| row.cause).collect()
    }
}

/// Goal: whatever is reported of a delivery that waits, or is to be sent again, is one step and one row, also over a kill
/// between the queue and its application.
#[test]
fn what_is_reported_of_a_delivery_is_one_step() {
    use Cause::{Reported, Reverted};
    use Claim::{Delivered, Pending, Provisional, Rejected};
    for (from, claim, to, cause) in [
        (Status::Pending, Delivered, Status::Delivered, Reported),
        (Status::Pending, Rejected, Status::Rejected, Reported),
        (Status::Pending, Provisional, Status::Provisional, Reported),
        (Status::Provisional, Delivered, Status::Delivered, Reported),
        (Status::Provisional, Rejected, Status::Rejected, Reverted),
        (Status::Provisional, Pending, Status::Pending, Reverted),
        (Status::Retrying, Delivered, Status::Delivered, Reported),
        (Status::Retrying, Rejected, Status::Rejected, Reported),
    ] {
        let mut fixture = ended(from);
        let mut said = update(by_id("m"), claim);
        said.report.code = Some("why".to_owned());
        said.report.reference = Some("ref-7".to_owned());
        assert_eq!(fixture.receive(&[said.clone()]), [1]);
        fixture.kill();
        let waiting = fixture.waiting(T0);
        assert_eq!(waiting.len(), 1);
        assert_eq!((waiting[0].tries, &waiting[0].update), (0, &said));
        let applied = fixture.apply(T0);
        let is_recorded =
            matches!(applied[..], [Applied::Recorded { to: found, .. }] if found == to);
        assert!(is_recorded, "{from} {claim:?}: {applied:?}");
        fixture.kill();
        assert_eq!(fixture.delivery("m").status, to);
        assert_eq!(fixture.delivery("m").attempts_count, 1);
        let rows = fixture.store.journal_of(&id("m")).unwrap();
        assert_eq!(rows.len(), 3, "{from} {claim:?}");
        let facts = rows[2].attempt.as_ref().unwrap();
        assert_eq!(rows[2].cause, cause);
        assert_eq!(facts.code.as_deref(), Some("why"));
        assert_eq!(facts.reference.as_deref(), Some("ref-7"));
        assert_eq!(fixture.store.updates_count().unwrap(), 0);
        // What was to be sent again is not.
        if to.is_final() {
            assert_eq!(fixture.ready("a", after_ms(1_000_000)), [""; 0]);
        }
    }
}

/// Goal: an update that was applied does nothing a second time, whoever asks.
#[test]
fn an_update_counts_once() {
    let mut fixture = ended(Status::Pending);
    fixture.receive(&[update(by_id("m"), Claim::Delivered)]);
    let place = fixture.waiting(T0)[0].place;
    fixture.apply(T0);
    fixture.kill();
    let apply = Apply {
        place,
        again: None,
        at: T0,
    };
    let applied = wait(fixture.store.apply(vec![apply])).unwrap();
    assert_eq!(applied, [Applied::Gone]);
    assert_eq!(fixture.causes().len(), 3);
    // And it has a number of its own for ever.
    assert_eq!(
        fixture.receive(&[update(by_id("m"), Claim::Delivered)]),
        [2]
    );
}

/// Goal: a delivery that has ended stays as it is; the opposite claim is journalled, however often it comes, once.
#[test]
fn a_final_status_stays_and_the_opposite_is_a_conflict() {
    for (status, opposite) in [
        (Status::Delivered, Claim::Rejected),
        (Status::Rejected, Claim::Delivered),
        (Status::Dead, Claim::Delivered),
        (Status::Expired, Claim::Rejected),
    ] {
        let mut fixture = ended(status);
        let count = fixture.causes().len();
        let mut said = update(by_id("m"), opposite);
        said.report.reason = Some("no such person".to_owned());
        for late in [said.clone(), said] {
            fixture.receive(&[late]);
        }
        let applied = fixture.apply(T0);
        let is_conflict = matches!(
            applied[..],
            [Applied::Conflict { status: found, .. }, Applied::Known(_)] if found == status
        );
        assert!(is_conflict, "{status}: {applied:?}");
        fixture.kill();
        let view = fixture.delivery("m");
        let rows = fixture.store.journal_of(&id("m")).unwrap();
        assert_eq!((view.status, rows.len()), (status, count + 1));
        let (last, facts) = (rows.last().unwrap(), rows.last().unwrap().attempt.as_ref());
        assert_eq!((last.cause, last.cursor), (Cause::Conflict, view.last));
        let code = facts.unwrap().code.clone().unwrap();
        assert_eq!(code, opposite.conflict_code());
        assert_eq!(facts.unwrap().reason.as_deref(), Some("no such person"));
        let attempts_count = u32::from(status != Status::Expired);
        assert_eq!(view.attempts_count, attempts_count);
        // A redrive goes on from there as if nothing had been said.
        if matches!(status, Status::Rejected | Status::Dead) {
            let redrive = wharf_store::Redrive {
                delivery: view.id,
                reconvert: false,
                new_key: false,
                at: T0,
            };
            fixture.redrive(vec![redrive]);
            assert_eq!(fixture.ready("a", T0), ["m"]);
        }
    }
}

/// Goal: what is known already, or is only late, changes nothing.
#[test]
fn the_same_again_is_nothing_new() {
    for (status, claim) in [
        (Status::Delivered, Claim::Delivered),
        (Status::Delivered, Claim::Provisional),
        (Status::Rejected, Claim::Rejected),
        (Status::Rejected, Claim::Pending),
        (Status::Pending, Claim::Pending),
        (Status::Provisional, Claim::Provisional),
    ] {
        let fixture = ended(status);
        let count = fixture.causes().len();
        fixture.receive(&[update(by_id("m"), claim)]);
        let applied = fixture.apply(T0);
        assert!(matches!(applied[..], [Applied::Known(_)]), "{applied:?}");
        assert_eq!(fixture.causes().len(), count);
        assert_eq!(fixture.store.updates_count().unwrap(), 0);
    }
}

/// Goal: a delivery is found by its channel's token, as soon as that is committed and for as long as it is kept; a token of
/// another channel is another one.
#[test]
fn a_callback_that_overtakes_our_commit_is_applied_after_it() {
    let mut fixture = Fixture::new();
    fixture.accept(vec![accept("m", &["a"])]);
    let claim = fixture.claim_one("a", T0);
    let mut other = update(by_token("token"), Claim::Rejected);
    other.channel = channel("b");
    fixture.receive(&[update(by_token("token"), Claim::Delivered), other]);
    let applied = fixture.apply(T0);
    assert!(
        matches!(applied[..], [Applied::Again(first), Applied::Again(_)] if first.due == after_ms(1_000)),
        "{applied:?}"
    );
    assert_eq!(fixture.waiting(after_ms(999)), []);
    let next = fixture.store.updates_due(T0, 9).unwrap().next;
    assert_eq!(next, Some(after_ms(1_000)));
    fixture.settle(vec![settle(claim, end(Status::Pending))]);
    let applied = fixture.apply(after_ms(1_000));
    assert!(
        matches!(applied[..], [Applied::Recorded { .. }, Applied::Again(_)]),
        "{applied:?}"
    );
    // Once it is delivered its token still says which one a late claim is about.
    fixture.restart();
    fixture.receive(&[update(by_token("token"), Claim::Rejected)]);
    let applied = fixture.apply(after_ms(1_000));
    assert!(
        matches!(applied[..], [Applied::Conflict { .. }]),
        "{applied:?}"
    );
}

/// Goal: what nobody knows is tried for as long as the grace lasts, then parked with the reason; what names nothing at once.
#[test]
fn what_nobody_knows_is_parked_after_the_grace() {
    let mut fixture = Fixture::new();
    fixture.accept(vec![accept("m", &["other"]), accept("unroutable", &[])]);
    let targets = [
        by_id("nobody"),
        by_id("m"),
        by_id("unroutable"),
        by_token("nobody's"),
        by_reference("SG", "nobody's"),
    ];
    let said = targets.map(|target| update(target, Claim::Rejected));
    fixture.receive(&said);
    let mut half = by_reference("SG", "");
    half.sender_ref = None;
    fixture.receive(&[update(half, Claim::Rejected)]);
    let applied = fixture.apply(T0);
    assert!(
        matches!(applied[5], Applied::Parked { number: 1, .. }),
        "{applied:?}"
    );
    assert_eq!(fixture.store.updates_count().unwrap(), 5);
    for ms in [1_000, 3_000, 7_000] {
        let applied = fixture.apply(after_ms(ms));
        let is_tried = applied.iter().all(|one| matches!(one, Applied::Again(_)));
        assert!(is_tried && applied.len() == 5, "{applied:?}");
        fixture.restart();
    }
    let applied = fixture.apply(after_ms(10_000));
    let is_parked = applied
        .iter()
        .all(|one| matches!(one, Applied::Parked { .. }));
    assert!(is_parked && applied.len() == 5, "{applied:?}");
    fixture.kill();
    let parked = fixture.store.parked(0, 9).unwrap();
    let reasons: Vec<_> = parked.iter().map(|(_, one)| one.reason.as_str()).collect();
    assert_eq!(
        reasons,
        [
            "it names no delivery: an update takes an id, a token, or sender and sender_ref",
            "no message nobody has a delivery on channel a",
            "no message m has a delivery on channel a",
            "no message unroutable has a delivery on channel a",
            "no delivery on channel a is known by its token",
            "no message of sender \"SG\" with sender_ref \"nobody's\" has a delivery on channel a",
        ]
    );
    let (_, first) = &parked[1];
    assert_eq!(first.source, "updates/a");
    let content = String::from_utf8(first.content.clone()).unwrap();
    assert_eq!(
        content,
        r#"{"channel":"a","id":"nobody","status":"rejected"}"#
    );
}

/// Goal: what was not sent yet cannot have been received: neither its first attempt nor what is reported meanwhile is lost.
#[test]
fn what_was_not_sent_yet_waits_for_its_attempt() {
    let fixture = Fixture::new();
    fixture.accept(vec![accept("m", &["a"])]);
    fixture.receive(&[update(by_id("m"), Claim::Rejected)]);
    assert!(matches!(fixture.apply(T0)[..], [Applied::Again(_)]));
    let claim = fixture.claim_one("a", T0);
    fixture.settle(vec![settle(claim, retry(50_000, "m"))]);
    let applied = fixture.apply(after_ms(1_000));
    assert!(matches!(
        applied[..],
        [Applied::Recorded {
            to: Status::Rejected,
            ..
        }]
    ));
    assert_eq!(fixture.ready("a", after_ms(60_000)), [""; 0]);
}

/// Goal: what somebody is at is left to them; the update is told when that ends, and meets what became of it.
#[test]
fn an_update_waits_for_the_end_of_an_attempt() {
    for is_settled in [true, false] {
        let fixture = ended(Status::Retrying);
        let claim = fixture.claim_one("a", T0);
        let mut told = fixture.store.watch_updates();
        fixture.receive(&[update(by_id("m"), Claim::Rejected)]);
        assert!(matches!(fixture.apply(T0)[..], [Applied::Held(_)]));
        told.borrow_and_update();
        assert_eq!(fixture.waiting(after_ms(99_000)), []);
        assert_eq!(fixture.store.updates_count().unwrap(), 1);
        if is_settled {
            fixture.settle(vec![settle(claim, end(Status::Delivered))]);
        } else {
            drop(claim);
        }
        assert!(told.has_changed().unwrap());
        let applied = fixture.apply(T0);
        let is_right = match applied[..] {
            [Applied::Conflict { .. }] => is_settled,
            [Applied::Recorded { .. }] => !is_settled,
            _ => false,
        };
        assert!(is_right, "{applied:?}");
        assert_eq!(fixture.ready("a", after_ms(99_000)), [""; 0]);
    }
}

/// Goal: two updates about one delivery in one commit are applied one after the other.
#[test]
fn of_two_about_one_delivery_the_second_meets_what_the_first_made() {
    let fixture = ended(Status::Pending);
    fixture.receive(&[
        update(by_id("m"), Claim::Delivered),
        update(by_token("token"), Claim::Rejected),
    ]);
    let batch = fixture.waiting(T0).into_iter().map(|waiting| Apply {
        place: waiting.place,
        again: None,
        at: T0,
    });
    let applied = wait(fixture.store.apply(batch.collect())).unwrap();
    fixture.check();
    assert!(matches!(
        applied[..],
        [Applied::Recorded { .. }, Applied::Held(_)]
    ));
    assert!(matches!(fixture.apply(T0)[..], [Applied::Conflict { .. }]));
}

/// Goal: a message is found by what its sender calls it, on the channel that the update names, the newest first; retention
/// takes that along.
#[test]
fn a_message_is_found_by_its_sender_and_reference() {
    let mut fixture = Fixture::new();
    for (name, sender_ref) in [("old", "7"), ("m", "7"), ("other", "8")] {
        fixture.accept(vec![referred(name, sender_ref)]);
    }
    for claim in fixture.claim("a", 9, T0) {
        fixture.settle(vec![settle(claim, end(Status::Pending))]);
    }
    fixture.restart();
    let said = update(by_reference("SG", "7"), Claim::Rejected);
    fixture.receive(std::slice::from_ref(&said));
    assert!(matches!(fixture.apply(T0)[..], [Applied::Recorded { .. }]));
    let status = |name: &str| {
        let deliveries = fixture.get(name).deliveries;
        deliveries.iter().map(|one| one.status).collect::<Vec<_>>()
    };
    let pending = [Status::Queued, Status::Pending];
    assert_eq!(status("m"), [Status::Queued, Status::Rejected]);
    assert_eq!(
        (status("old"), status("other")),
        (pending.to_vec(), pending.to_vec())
    );
    for claim in fixture.claim("b", 9, T0) {
        fixture.settle(vec![settle(claim, end(Status::Delivered))]);
    }
    while wait(fixture.store.prune(ended_by(1))).unwrap().is_more {}
    fixture.check();
    assert_eq!(fixture.store.get(&id("m")).unwrap(), None);
    fixture.receive(&[said]);
    let applied = fixture.apply(T0);
    // The older one of the same name is next.
    assert!(
        matches!(applied[..], [Applied::Recorded { .. }]),
        "{applied:?}"
    );
}

/// Goal: an update that ends a delivery lets the next one of its key go, as the channel's policy says.
#[test]
fn what_an_update_ends_lets_the_next_of_its_key_go() {
    for (claim, on_dead, is_free) in [
        (Claim::Delivered, OnDead::Block, true),
        (Claim::Rejected, OnDead::Continue, true),
        (Claim::Rejected, OnDead::Block, false),
    ] {
        let fixture = Fixture::new();
        let policy = Policy {
            on_dead,
            ..Policy::default()
        };
        fixture.store.set_order(&channel("a"), Some(policy));
        for name in ["m", "next"] {
            let mut keyed = message(name, name);
            keyed.ordering_key = Some("key".to_owned());
            fixture.accept(vec![to(keyed, &["a"])]);
        }
        let first = fixture.claim("a", 9, T0);
        assert_eq!(first.len(), 1);
        for claim in first {
            fixture.settle(vec![settle(claim, end(Status::Pending))]);
        }
        assert_eq!(fixture.ready("a", T0), [""; 0]);
        fixture.receive(&[update(by_id("m"), claim)]);
        let applied = fixture.apply(T0);
        assert!(
            matches!(applied[..], [Applied::Recorded { .. }]),
            "{applied:?}"
        );
        let expected: &[&str] = if is_free { &["next"] } else { &[] };
        assert_eq!(fixture.ready("a", T0), expected, "{claim:?} {on_dead:?}");
    }
}
