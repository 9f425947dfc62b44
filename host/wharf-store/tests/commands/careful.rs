//! After an unclean stop: what is claimed is put on disk first, what was out runs alone, and what was alone is dead.

use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use wharf_core::{Cause, Status, TimeMs};
use wharf_store::{Claim, Claims, Target};

use crate::fixture::{
    Fixture, T0, accept, after_ms, channel, end, id, message, retry, settle, to, wait,
};

/// A claim that need not be put on disk: the names of what it gives, which is then dropped.
#[track_caller]
pub(crate) fn free(fixture: &Fixture, name: &str, now: TimeMs) -> Vec<String> {
    match fixture
        .store
        .claim(&channel(name), usize::MAX, now)
        .unwrap()
    {
        Claims::Ready(claims) => names(&claims),
        Claims::Careful(claims) => panic!("{claims:?}"),
    }
}

/// A claim that has to be put on disk, and is.
#[track_caller]
pub(crate) fn careful(fixture: &Fixture, name: &str, now: TimeMs) -> Vec<Claim> {
    let claims = match fixture
        .store
        .claim(&channel(name), usize::MAX, now)
        .unwrap()
    {
        Claims::Careful(claims) => wait(fixture.store.persist_claims(claims)).unwrap(),
        Claims::Ready(claims) => panic!("{claims:?}"),
    };
    fixture.check();
    claims
}

pub(crate) fn names(claims: &[Claim]) -> Vec<String> {
    claims
        .iter()
        .map(|claim| claim.message.id.to_string())
        .collect()
}

fn deliver(fixture: &Fixture, claims: Vec<Claim>) {
    let batch = claims.into_iter();
    fixture.settle(
        batch
            .map(|claim| settle(claim, end(Status::Delivered)))
            .collect(),
    );
}

fn is_ready(fixture: &Fixture, name: &str) -> bool {
    let channel = channel(name);
    let ready = pin!(fixture.store.ready(&channel));
    ready
        .poll(&mut Context::from_waker(Waker::noop()))
        .is_ready()
}

/// How many are untried in a channel, suspects host-wide, and claims on disk.
pub(crate) fn check_left(fixture: &Fixture, name: &str, expected: (u64, u64, u64)) {
    let stats = fixture.store.stats();
    let of_channel = stats
        .channels
        .iter()
        .find(|one| one.channel == channel(name));
    let untried = of_channel.expect("the channel is known").untried;
    assert_eq!((untried, stats.suspects, stats.claimed), expected);
}

/// A store that was killed with these claimed, whose claims were on disk: the next start suspects them.
fn suspects(ids: &[(&str, &str)], others: &[(&str, &str)]) -> Fixture {
    let mut fixture = Fixture::new();
    let all = ids.iter().chain(others);
    fixture.accept(
        all.map(|(name, channel)| accept(name, &[channel]))
            .collect(),
    );
    fixture.kill();
    let mut out = Vec::new();
    for (name, channel) in ids {
        let claims = fixture.claim(channel, 1, T0);
        assert_eq!(names(&claims), [*name]);
        out.extend(claims);
    }
    fixture.kill();
    fixture
}

#[test]
fn a_clean_stop_needs_no_caution() {
    let mut fixture = Fixture::new();
    fixture.accept(vec![accept("m", &["a"])]);
    assert_eq!(free(&fixture, "a", T0), ["m"]);
    fixture.restart();
    assert_eq!(free(&fixture, "a", T0), ["m"]);
}

#[test]
fn what_was_ready_at_an_unclean_start_is_claimed_with_care_and_all_beside_it() {
    let mut fixture = Fixture::new();
    fixture.accept(vec![accept("m", &["a", "b"]), accept("n", &["a"])]);
    let out = fixture.claim("a", 1, T0);
    fixture.kill();
    check_left(&fixture, "a", (2, 0, 0));
    // What is handed out and not yet on disk is given back by dropping it.
    for _ in 0..2 {
        let claims = fixture.store.claim(&channel("a"), usize::MAX, T0).unwrap();
        assert!(matches!(claims, Claims::Careful(_)));
        check_left(&fixture, "a", (2, 0, 0));
    }
    let mut claims = careful(&fixture, "a", T0);
    assert_eq!(names(&claims), ["m", "n"]);
    check_left(&fixture, "a", (2, 0, 2));
    fixture.accept(vec![accept("new", &["a"])]);
    let new = careful(&fixture, "a", T0);
    assert_eq!(names(&new), ["new"]);
    // A retry is a try.
    let n = claims.pop().unwrap();
    fixture.settle(vec![settle(n, retry(10, ""))]);
    check_left(&fixture, "a", (1, 0, 2));
    // What was claimed and given back is still to be tried.
    drop(claims);
    check_left(&fixture, "a", (1, 0, 2));
    deliver(&fixture, careful(&fixture, "a", T0));
    check_left(&fixture, "a", (0, 0, 1));
    // The channel is done. What it gave in the meantime may still be out.
    fixture.accept(vec![accept("later", &["a"])]);
    assert_eq!(free(&fixture, "a", after_ms(10)), ["later", "n"]);
    deliver(&fixture, new);
    check_left(&fixture, "a", (0, 0, 0));
    // And no channel waits for another one.
    check_left(&fixture, "b", (1, 0, 0));
    deliver(&fixture, careful(&fixture, "b", T0));
    drop(out);
}

/// A retry that waits for its time was not out when the process ended; one that had fallen due may have been.
#[test]
fn what_falls_due_later_was_not_ready_at_the_start() {
    let mut fixture = Fixture::new();
    let mut delayed = message("delayed", "");
    delayed.deliver_after = Some(after_ms(20));
    fixture.accept(vec![accept("m", &["a"]), to(delayed, &["a"])]);
    fixture.settle(vec![settle(fixture.claim_one("a", T0), retry(10, ""))]);
    fixture.options.now = after_ms(10);
    fixture.kill();
    fixture.store.promote_due(after_ms(10)).unwrap();
    check_left(&fixture, "a", (1, 0, 0));
    fixture.store.promote_due(after_ms(20)).unwrap();
    check_left(&fixture, "a", (1, 0, 0));
    let claims = careful(&fixture, "a", after_ms(20));
    assert_eq!(names(&claims), ["m", "delayed"]);
    deliver(&fixture, claims);
    check_left(&fixture, "a", (0, 0, 0));
}

/// The goal of it all: whatever else is out, the one that kills is found, and it alone.
#[test]
fn what_kills_the_process_each_time_is_given_up_and_nothing_else() {
    let mut fixture = Fixture::new();
    let all = ["m1", "m2", "killer", "m3", "m4"];
    fixture.accept(all.map(|name| accept(name, &["a"])).into());
    fixture.accept(vec![accept("n1", &["b"]), accept("n2", &["b"])]);
    let mut kills_count = 0;
    loop {
        let mut claims = fixture.claim("a", 3, T0);
        claims.extend(fixture.claim("b", 3, T0));
        if claims.is_empty() {
            break;
        }
        if names(&claims).contains(&"killer".to_owned()) {
            kills_count += 1;
            assert!(kills_count < 10, "it is found");
            fixture.options.now = after_ms(kills_count);
            fixture.kill();
            // The old process's guards; their store is gone.
            drop(claims);
        } else {
            deliver(&fixture, claims);
        }
    }
    // Once unseen, once among others, once alone.
    assert_eq!(kills_count, 3);
    let rows = fixture.store.journal_of(&id("killer")).unwrap();
    let last = rows.last().unwrap();
    assert_eq!((last.cause, last.at), (Cause::CrashedHost, after_ms(3)));
    assert_eq!(fixture.delivery("killer").status, Status::Dead);
    let counts = fixture.store.stats().counts;
    assert_eq!(
        (
            counts.status(Status::Dead),
            counts.status(Status::Delivered)
        ),
        (1, 6)
    );
    check_left(&fixture, "a", (0, 0, 0));
}

#[test]
fn a_suspect_runs_alone_and_before_the_others() {
    let fixture = suspects(
        &[("s1", "a"), ("s2", "a"), ("s3", "b")],
        &[("m", "a"), ("n", "b")],
    );
    check_left(&fixture, "a", (3, 3, 3));
    assert!(is_ready(&fixture, "a") && is_ready(&fixture, "b"));
    let mut now = T0;
    for (suspect, name, other) in [("s1", "a", "b"), ("s2", "a", "b"), ("s3", "b", "a")] {
        let claims = careful(&fixture, name, now);
        assert_eq!(names(&claims), [suspect]);
        assert!(!is_ready(&fixture, name) && !is_ready(&fixture, other));
        assert_eq!(free(&fixture, name, T0), [""; 0]);
        assert_eq!(free(&fixture, other, T0), [""; 0]);
        // However long it takes.
        now = now.after(Duration::from_secs(1_000));
        fixture.store.promote_due(now).unwrap();
        assert_eq!(free(&fixture, other, now), [""; 0]);
        deliver(&fixture, claims);
    }
    check_left(&fixture, "a", (1, 0, 0));
    assert_eq!(names(&careful(&fixture, "a", T0)), ["m"]);
    assert_eq!(names(&careful(&fixture, "b", T0)), ["n"]);
}

#[test]
fn a_suspect_that_is_given_back_is_still_one() {
    let fixture = suspects(&[("s", "a")], &[("m", "a"), ("n", "b")]);
    let lost = careful(&fixture, "a", T0).remove(0);
    assert!(fixture.store.revoke(lost.lease.delivery()));
    assert_eq!(names(&careful(&fixture, "a", T0)), ["s"]);
    let claims = careful(&fixture, "a", T0);
    assert_eq!(names(&claims), ["s"]);
    deliver(&fixture, claims);
    assert_eq!(names(&careful(&fixture, "b", T0)), ["n"]);
}

/// What was tried alone and ended, however it ended, is trusted like any other.
#[test]
fn a_suspect_that_was_tried_is_none_any_more() {
    let mut fixture = suspects(&[("s", "a")], &[]);
    let suspect = careful(&fixture, "a", T0).remove(0);
    fixture.settle(vec![settle(suspect, retry(1, ""))]);
    check_left(&fixture, "a", (0, 0, 0));
    fixture.options.now = after_ms(1);
    fixture.kill();
    assert_eq!(names(&careful(&fixture, "a", after_ms(1))), ["s"]);
}

/// What waits for its turn is not to blame for what happens meanwhile.
#[test]
fn a_suspect_that_waits_is_not_counted_again() {
    let mut fixture = suspects(&[("s1", "a"), ("s2", "a")], &[]);
    for _ in 0..3 {
        fixture.kill();
        check_left(&fixture, "a", (2, 2, 2));
    }
    let claims = careful(&fixture, "a", T0);
    assert_eq!(names(&claims), ["s1"]);
    fixture.kill();
    assert_eq!(fixture.delivery("s1").status, Status::Dead);
    check_left(&fixture, "a", (1, 1, 1));
    let claims = careful(&fixture, "a", T0);
    assert_eq!(names(&claims), ["s2"]);
    deliver(&fixture, claims);
}

/// Nor is one that was alone, and was given back before another one had its turn.
#[test]
fn a_suspect_that_was_given_back_is_not_counted_for_another() {
    let mut fixture = suspects(&[("s1", "a"), ("s2", "b")], &[]);
    drop(careful(&fixture, "a", T0));
    let claims = careful(&fixture, "b", T0);
    assert_eq!(names(&claims), ["s2"]);
    fixture.kill();
    assert_eq!(fixture.delivery("s2").status, Status::Dead);
    assert_eq!(fixture.delivery("s1").status, Status::Queued);
    check_left(&fixture, "a", (1, 1, 1));
}

#[test]
fn a_clean_stop_clears_all_suspicion() {
    let mut fixture = suspects(&[("s", "a")], &[("m", "a")]);
    let claims = careful(&fixture, "a", T0);
    fixture.restart();
    drop(claims);
    check_left(&fixture, "a", (0, 0, 0));
    assert_eq!(free(&fixture, "a", T0), ["s", "m"]);
    // Nor is it remembered after that.
    fixture.kill();
    check_left(&fixture, "a", (2, 0, 0));
}

/// Nobody claims for `a`: it is paused, or configured no more.
#[test]
fn a_suspect_that_nobody_claims_stops_no_other_channel() {
    let fixture = suspects(&[("s", "a")], &[("m", "a"), ("n", "b")]);
    deliver(&fixture, careful(&fixture, "b", T0));
    fixture.accept(vec![accept("new", &["b"])]);
    assert!(is_ready(&fixture, "b"));
    assert_eq!(free(&fixture, "b", T0), ["new"]);
}

#[test]
fn others_wait_for_a_channel_that_has_asked_for_its_suspect() {
    let fixture = suspects(&[("s1", "a"), ("s2", "a"), ("s3", "c")], &[("n", "b")]);
    let n = careful(&fixture, "b", T0);
    fixture.accept(vec![accept("new", &["b"])]);
    assert!(is_ready(&fixture, "b"));
    // It asks while something is out: nothing else is handed out any more, so that it comes to its turn.
    assert_eq!(free(&fixture, "a", T0), [""; 0]);
    assert!(!is_ready(&fixture, "a") && !is_ready(&fixture, "b"));
    assert_eq!(free(&fixture, "b", T0), [""; 0]);
    deliver(&fixture, n);
    assert!(is_ready(&fixture, "a") && !is_ready(&fixture, "b"));
    // In between its suspects nobody else comes.
    deliver(&fixture, careful(&fixture, "a", T0));
    assert_eq!(free(&fixture, "b", T0), [""; 0]);
    deliver(&fixture, careful(&fixture, "a", T0));
    // Nobody has asked for the one of `c`.
    assert!(is_ready(&fixture, "b"));
    assert_eq!(free(&fixture, "b", T0), ["new"]);
}

/// It asked, and then it was paused.
#[test]
fn others_do_not_wait_for_ever() {
    let fixture = suspects(&[("s", "a")], &[("n", "b")]);
    let n = careful(&fixture, "b", T0);
    fixture.accept(vec![accept("new", &["b"])]);
    assert_eq!(free(&fixture, "a", T0), [""; 0]);
    fixture.store.promote_due(after_ms(60_000)).unwrap();
    assert!(!is_ready(&fixture, "b"));
    let b = channel("b");
    let mut ready = pin!(fixture.store.ready(&b));
    let mut context = Context::from_waker(Waker::noop());
    assert!(ready.as_mut().poll(&mut context).is_pending());
    fixture.store.promote_due(after_ms(60_001)).unwrap();
    assert!(ready.as_mut().poll(&mut context).is_ready());
    assert_eq!(names(&careful(&fixture, "b", after_ms(60_001))), ["new"]);
    deliver(&fixture, n);
}

#[test]
fn a_suspect_that_is_cancelled_keeps_nobody_waiting() {
    for is_out in [false, true] {
        let fixture = suspects(&[("s", "a")], &[("n", "b")]);
        let asked = if is_out {
            careful(&fixture, "a", T0)
        } else {
            // Asks while something is out.
            let n = careful(&fixture, "b", T0);
            assert_eq!(free(&fixture, "a", T0), [""; 0]);
            n
        };
        fixture.cancel(vec![Target::Message(id("s"))]);
        if is_out {
            assert_eq!(free(&fixture, "b", T0), [""; 0]);
            fixture.settle(
                asked
                    .into_iter()
                    .map(|claim| settle(claim, retry(1, "")))
                    .collect(),
            );
        } else {
            drop(asked);
        }
        assert_eq!(fixture.delivery("s").status, Status::Cancelled);
        check_left(&fixture, "a", (0, 0, u64::from(!is_out)));
        assert_eq!(names(&careful(&fixture, "b", T0)), ["n"]);
    }
}

/// A lease that was lost before its claim was on disk leaves nothing there.
#[test]
fn a_claim_that_is_stale_is_not_put_on_disk() {
    let mut fixture = Fixture::new();
    fixture.accept(vec![accept("m", &["a"])]);
    fixture.kill();
    let Claims::Careful(claims) = fixture.store.claim(&channel("a"), 1, T0).unwrap() else {
        panic!("the stop was unclean");
    };
    let live = {
        let stale = fixture.get("m").deliveries[0].id;
        assert!(fixture.store.revoke(stale));
        careful(&fixture, "a", T0)
    };
    deliver(&fixture, live);
    let stale = wait(fixture.store.persist_claims(claims)).unwrap();
    check_left(&fixture, "a", (0, 0, 0));
    fixture.check();
    drop(stale);
}
