//! Before the channel: what is told of a message to its hooks, and the hooks that make its wire form.

use std::time::Instant;

use http::{HeaderName, HeaderValue};
use wharf_core::{Message, Outcome, TimeMs, journal};
use wharf_plugin::{Call, Enrichment, Wire};
use wharf_store::Claim;

use super::channel::Channel;
use super::{convert, trace};

/// The attribute that says where a message goes, where its channel lets it.
const ENDPOINT_ATTRIBUTE: &str = "endpoint";

/// What every hook of an attempt is told.
pub(super) fn call(channel: &Channel, claim: &Claim, now: TimeMs) -> Call {
    let message = &claim.message;
    let mut extra = Vec::new();
    if let Some(at) = message.expires_at {
        extra.push(("expires-at".to_owned(), at.to_string()));
    }
    if let Some(child) = message.traceparent.as_deref().and_then(trace::child) {
        extra.push(("traceparent".to_owned(), child));
    }
    Call {
        channel: channel.name.to_string(),
        route: claim.route.to_string(),
        message_id: message.id.to_string(),
        delivery: claim.lease.delivery().0,
        idempotency_key: claim.idempotency_key(),
        attempt: claim.attempts_count + 1,
        accepted_ms: message.accepted_at.0,
        now_ms: now.0,
        ordering_key: message.ordering_key.clone(),
        attributes: message.attributes.clone(),
        extra,
    }
}

/// Enriches and converts; what a converter says instead is the attempt's outcome.
pub(super) async fn wire(
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
        let began = Instant::now();
        let enriched = enricher.hook.enrich(call, &wire).await;
        attempt.hooks.push(enricher.ran(began.elapsed()));
        // A failed enrichment never fails the delivery; the journal says that it is missing.
        match enriched {
            Ok(Ok(enrichment)) => apply(enrichment, call, &mut wire, attempt),
            Ok(Err(reason)) => attempt
                .notes
                .push((format!("{} failed", enricher.place()), reason)),
            Err(fault) => {
                attempt
                    .notes
                    .push((format!("{} fault", enricher.place()), fault.to_string()));
                convert::tell_fault(enricher.plugin(), call, &fault);
            }
        }
    }
    for converter in &channel.converters {
        let began = Instant::now();
        let converted = converter.hook.convert(call, &wire).await;
        attempt.hooks.push(converter.ran(began.elapsed()));
        wire = match converted {
            Ok(Ok(converted)) => converted,
            Ok(Err(said)) => return Err(convert::fault(said)),
            Err(fault) => return Err(convert::plugin_fault(converter.plugin(), call, &fault)),
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
