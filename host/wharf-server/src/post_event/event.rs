//! What a hook is told of a row of the journal.

use serde_json::{Value, json};
use wharf_core::journal::{Row, Subject};
use wharf_plugin::Event;
use wharf_store::JournalEntry;

pub(super) fn event(entry: JournalEntry) -> Event {
    let JournalEntry {
        row,
        message,
        attributes,
        planned,
    } = entry;
    let (delivery, from, to) = match row.subject {
        Subject::Delivery { id, from, to } => (Some(id.0), from.map(|s| s.as_str()), to.as_str()),
        Subject::Message { standing, .. } => (None, None, standing.as_str()),
        Subject::Gap { .. } => (None, None, "gap"),
    };
    let notes = match row.subject {
        Subject::Gap { first, last } => [("first", first), ("last", last)]
            .map(|(name, cursor)| (name.to_owned(), cursor.to_string()))
            .to_vec(),
        Subject::Delivery { .. } | Subject::Message { .. } => notes(&row),
    };
    Event {
        cursor: row.cursor.0,
        message_id: message.map(String::from).unwrap_or_default(),
        delivery,
        channel: planned.map(|planned| planned.channel.to_string()),
        from_status: from.map(str::to_owned),
        to_status: to.to_owned(),
        cause: row.cause.to_string(),
        attempt: row.attempt.as_ref().map_or(0, |attempt| attempt.number),
        at_ms: row.at.0,
        attributes,
        notes,
    }
}

/// The attempt's code and reason, then what plugins noted.
fn notes(row: &Row) -> Vec<(String, String)> {
    let Some(attempt) = &row.attempt else {
        return Vec::new();
    };
    let mut notes = Vec::with_capacity(attempt.notes.len() + 2);
    for (name, value) in [("code", &attempt.code), ("reason", &attempt.reason)] {
        if let Some(value) = value {
            notes.push((name.to_owned(), value.clone()));
        }
    }
    notes.extend(attempt.notes.iter().cloned());
    notes
}

/// As it is kept where a hook never took it: the fields of the contract's `event`.
pub(super) fn as_json(event: &Event) -> Value {
    let pairs = |pairs: &[(String, String)]| -> Vec<Value> {
        let pair = |(name, value): &(String, String)| json!([name, value]);
        pairs.iter().map(pair).collect()
    };
    json!({
        "cursor": event.cursor,
        "message_id": event.message_id,
        "delivery": event.delivery,
        "channel": event.channel,
        "from_status": event.from_status,
        "to_status": event.to_status,
        "cause": event.cause,
        "attempt": event.attempt,
        "at_ms": event.at_ms,
        "attributes": pairs(&event.attributes),
        "notes": pairs(&event.notes),
    })
}
