//! One attempt: enrich → convert (while no wire form is stored) → send → annotate. Ends in one settle, whatever
//! happens, unless its lane takes nothing: then nothing was attempted.

use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use wharf_core::delivery::{self, Transition, conclude};
use wharf_core::lane::{self, Paused};
use wharf_core::outcome::{Effect, Failure, Scope};
use wharf_core::{Cause, Outcome, Pairs, Status, TimeMs, WireForm, journal};
use wharf_plugin::{Call, Wire};
use wharf_store::Claim;

use super::annotate::annotate;
use super::channel::Channel;
use super::lanes::{LaneName, Pass};
use super::send::{self, SentWire};
use super::{convert, prepare};
use crate::clock;

/// How an attempt ended, to be settled.
pub(super) struct Ended {
    pub(super) transition: Transition,
    pub(super) at: TimeMs,
    /// None where none was made.
    pub(super) attempt: Option<journal::Attempt>,
    /// What was to be sent, where it is to be kept.
    pub(super) wire: Option<WireForm>,
    /// What the channel's plugin wants to have paused.
    pub(super) pause: Option<Wish>,
}

/// A plugin's wish that nothing more is sent.
pub(super) struct Wish {
    pub(super) paused: Paused,
    pub(super) reason: String,
}

/// A claimed delivery that is ready to be sent.
pub(super) struct Prepared {
    attempt: journal::Attempt,
    call: Call,
    wire: Wire,
    /// Whether the wire form is stored already.
    is_stored: bool,
    took: Duration,
}

/// Does what comes before the channel: enriches and converts, while no wire form is stored. Or says what to record, where
/// nothing is to be sent.
pub(super) async fn prepare(channel: &Channel, claim: &mut Claim) -> Result<Prepared, Box<Ended>> {
    let started_at = clock::now();
    if let Some(ended) = without_attempt(claim, started_at) {
        return Err(Box::new(ended));
    }
    let started = Instant::now();
    let mut attempt = journal::Attempt {
        number: claim.attempts_count + 1,
        started_at,
        ..journal::Attempt::default()
    };
    let mut call = prepare::call(channel, claim, started_at);
    let stored = claim.wire.take();
    let is_stored = stored.is_some();
    let mut took_before = Duration::ZERO;
    let wire = match stored {
        Some(stored) => {
            let begun = stored.begun.filter(|begun| begun.number == attempt.number);
            if let Some(begun) = begun {
                took_before = Duration::from_micros(begun.duration_us);
                attempt.hooks = begun.hooks;
                attempt.notes = begun.notes;
            }
            Ok(Wire {
                endpoint: stored.endpoint,
                headers: stored.headers,
                body: stored.body,
            })
        }
        None => prepare::wire(channel, &claim.message, &mut call, &mut attempt).await,
    };
    match wire {
        Ok(wire) => Ok(Prepared {
            attempt,
            call,
            wire,
            is_stored,
            took: took_before + started.elapsed(),
        }),
        Err(outcome) => {
            let took = started.elapsed();
            let ended = end(channel, claim, attempt, outcome, Pairs::new(), took);
            Err(Box::new(ended))
        }
    }
}

impl Prepared {
    /// Where it goes.
    pub(super) fn lane(&self, channel: &Channel) -> LaneName {
        channel.lane(self.wire.endpoint.as_deref())
    }

    /// What was to be sent, where it is to be kept although nothing was.
    pub(super) fn into_form(self) -> Option<WireForm> {
        if self.is_stored {
            return None;
        }
        let begun = journal::Attempt {
            duration_us: micros(self.took),
            ..self.attempt
        };
        Some(WireForm {
            begun: Some(Box::new(begun)),
            ..SentWire::from(self.wire).into_form()
        })
    }
}

/// Sends what is ready and says what to record. `lane` is told how it went.
pub(super) async fn send(
    channel: &Channel,
    claim: &Claim,
    prepared: Prepared,
    lane: &mut Pass,
) -> Ended {
    let Prepared {
        mut attempt,
        mut call,
        wire,
        is_stored,
        took,
    } = prepared;
    // It may have waited for its lane, and that is no part of the attempt.
    let started_at = clock::now();
    if let Some(ended) = without_attempt(claim, started_at) {
        return ended;
    }
    attempt.started_at = started_at;
    call.now_ms = started_at.0;
    let started = Instant::now();
    attempt.body_sha256 = Some(Sha256::digest(&wire.body).into());
    let sent = send::send(channel, &call, wire).await;
    attempt.hooks.push(channel.sender.ran(sent.took));
    lane.told(lane::told(&sent.outcome));
    let (wire, annotated) = if channel.annotators.is_empty() {
        (sent.wire, Pairs::new())
    } else {
        let wire = sent.wire.into_wire();
        let noted = annotate(channel, &call, &wire, &sent.outcome, &mut attempt).await;
        (SentWire::from(wire), noted)
    };
    let took = took + started.elapsed();
    let mut ended = end(channel, claim, attempt, sent.outcome, annotated, took);
    let keep_wire = !ended.transition.to.is_final() && !is_stored;
    ended.wire = keep_wire.then(|| wire.into_form());
    ended
}

/// What to record of an attempt, and its log line.
fn end(
    channel: &Channel,
    claim: &Claim,
    mut attempt: journal::Attempt,
    outcome: Outcome,
    annotated: Pairs,
    took: Duration,
) -> Ended {
    let at = clock::now();
    let transition = decide(channel, claim, &outcome, at);
    attempt.duration_us = micros(took);
    tell(channel, claim, &attempt, &transition, &outcome);
    let pause = match &outcome {
        Outcome::Retry(failure) => lane::told(&outcome).pause.map(|paused| Wish {
            paused,
            reason: format!("{}: {}", failure.code, failure.reason),
        }),
        _ => None,
    };
    record(&mut attempt, outcome, annotated);
    Ended {
        transition,
        at,
        attempt: Some(attempt),
        wire: None,
        pause,
    }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

/// How a delivery ends that is not to be attempted any more.
fn without_attempt(claim: &Claim, now: TimeMs) -> Option<Ended> {
    let is_expired = claim.message.expires_at.is_some_and(|at| at <= now);
    let (to, cause) = match (claim.is_cancelled, is_expired) {
        (true, _) => (Status::Cancelled, Cause::Cancelled),
        (false, true) => (Status::Expired, Cause::Expired),
        (false, false) => return None,
    };
    Some(unattempted(to, cause, now))
}

/// How a delivery ends whose lane is left alone: that counts as a failure of which nothing arrived, and it may be the one
/// after which its route goes on to its next channel.
pub(super) fn passed_over(channel: &Channel, claim: &Claim, lane: &LaneName) -> Option<Ended> {
    claim.failover.filter(|one| one.is_due(Effect::None))?;
    tracing::warn!(
        message_id = %claim.message.id, delivery = claim.lease.delivery().0, channel = %channel.name, %lane,
        "given up as its lane is left alone, and the route goes on to its next channel"
    );
    Some(unattempted(
        Status::Superseded,
        Cause::BreakerOpen,
        clock::now(),
    ))
}

fn unattempted(to: Status, cause: Cause, at: TimeMs) -> Ended {
    Ended {
        transition: Transition {
            to,
            cause,
            due: None,
            token: None,
        },
        at,
        attempt: None,
        wire: None,
        pause: None,
    }
}

/// What to record of an attempt that panicked in the host.
pub(super) fn panicked(channel: &Channel, claim: &Claim) -> Ended {
    let at = clock::now();
    let outcome = Outcome::Retry(Failure {
        code: "host-panicked".to_owned(),
        reason: "the host panicked in this attempt, which is a bug; its log says where".to_owned(),
        effect: Effect::Unknown,
        scope: Scope::Message,
        pause: false,
        after: None,
        notes: Vec::new(),
        is_fault: true,
    });
    let attempt = journal::Attempt {
        number: claim.attempts_count + 1,
        started_at: at,
        ..journal::Attempt::default()
    };
    end(
        channel,
        claim,
        attempt,
        outcome,
        Pairs::new(),
        Duration::ZERO,
    )
}

fn decide(channel: &Channel, claim: &Claim, outcome: &Outcome, ended_at: TimeMs) -> Transition {
    let attempt = delivery::Attempt {
        number: claim.attempts_count + 1,
        budget: claim.budget,
        failover: claim.failover,
        ended_at,
        chance: clock::chance(),
    };
    conclude(outcome, attempt, &channel.retry)
}

/// Copies the outcome's facts, and what was noted of it, into the attempt's.
fn record(attempt: &mut journal::Attempt, outcome: Outcome, annotated: Pairs) {
    let mut noted: Pairs = std::mem::take(&mut attempt.notes);
    match outcome {
        Outcome::Delivered { reference, notes } => {
            attempt.reference = reference;
            noted.extend(notes);
        }
        Outcome::Provisional { reference, waiting } => {
            attempt.reference = reference;
            noted.extend(waiting.notes);
        }
        Outcome::Pending(waiting) => noted.extend(waiting.notes),
        Outcome::Retry(failure) => {
            attempt.code = Some(failure.code);
            attempt.reason = Some(failure.reason);
            attempt.effect = Some(failure.effect);
            noted.extend(failure.notes);
        }
        Outcome::Rejected(refusal) => {
            attempt.code = Some(refusal.code);
            attempt.reason = Some(refusal.reason);
            noted.extend(refusal.notes);
        }
    }
    noted.extend(annotated);
    attempt.notes = convert::notes(noted);
}

/// The log line of an attempt: what went well is debug, a retry is info, what an operator must see is a warning.
fn tell(
    channel: &Channel,
    claim: &Claim,
    attempt: &journal::Attempt,
    transition: &Transition,
    outcome: &Outcome,
) {
    let (code, reason) = match outcome {
        Outcome::Retry(failure) => (Some(&*failure.code), Some(&*failure.reason)),
        Outcome::Rejected(refusal) => (Some(&*refusal.code), Some(&*refusal.reason)),
        Outcome::Delivered { .. } | Outcome::Provisional { .. } | Outcome::Pending(_) => {
            (None, None)
        }
    };
    macro_rules! line {
        ($level:ident, $text:literal) => {
            tracing::$level!(
                message_id = %claim.message.id, delivery = claim.lease.delivery().0, channel = %channel.name,
                plugin = channel.sender.plugin(), attempt = attempt.number,
                status = %transition.to, cause = %transition.cause, code, reason, $text
            )
        };
    }
    match transition.to {
        Status::Dead => line!(warn, "given up"),
        Status::Rejected => line!(warn, "refused"),
        Status::Retrying => line!(info, "to be retried"),
        Status::Superseded => line!(warn, "given up, and the route goes on to its next channel"),
        Status::Queued
        | Status::Held
        | Status::Pending
        | Status::Provisional
        | Status::Delivered
        | Status::Expired
        | Status::Cancelled
        | Status::Shed => line!(debug, "attempt ended"),
    }
}
