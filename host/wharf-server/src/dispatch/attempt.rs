//! One attempt: enrich → convert (while no wire form is stored) → send. Ends in one settle, whatever happens.

use std::time::Instant;

use sha2::{Digest, Sha256};
use wharf_core::delivery::{self, Transition, conclude};
use wharf_core::{Cause, Message, Outcome, Pairs, Status, journal};
use wharf_plugin::{Call, Enrichment, Wire};
use wharf_store::{Claim, Settle};

use super::channel::Channel;
use super::exchange::Sent;
use super::{convert, exchange};
use crate::clock;

/// The attribute that says where a message goes, where its channel lets it.
const ENDPOINT_ATTRIBUTE: &str = "endpoint";

/// Makes one attempt of a claimed delivery and says what to record.
pub(super) async fn run(channel: &Channel, claim: Claim) -> Settle {
    let started_at = clock::now();
    if claim.message.expires_at.is_some_and(|at| at <= started_at) {
        let expired = Transition {
            to: Status::Expired,
            cause: Cause::Expired,
            due: None,
            token: None,
        };
        return Settle {
            lease: claim.lease,
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
    let mut call = call(channel, &claim, started_at);
    let is_converted = claim.wire.is_some();
    let wire = match claim.wire {
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
    let transition = conclude(
        &outcome,
        delivery::Attempt {
            number: attempt.number,
            accepted_at: claim.message.accepted_at,
            ended_at,
            chance: clock::chance(),
        },
        &channel.retry,
    );
    attempt.duration_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
    let keep_wire = !transition.to.is_final() && !is_converted;
    tell(channel, &claim.message, &attempt, &transition, &outcome);
    record(&mut attempt, outcome);
    Settle {
        lease: claim.lease,
        transition,
        at: ended_at,
        attempt: Some(attempt),
        wire: wire.filter(|_| keep_wire).map(Sent::into_form),
    }
}

fn call(channel: &Channel, claim: &Claim, now: wharf_core::TimeMs) -> Call {
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
