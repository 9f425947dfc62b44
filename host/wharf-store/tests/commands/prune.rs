//! Retention: what ended long enough ago goes, its id stays for its window, and nothing else changes.

use std::time::Duration;

use wharf_core::journal::Subject;
use wharf_core::{Cause, Cursor, DeliveryId, MessageSeq, Standing, Status, TimeMs};
use wharf_store::{
    Accept, Accepted, Cancelled, Filter, Gap, Planted, Prune, Pruned, Redrive, Redriven, Remains,
    Reroute, Rerouted, Target,
};

use crate::fixture::{
    Fixture, T0, accept, after_ms, end, ended_by, id, message, never, retry, settle, to, wait, wire,
};

const PLANNED: DeliveryId = DeliveryId(1 << 16);

impl Fixture {
    /// Prunes once.
    fn prune(&self, prune: Prune) -> Pruned {
        let pruned = wait(self.store.prune(prune)).unwrap();
        self.check();
        assert_eq!(pruned.unreadable, 0);
        pruned
    }

    /// Prunes until there is no more. Returns how many messages went.
    fn prune_all(&self, prune: &Prune) -> u64 {
        let mut messages = 0;
        loop {
            let pruned = self.prune(prune.clone());
            messages += pruned.messages;
            if !pruned.is_more {
                return messages;
            }
        }
    }

    /// Accepts messages in one commit, each for channel `a`.
    fn accept_for_a(&self, names: &[&str], at_ms: u64) {
        let batch = names.iter().map(|name| {
            let mut message = message(name, &name.repeat(100));
            message.accepted_at = after_ms(at_ms);
            to(message, &["a"])
        });
        self.accept(batch.collect());
    }

    /// Attempts the first deliveries of channel `a`, each of which ends like this.
    fn attempt(&self, ends: &[Status], at_ms: u64) {
        let claims = self.claim("a", ends.len(), after_ms(at_ms));
        assert_eq!(claims.len(), ends.len());
        let settled = claims.into_iter().zip(ends).map(|(claim, to)| {
            let mut settled = settle(claim, end(*to));
            settled.at = after_ms(at_ms);
            if *to == Status::Dead {
                settled.transition.cause = Cause::AttemptsSpent;
            }
            settled
        });
        self.settle(settled.collect());
    }

    fn is_there(&self, name: &str) -> bool {
        let is_there = self.store.get(&id(name)).unwrap().is_some();
        let remains = self.store.remains(&id(name)).unwrap();
        assert!(!is_there || remains.is_none(), "{name}");
        is_there
    }

    fn there<'a>(&self, names: &[&'a str]) -> Vec<&'a str> {
        let names = names.iter().copied();
        names.filter(|name| self.is_there(name)).collect()
    }
}

/// Goal: A3. The message goes with all that belongs to it, and a duplicate is answered as the first time.
#[test]
fn a_removed_message_is_still_known() {
    let mut fixture = Fixture::new();
    fixture.accept_for_a(&["m"], 5);
    fixture.attempt(&[Status::Delivered], 10);
    let ended = |now_ms| Prune {
        ended: Duration::from_millis(100),
        ..never(now_ms)
    };
    assert_eq!(fixture.prune_all(&ended(109)), 0);
    let kept_bytes = fixture.store.stats().space.message_bytes;
    let pruned = fixture.prune(ended(110));
    assert_eq!((pruned.messages, pruned.deliveries), (1, 1));

    for _ in 0..2 {
        let stats = fixture.store.stats();
        assert_eq!(stats.counts.messages(), 0);
        assert_eq!(stats.counts.deliveries(), 0);
        assert_eq!(
            (stats.space.pruned_messages, stats.space.pruned_deliveries),
            (1, 1)
        );
        assert!(
            stats.space.message_bytes < kept_bytes / 4,
            "{kept_bytes} before, {stats:?}"
        );
        assert_eq!(fixture.store.get(&id("m")).unwrap(), None);
        assert_eq!(fixture.store.get_numbered(MessageSeq(1)).unwrap(), None);
        assert_eq!(fixture.store.journal_of(&id("m")).unwrap(), []);
        let remains = Remains {
            seq: MessageSeq(1),
            accepted_at: after_ms(5),
            deliveries_count: 1,
        };
        assert_eq!(fixture.store.remains(&id("m")).unwrap(), Some(remains));
        assert_eq!(fixture.store.remains(&id("unknown")).unwrap(), None);
        let again = to(message("m", &"m".repeat(100)), &["a"]);
        let duplicate = Accepted::Duplicate {
            seq: MessageSeq(1),
            accepted_at: after_ms(5),
            deliveries_count: 1,
        };
        assert_eq!(fixture.accept(vec![again]), [duplicate]);
        let conflict = Accepted::Conflict { seq: MessageSeq(1) };
        assert_eq!(fixture.accept(vec![accept("m", &["a"])]), [conflict]);
        assert!(fixture.ready("a", T0).is_empty());
        fixture.restart();
    }
    fixture.accept_for_a(&["n"], 200);
    assert_eq!(fixture.get("n").seq, MessageSeq(2));
}

/// Goal: commands about a removed message say that there is none.
#[test]
fn commands_find_nothing_of_a_removed_message() {
    let fixture = Fixture::new();
    fixture.accept_for_a(&["dead", "alive"], 0);
    fixture.attempt(&[Status::Dead], 0);
    fixture.accept(vec![accept("nowhere", &[])]);
    assert_eq!(fixture.prune_all(&ended_by(0)), 2);

    let redrive = Redrive {
        delivery: PLANNED,
        reconvert: false,
        new_key: false,
        at: T0,
    };
    assert_eq!(fixture.redrive(vec![redrive]), [Redriven::Unknown]);
    let answers = fixture.cancel(vec![
        Target::Delivery(PLANNED),
        Target::Message(id("dead")),
        Target::Message(id("nowhere")),
    ]);
    assert_eq!(
        answers,
        [vec![(PLANNED, Cancelled::Unknown)], vec![], vec![]]
    );
    let reroute = Reroute {
        message: MessageSeq(3),
        planned: accept("x", &["a"]).planned,
        at: T0,
    };
    let rerouted = wait(fixture.store.reroute(vec![reroute])).unwrap();
    assert_eq!(rerouted, [Rerouted::Unknown]);
    let all = Filter {
        statuses: Status::ALL.to_vec(),
        standings: Standing::ALL.to_vec(),
        channel: None,
    };
    let listed = fixture.store.list(&all, None, 10).unwrap();
    let listed: Vec<_> = listed
        .entries
        .iter()
        .map(|one| one.message.as_str())
        .collect();
    assert_eq!(listed, ["alive"]);
    fixture.check();
}

/// Goal: each way to end has its age; what has not ended has none.
#[test]
fn how_it_ended_says_how_long_it_is_kept() {
    for (end, is_dead) in [
        (Status::Delivered, false),
        (Status::Expired, false),
        (Status::Rejected, true),
        (Status::Dead, true),
        (Status::Shed, true),
    ] {
        let fixture = Fixture::new();
        fixture.accept_for_a(&["m"], 0);
        fixture.attempt(&[end], 10);
        let prune = |now_ms| Prune {
            ended: Duration::from_millis(100),
            dead: Duration::from_millis(300),
            ..never(now_ms)
        };
        let at_ms = if is_dead { 310 } else { 110 };
        assert_eq!(fixture.prune_all(&prune(at_ms - 1)), 0, "{end}");
        assert_eq!(fixture.prune_all(&prune(at_ms)), 1, "{end}");
    }
    for status in [Status::Retrying, Status::Pending, Status::Provisional] {
        let fixture = Fixture::new();
        fixture.accept_for_a(&["m", "queued"], 0);
        fixture.attempt(&[status], 10);
        assert_eq!(fixture.prune_all(&ended_by(1_000_000)), 0, "{status}");
    }
    let fixture = Fixture::new();
    fixture.accept(vec![accept("nowhere", &[])]);
    assert_eq!(
        fixture.prune_all(&Prune {
            dead: Duration::MAX,
            ..ended_by(1_000)
        }),
        0
    );
    assert_eq!(fixture.prune_all(&ended_by(1_000)), 1);
}

/// Goal: a message with several deliveries is kept for the last of them.
#[test]
fn a_message_is_kept_for_all_its_deliveries() {
    let fixture = Fixture::new();
    fixture.accept(vec![accept("m", &["a", "b"])]);
    fixture.attempt(&[Status::Delivered], 0);
    assert_eq!(fixture.prune_all(&ended_by(1_000)), 0);
    let mut late = settle(fixture.claim_one("b", T0), end(Status::Rejected));
    late.at = after_ms(500);
    fixture.settle(vec![late]);
    assert_eq!(fixture.prune_all(&ended_by(499)), 0);
    assert_eq!(fixture.prune_all(&ended_by(500)), 1);
    assert_eq!(fixture.store.stats().space.pruned_deliveries, 2);
}

/// Goal: a redriven dead letter is no dead letter.
#[test]
fn what_was_redriven_stays() {
    let fixture = Fixture::new();
    fixture.accept_for_a(&["m"], 0);
    let claim = fixture.claim_one("a", T0);
    fixture.settle(vec![settle(claim, retry(0, "sent"))]);
    fixture.attempt(&[Status::Dead], 0);
    let redrive = Redrive {
        delivery: PLANNED,
        reconvert: false,
        new_key: false,
        at: T0,
    };
    fixture.redrive(vec![redrive.clone()]);
    assert_eq!(fixture.prune_all(&ended_by(1_000)), 0);
    // Its wire form goes with it, in the end.
    fixture.attempt(&[Status::Dead], 1_000);
    assert_eq!(fixture.prune_all(&ended_by(1_000)), 1);
}

/// Goal: A3. An id is known for its window, and for as long as its message is kept; then it is as if never seen.
#[test]
fn an_id_is_known_for_its_window() {
    let fixture = Fixture::new();
    let prune = |now_ms| Prune {
        ids: Duration::from_millis(1_000),
        ..ended_by(now_ms)
    };
    fixture.accept_for_a(&["old"], 0);
    fixture.accept_for_a(&["kept"], 0);
    fixture.accept_for_a(&["young"], 500);
    fixture.attempt(&[Status::Delivered], 0);
    fixture.prune_all(&prune(999));
    assert!(fixture.store.remains(&id("old")).unwrap().is_some());
    fixture.prune_all(&prune(1_000));
    assert_eq!(fixture.store.remains(&id("old")).unwrap(), None);
    let is_new = fixture.accept(vec![accept("old", &[])]);
    assert!(matches!(is_new[..], [Accepted::New { .. }]), "{is_new:?}");
    // Long past its window, and not yet sent.
    fixture.prune_all(&prune(1_000_000));
    assert!(fixture.is_there("kept"));

    fixture.attempt(&[Status::Delivered; 2], 2_000_000);
    fixture.prune_all(&prune(2_000_000));
    let stats = fixture.store.stats();
    assert_eq!(
        (stats.ids.from, stats.space.message_bytes),
        (MessageSeq(5), 0)
    );
    fixture.accept_for_a(&["kept"], 3_000_000);
    assert_eq!(fixture.get("kept").seq, MessageSeq(5));
}

/// Goal: what lives long keeps only itself, once it is alone in its chunk.
#[test]
fn one_that_stays_does_not_keep_its_neighbours() {
    let mut fixture = Fixture::new();
    let names = ["m1", "m2", "m3", "m4", "m5"];
    fixture.accept_for_a(&names, 0);
    fixture.attempt(&[Status::Delivered, Status::Rejected], 0);
    // Fewer than half of them: they stay with the others.
    assert_eq!(fixture.prune_all(&ended_by(0)), 0);
    let claim = fixture.claim("a", 1, T0).remove(0);
    fixture.settle(vec![settle(claim, retry(50, "sent"))]);
    fixture.attempt(&[Status::Delivered], 10);
    let bytes_before = fixture.store.stats().space.message_bytes;
    assert_eq!(fixture.prune_all(&ended_by(10)), 3);
    let bytes = fixture.store.stats().space.message_bytes;
    assert!(bytes < bytes_before / 2, "{bytes} of {bytes_before}");
    for _ in 0..2 {
        assert_eq!(fixture.there(&names), ["m3", "m5"]);
        assert_eq!(fixture.store.journal_of(&id("m3")).unwrap().len(), 2);
        fixture.restart();
    }
    let claims = fixture.claim("a", 9, after_ms(50));
    assert_eq!(claims.len(), 2);
    let retried = claims.iter().find(|claim| claim.status == Status::Retrying);
    let retried = retried.unwrap();
    assert_eq!(retried.message.id, id("m3"));
    assert_eq!(retried.wire, Some(wire("sent")));
    drop(claims);
    fixture.attempt(&[Status::Delivered; 2], 50);
    assert_eq!(fixture.prune_all(&ended_by(50)), 2);
    assert_eq!(fixture.there(&names), [] as [&str; 0]);
}

/// Goal: J3. Nothing goes that a live reader of the journal has yet to read; others do not count.
#[test]
fn what_a_reader_has_yet_to_read_stays() {
    let fixture = Fixture::new();
    fixture.accept_for_a(&["m1"], 0);
    fixture.attempt(&[Status::Delivered], 0);
    let first_ends = *fixture.store.journal_head().borrow();
    fixture.accept_for_a(&["m2"], 0);
    fixture.attempt(&[Status::Delivered], 0);
    let head = *fixture.store.journal_head().borrow();
    wait(fixture.store.set_cursor("slow", Cursor(first_ends.0 - 1))).unwrap();
    wait(fixture.store.set_cursor("gone", Cursor(1))).unwrap();
    let prune = Prune {
        readers: vec!["slow".to_owned(), "new".to_owned()],
        ..ended_by(1_000)
    };
    assert_eq!(fixture.prune_all(&prune), 0);
    wait(fixture.store.set_cursor("slow", first_ends)).unwrap();
    assert_eq!(fixture.prune_all(&prune), 1);
    assert_eq!(fixture.there(&["m1", "m2"]), ["m2"]);
    wait(fixture.store.set_cursor("slow", head)).unwrap();
    assert_eq!(fixture.prune_all(&prune), 1);
}

/// Goal: past their size messages go before their time, the oldest first, and not one more than it takes.
#[test]
fn too_much_is_made_less() {
    let fixture = Fixture::new();
    let names: Vec<_> = (0..10).map(|n| format!("m{n}")).collect();
    for name in &names {
        fixture.accept(vec![Accept {
            ..to(message(name, &"x".repeat(10_000)), &["a"])
        }]);
    }
    // The third is not sent, nor are the last.
    let claims = fixture.claim("a", 8, T0);
    let ended = claims.into_iter().enumerate().filter(|(nth, _)| *nth != 2);
    fixture.settle(
        ended
            .map(|(_, claim)| settle(claim, end(Status::Delivered)))
            .collect(),
    );
    let all = fixture.store.stats().space.message_bytes;
    let prune = |share| Prune {
        message_bytes_max: Some(all * share / 100),
        ..never(0)
    };
    assert_eq!(fixture.prune_all(&prune(100)), 0);
    assert_eq!(fixture.prune_all(&prune(65)), 4);
    assert!(!fixture.is_there("m4") && fixture.is_there("m2") && fixture.is_there("m5"));
    // What has not ended stays, however much it is.
    assert_eq!(fixture.prune_all(&prune(1)), 3);
    assert_eq!(fixture.prune_all(&prune(1)), 0);
    assert_eq!(fixture.store.stats().counts.messages(), 3);
}

/// Goal: a call that finds the same message too old, and too much, removes it once.
#[test]
fn what_is_old_and_too_much_goes_once() {
    let fixture = Fixture::new();
    fixture.accept_for_a(&["m1", "m2", "m3"], 0);
    fixture.accept_for_a(&["m4"], 0);
    fixture.attempt(&[Status::Delivered, Status::Rejected, Status::Delivered], 0);
    let prune = Prune {
        message_bytes_max: Some(0),
        ..ended_by(0)
    };
    let pruned = fixture.prune(prune);
    assert_eq!((pruned.messages, pruned.deliveries), (3, 3));
    assert_eq!(fixture.store.stats().counts.messages(), 1);
}

/// Goal: however little a call may do, the calls together do all of it, and a restart between them loses nothing.
#[test]
fn a_little_at_a_time_comes_to_the_same() {
    let mut fixture = Fixture::new();
    for nth in 0..12 {
        fixture.accept_for_a(&[&format!("m{nth}"), &format!("n{nth}")], 0);
    }
    fixture.attempt(&[Status::Delivered; 24], 0);
    let prune = Prune {
        values_max: 2,
        ids: Duration::ZERO,
        ..ended_by(0)
    };
    let mut calls_count = 0;
    loop {
        calls_count += 1;
        assert!(calls_count < 200, "{:?}", fixture.store.stats().space);
        let pruned = fixture.prune(prune.clone());
        assert!(pruned.messages <= 4, "{pruned:?}");
        if calls_count == 20 {
            fixture.kill();
        }
        if !pruned.is_more {
            break;
        }
    }
    let stats = fixture.store.stats();
    assert_eq!(stats.space.pruned_messages, 24);
    assert_eq!(
        (stats.ids.from, stats.space.message_bytes),
        (MessageSeq(25), 0)
    );
}

/// Goal: what is asked for counts, not what was asked for before.
#[test]
fn a_longer_age_holds_at_once() {
    let fixture = Fixture::new();
    fixture.accept_for_a(&["m1"], 0);
    fixture.attempt(&[Status::Delivered], 500);
    let read_to = |cursor| fixture.store.set_cursor("slow", Cursor(cursor));
    wait(read_to(1)).unwrap();
    let nearly = Prune {
        readers: vec!["slow".to_owned()],
        ..ended_by(1_000)
    };
    assert_eq!(fixture.prune_all(&nearly), 0);
    wait(read_to(2)).unwrap();
    assert_eq!(fixture.prune_all(&never(1_000)), 0);
    let shorter = Prune {
        ended: Duration::from_millis(100),
        ..never(1_000)
    };
    assert_eq!(fixture.prune_all(&shorter), 1);
}

/// Goal: these tests can fail.
#[test]
fn too_early_is_noticed() {
    let mut options = wharf_store::Options::new([1; 32], TimeMs(0));
    options.planted = Planted::PruneTooEarly;
    let fixture = Fixture::with(options);
    fixture.accept_for_a(&["m"], 0);
    fixture.attempt(&[Status::Delivered], 0);
    fixture.prune_all(&never(0));
    assert!(!fixture.is_there("m"));
}

impl Fixture {
    /// Prunes as often as it takes. Returns how many rows went, and what readers missed.
    fn shorten(&self, prune: &Prune) -> (u64, Vec<Gap>) {
        let (mut rows, mut gaps) = (0, Vec::new());
        loop {
            let pruned = self.prune(prune.clone());
            rows += pruned.rows;
            gaps.extend(pruned.gap);
            if !pruned.is_more {
                return (rows, gaps);
            }
        }
    }

    fn set_cursor(&self, name: &str, to: u64) {
        wait(self.store.set_cursor(name, Cursor(to))).unwrap();
    }

    /// The cursors of the rows that are read from one on.
    fn rows_after(&self, after: u64) -> Vec<u64> {
        let page = self.store.journal(Cursor(after), 100, usize::MAX).unwrap();
        assert_eq!(page.passed_over, []);
        page.entries
            .iter()
            .map(|entry| entry.row.cursor.0)
            .collect()
    }

    /// Four rows, one a commit: `m1` and `m2` accepted, then each retried, at 0, 100, 200 and 300.
    fn with_four_rows() -> Self {
        let fixture = Self::new();
        fixture.accept_for_a(&["m1"], 0);
        fixture.accept_for_a(&["m2"], 100);
        for at_ms in [200, 300] {
            let claim = fixture.claim("a", 1, T0).remove(0);
            let mut settled = settle(claim, retry(1_000, "sent"));
            settled.transition.cause = Cause::Failed;
            settled.at = after_ms(at_ms);
            fixture.settle(vec![settled]);
        }
        fixture
    }
}

/// Goal: rows go by their age, and what is left of a message's rows is told, without a fuss.
#[test]
fn old_rows_of_the_journal_go() {
    let mut fixture = Fixture::with_four_rows();
    let prune = |now_ms| Prune {
        journal: Duration::from_millis(1_000),
        ..never(now_ms)
    };
    assert_eq!(fixture.shorten(&prune(999)), (0, vec![]));
    assert_eq!(fixture.shorten(&prune(1_200)), (3, vec![]));
    for _ in 0..2 {
        let space = fixture.store.stats().space;
        assert_eq!((space.journal_from, space.pruned_rows), (Cursor(4), 3));
        assert_eq!(fixture.rows_after(0), [4]);
        assert_eq!(fixture.rows_after(3), [4]);
        assert!(fixture.rows_after(4).is_empty());
        let rows = |name: &str| fixture.store.journal_of(&id(name)).unwrap().len();
        assert_eq!((rows("m1"), rows("m2")), (0, 1));
        let retrying = Filter {
            statuses: vec![Status::Retrying],
            ..Filter::default()
        };
        let listed = fixture.store.list(&retrying, None, 10).unwrap();
        assert_eq!(listed.unreadable_count, 0);
        let changed: Vec<_> = listed.entries.iter().map(|one| one.changed_at).collect();
        assert_eq!(changed, [None, Some(after_ms(300))]);
        assert_eq!(fixture.delivery("m1").attempts_count, 1);
        fixture.restart();
    }
    // All of it, and then it goes on.
    assert_eq!(fixture.shorten(&prune(9_000)), (1, vec![]));
    assert_eq!(fixture.store.stats().space.journal_bytes, 0);
    assert!(fixture.rows_after(0).is_empty());
    fixture.accept_for_a(&["m3"], 9_000);
    assert_eq!(fixture.rows_after(0), [5]);
    fixture.restart();
    assert_eq!(fixture.rows_after(0), [5]);
}

/// Goal: J3. However old or large, rows stay that a live reader has yet to read.
#[test]
fn rows_that_are_not_read_stay() {
    let fixture = Fixture::with_four_rows();
    fixture.set_cursor("slow", 1);
    fixture.set_cursor("quick", 4);
    let prune = Prune {
        journal: Duration::ZERO,
        journal_bytes_max: Some(0),
        readers: vec!["slow".to_owned(), "quick".to_owned()],
        ..never(1_000_000)
    };
    assert_eq!(fixture.shorten(&prune), (1, vec![]));
    fixture.set_cursor("slow", 3);
    assert_eq!(fixture.shorten(&prune), (2, vec![]));
    // Whoever is not named has no say.
    let without = Prune {
        readers: vec!["quick".to_owned()],
        ..prune
    };
    assert_eq!(fixture.shorten(&without), (1, vec![]));
}

/// Goal: past their size rows go before their time, and not one commit more than it takes.
#[test]
fn a_journal_that_is_too_large_is_shortened() {
    let fixture = Fixture::with_four_rows();
    let all = fixture.store.stats().space.journal_bytes;
    let prune = |bytes_max| Prune {
        journal_bytes_max: Some(bytes_max),
        ..never(0)
    };
    assert_eq!(fixture.shorten(&prune(all)), (0, vec![]));
    assert_eq!(fixture.shorten(&prune(all - 1)), (1, vec![]));
    assert_eq!(fixture.shorten(&prune(1)), (3, vec![]));
}

/// Goal: J3. Past the hard size rows go that nobody has read, in the commit of a row that says so, which readers get.
#[test]
fn a_gap_is_told_to_every_reader() {
    let mut fixture = Fixture::with_four_rows();
    fixture.set_cursor("slow", 2);
    let all = fixture.store.stats().space.journal_bytes;
    let prune = |bytes_hard| Prune {
        journal_bytes_hard: Some(bytes_hard),
        readers: vec!["slow".to_owned()],
        ..never(7_000)
    };
    assert_eq!(fixture.shorten(&prune(all)), (0, vec![]));
    // The first goes, and that is enough; it was read.
    assert_eq!(fixture.shorten(&prune(all - 1)), (1, vec![]));
    let is_gap = |first, last| Gap {
        first: Cursor(first),
        last: Cursor(last),
    };
    let (rows, gaps) = fixture.shorten(&prune(all / 4));
    assert_eq!((rows, gaps), (3, vec![is_gap(3, 4)]));
    for _ in 0..2 {
        let page = fixture.store.journal(Cursor(2), 100, usize::MAX).unwrap();
        assert_eq!((page.passed_over.len(), page.entries.len()), (0, 1));
        let told = &page.entries[0];
        assert_eq!(told.message, None);
        assert_eq!((told.row.cursor, told.row.at), (Cursor(5), after_ms(7_000)));
        assert_eq!(told.row.cause, Cause::Gap);
        let Subject::Gap { first, last } = told.row.subject else {
            panic!("it is about the journal: {told:?}");
        };
        assert_eq!((first, last), (Cursor(3), Cursor(4)));
        fixture.restart();
    }
    // What was told of is not told of again.
    assert_eq!(fixture.shorten(&prune(all / 4)), (0, vec![]));
    fixture.accept_for_a(&["m3"], 7_000);
    fixture.set_cursor("slow", 5);
    assert_eq!(fixture.rows_after(5), [6]);
}

/// Goal: what ended is not kept for longer than the rows that say how, and what has not ended is.
#[test]
fn a_message_goes_with_its_journal() {
    let fixture = Fixture::new();
    fixture.accept_for_a(&["ended", "waits"], 0);
    fixture.attempt(&[Status::Dead], 0);
    fixture.accept_for_a(&["young"], 500);
    let prune = Prune {
        journal: Duration::from_millis(100),
        ..never(100)
    };
    fixture.prune_all(&prune);
    assert_eq!(
        fixture.there(&["ended", "waits", "young"]),
        ["waits", "young"]
    );
    assert_eq!(fixture.get("waits").deliveries[0].status, Status::Queued);
    fixture.attempt(&[Status::Delivered, Status::Delivered], 600);
    assert_eq!(fixture.store.journal_of(&id("waits")).unwrap().len(), 1);
}

/// Goal: a round ends although more becomes old enough all the time, and although much is passed by that stays.
#[test]
fn a_round_ends_under_load() {
    let fixture = Fixture::new();
    for nth in 0..40 {
        fixture.accept(vec![accept(&format!("stays-{nth}"), &["b"])]);
    }
    let (mut rounds_count, mut removed_count) = (0, 0);
    for nth in 0..40 {
        fixture.accept_for_a(&[&format!("m{nth}")], 0);
        fixture.attempt(&[Status::Delivered], 0);
        let pruned = fixture.prune(Prune {
            values_max: 16,
            ..ended_by(0)
        });
        rounds_count += u32::from(!pruned.is_more);
        removed_count += pruned.messages;
    }
    assert!(rounds_count >= 3, "{rounds_count}");
    assert!(removed_count >= 30, "{removed_count}");
}
