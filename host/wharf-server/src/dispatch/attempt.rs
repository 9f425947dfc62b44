//! One attempt: enrich → convert (while no wire form is stored) → send. Ends in one settle, whatever happens.

use std::time::Instant;

use http::{HeaderName, HeaderValue};
use sha2::{Digest, Sha256};
use wharf_core::delivery::{self, Transition, conclude};
use wharf_core::outcome::{Effect, Failure, Scope};
use wharf_core::{Cause, Message, Outcome, Pairs, Status, TimeMs, WireForm, journal};
use wharf_plugin::{Call, Enrichment, Wire};
use wharf_store::Claim;

use super::channel::Channel;
use super::exchange::Sent;
use super::{convert, exchange};
use crate::clock;

/// The attribute that says where a message goes, where its channel lets it.
const ENDPOINT_ATTRIBUTE: &str = "endpoint";

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
    if claim.message.expires_at.is_some_and(|at| at <= started_at) {
        let expired = Transition {
            to: Status::Expired,
            cause: Cause::Expired,
            due: None,
            token: None,
        };
        return Ended {
            transition: expired,
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
    let mut call = call(channel, claim, started_at);
    let stored = claim.wire.take();
    let is_converted = stored.is_some();
    let wire = match stored {
        Some(stored) => Ok(Wire {
            endpoint: stored.endpoint,
            headers: stored.headers,
            body: stored.body,
        }),
        None => prepare(channel, &claim.message, &mut call, &mut attempt).await,
    };
    let (outcome, wire) = match wire {
        Ok(wire) => {
            attempt.body_sha256 = Some(Sha256::digest(&wire.body).into());
            attempt.plugins.push((
                format!("channel {}", channel.send.plugin_name()),
                channel.send.digest().to_owned(),
            ));
            let (outcome, wire) = exchange::send(channel, &call, wire).await;
            (outcome, Some(wire))
        }
        Err(outcome) => (outcome, None),
    };
    let ended_at = clock::now();
    let transition = decide(channel, claim, &outcome, ended_at);
    attempt.duration_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
    let keep_wire = !transition.to.is_final() && !is_converted;
    tell(channel, &claim.message, &attempt, &transition, &outcome);
    record(&mut attempt, outcome);
    Ended {
        transition,
        at: ended_at,
        attempt: Some(attempt),
        wire: wire.filter(|_| keep_wire).map(Sent::into_form),
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
    let transition = decide(channel, claim, &outcome, at);
    let mut attempt = journal::Attempt {
        number: claim.attempts_count + 1,
        started_at: at,
        ..journal::Attempt::default()
    };
    tell(channel, &claim.message, &attempt, &transition, &outcome);
    record(&mut attempt, outcome);
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
        accepted_at: claim.message.accepted_at,
        ended_at,
        chance: clock::chance(),
    };
    conclude(outcome, attempt, &channel.retry)
}

fn call(channel: &Channel, claim: &Claim, now: TimeMs) -> Call {
    let message = &claim.message;
    Call {
        channel: channel.name.to_string(),
        route: claim.route.to_string(),
        message_id: message.id.to_string(),
        delivery: claim.lease.delivery().0,
        idempotency_key: message.id.to_string(),
        attempt: claim.attempts_count + 1,
        accepted_ms: message.accepted_at.0,
        now_ms: now.0,
        ordering_key: message.ordering_key.clone(),
        attributes: message.attributes.clone(),
        extra: Vec::new(),
    }
}

/// Enriches and converts; what a converter says instead is the attempt's outcome.
async fn prepare(
    channel: &Channel,
    message: &Message,
    call: &mut Call,
    attempt: &mut journal::Attempt,
) -> Result<Wire, Outcome> {
    let mut wire = Wire {
        endpoint: message.attribute(ENDPOINT_ATTRIBUTE).map(str::to_owned),
        headers: message.headers.clone(),
        body: message.payload.to_vec(),
    };
    for enricher in &channel.enrichers {
        let name = enricher.plugin_name();
        attempt
            .plugins
            .push((format!("enricher {name}"), enricher.digest().to_owned()));
        // A failed enrichment never fails the delivery; the journal says that it is missing.
        match enricher.enrich(call, &wire).await {
            Ok(Ok(enrichment)) => apply(enrichment, call, &mut wire, attempt),
            Ok(Err(reason)) => attempt
                .notes
                .push((format!("enricher {name} failed"), reason)),
            Err(fault) => {
                attempt
                    .notes
                    .push((format!("enricher {name} fault"), fault.to_string()));
                tracing::warn!(channel = %channel.name, message = %message.id, plugin = name, error = &fault as &dyn std::error::Error, "an enricher faulted");
            }
        }
    }
    for converter in &channel.converters {
        let name = converter.plugin_name();
        attempt
            .plugins
            .push((format!("converter {name}"), converter.digest().to_owned()));
        wire = match converter.convert(call, &wire).await {
            Ok(Ok(converted)) => converted,
            Ok(Err(said)) => return Err(convert::fault(said)),
            Err(fault) => return Err(convert::plugin_fault(name, &fault)),
        };
    }
    // A later attempt sends the stored wire form without enriching: its channel sees the message's own attributes, and
    // so does this one's.
    if !channel.enrichers.is_empty() {
        call.attributes.clone_from(&message.attributes);
    }
    Ok(wire)
}

fn apply(enrichment: Enrichment, call: &mut Call, wire: &mut Wire, attempt: &mut journal::Attempt) {
    for (key, value) in enrichment.attributes {
        match call.attributes.iter_mut().find(|(known, _)| *known == key) {
            Some((_, old)) => *old = value,
            None => call.attributes.push((key, value)),
        }
    }
    for (name, value) in enrichment.headers {
        // What no request can carry would fail every attempt; an enricher never fails one.
        if HeaderName::from_bytes(name.as_bytes()).is_err()
            || HeaderValue::from_str(&value).is_err()
        {
            attempt
                .notes
                .push(("enricher header left out".to_owned(), name));
            continue;
        }
        wire.headers
            .retain(|(known, _)| !known.eq_ignore_ascii_case(&name));
        wire.headers.push((name, value));
    }
    attempt.notes.extend(enrichment.notes);
}

/// Copies the outcome's facts into the attempt's.
fn record(attempt: &mut journal::Attempt, outcome: Outcome) {
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
    attempt.notes = convert::notes(noted);
}

/// The log line of an attempt: what went well is debug, a retry is info, what an operator must see is a warning.
fn tell(
    channel: &Channel,
    message: &Message,
    attempt: &journal::Attempt,
    transition: &Transition,
    outcome: &Outcome,
) {
    let (code, reason) = match outcome {
        Outcome::Retry(failure) => (failure.code.as_str(), failure.reason.as_str()),
        Outcome::Rejected(refusal) => (refusal.code.as_str(), refusal.reason.as_str()),
        Outcome::Delivered { .. } | Outcome::Provisional { .. } | Outcome::Pending(_) => ("", ""),
    };
    macro_rules! line {
        ($level:ident, $text:literal) => {
            tracing::$level!(
                message = %message.id, channel = %channel.name, attempt = attempt.number,
                status = %transition.to, cause = %transition.cause, code, reason, $text
            )
        };
    }
    match transition.to {
        Status::Dead => line!(warn, "given up"),
        Status::Rejected => line!(warn, "refused"),
        Status::Retrying => line!(info, "to be retried"),
        Status::Queued
        | Status::Held
        | Status::Pending
        | Status::Provisional
        | Status::Delivered
        | Status::Expired
        | Status::Cancelled
        | Status::Shed
        | Status::Superseded => line!(debug, "attempt ended"),
    }
}
