//! One attempt: enrich → convert (while no wire form is stored) → send → annotate. Ends in one settle, whatever
//! happens.

use std::time::Instant;

use sha2::{Digest, Sha256};
use wharf_core::delivery::{self, Transition, conclude};
use wharf_core::outcome::{Effect, Failure, Scope};
use wharf_core::{Cause, Outcome, Pairs, Status, TimeMs, WireForm, journal};
use wharf_plugin::Wire;
use wharf_store::Claim;

use super::annotate::annotate;
use super::channel::Channel;
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
}

/// Makes one attempt of a claimed delivery and says what to record.
pub(super) async fn run(channel: &Channel, claim: &mut Claim) -> Ended {
    let started_at = clock::now();
    if let Some((to, cause)) = without_attempt(claim, started_at) {
        let transition = Transition {
            to,
            cause,
            due: None,
            token: None,
        };
        return Ended {
            transition,
            at: started_at,
            attempt: None,
            wire: None,
        };
    }
    let started = Instant::now();
    let mut attempt = journal::Attempt {
        number: claim.attempts_count + 1,
        started_at,
        ..journal::Attempt::default()
    };
    let mut call = prepare::call(channel, claim, started_at);
    let stored = claim.wire.take();
    let is_converted = stored.is_some();
    let wire = match stored {
        Some(stored) => Ok(Wire {
            endpoint: stored.endpoint,
            headers: stored.headers,
            body: stored.body,
        }),
        None => prepare::wire(channel, &claim.message, &mut call, &mut attempt).await,
    };
    let (outcome, sent) = match wire {
        Ok(wire) => {
            attempt.body_sha256 = Some(Sha256::digest(&wire.body).into());
            let sent = send::send(channel, &call, wire).await;
            attempt.hooks.push(channel.sender.ran(sent.took));
            (sent.outcome, Some(sent.wire))
        }
        Err(outcome) => (outcome, None),
    };
    let (sent, annotated) = match sent {
        Some(sent) if !channel.annotators.is_empty() => {
            let sent = sent.into_wire();
            let noted = annotate(channel, &call, &sent, &outcome, &mut attempt).await;
            (Some(SentWire::from(sent)), noted)
        }
        sent => (sent, Pairs::new()),
    };
    let ended_at = clock::now();
    let transition = decide(channel, claim, &outcome, ended_at);
    attempt.duration_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
    let keep_wire = !transition.to.is_final() && !is_converted;
    tell(channel, claim, &attempt, &transition, &outcome);
    record(&mut attempt, outcome, annotated);
    Ended {
        transition,
        at: ended_at,
        attempt: Some(attempt),
        wire: sent.filter(|_| keep_wire).map(SentWire::into_form),
    }
}

/// How a delivery ends that is not to be attempted any more.
fn without_attempt(claim: &Claim, now: TimeMs) -> Option<(Status, Cause)> {
    if claim.is_cancelled {
        return Some((Status::Cancelled, Cause::Cancelled));
    }
    let is_expired = claim.message.expires_at.is_some_and(|at| at <= now);
    is_expired.then_some((Status::Expired, Cause::Expired))
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
    let transition = decide(channel, claim, &outcome, at);
    let mut attempt = journal::Attempt {
        number: claim.attempts_count + 1,
        started_at: at,
        ..journal::Attempt::default()
    };
    tell(channel, claim, &attempt, &transition, &outcome);
    record(&mut attempt, outcome, Pairs::new());
    Ended {
        transition,
        at,
        attempt: Some(attempt),
        wire: None,
    }
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
