//! Tells post-event hooks what was stored: each reads the journal through its own durable cursor.
//!
//! The journal is the outbox, there is no second one. A batch that a hook did not take comes again; what a crash
//! swallowed comes again too, since the cursor moves only after the hook returned.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use wharf_core::journal::{Row, Subject};
use wharf_plugin::{Event, PostEvent};
use wharf_store::{JournalEntry, Store};

use crate::limits::{EVENTS_PER_BATCH_MAX, POST_EVENT_BACKOFF};

/// One hook and its cursor's name.
pub(crate) struct Teller {
    pub(crate) name: String,
    pub(crate) hook: PostEvent,
    pub(crate) store: Store,
}

impl Teller {
    /// Runs until `stop`; the batch in the hook's hands is finished first.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let cursor_name = format!("post-event/{}", self.name);
        let (first_wait, longest_wait) = POST_EVENT_BACKOFF;
        let mut wait = first_wait;
        // A new hook starts at now; from then on its cursor is on disk.
        let mut cursor = match self.store.cursor(&cursor_name) {
            Ok(Some(cursor)) => cursor,
            Ok(None) => {
                let head = *self.store.journal_head().borrow();
                if self.store.set_cursor(&cursor_name, head).await.is_err() {
                    return;
                }
                head
            }
            Err(error) => {
                tracing::error!(
                    hook = self.name,
                    error = &error as &dyn std::error::Error,
                    "a post-event cursor cannot be read"
                );
                return;
            }
        };
        let mut head = self.store.journal_head();
        loop {
            head.mark_unchanged();
            let batch = match self.read(cursor).await {
                Ok(batch) => batch,
                Err(reason) => {
                    tracing::error!(hook = self.name, reason, "the journal cannot be read");
                    Vec::new()
                }
            };
            let Some(last) = batch.last().map(|entry| entry.row.cursor) else {
                tokio::select! {
                    () = stop.cancelled() => return,
                    changed = head.changed() => match changed {
                        Ok(()) => continue,
                        Err(_closed) => return,
                    },
                }
            };
            let events: Vec<Event> = batch.into_iter().map(event).collect();
            let failed = match self.hook.handle(&events).await {
                Ok(Ok(())) => None,
                Ok(Err(reason)) => Some(reason),
                Err(fault) => Some(fault.to_string()),
            };
            let Some(reason) = failed else {
                wait = first_wait;
                cursor = last;
                if self.store.set_cursor(&cursor_name, last).await.is_err() {
                    return;
                }
                if stop.is_cancelled() {
                    return;
                }
                continue;
            };
            tracing::warn!(
                hook = self.name,
                plugin = self.hook.plugin_name(),
                events = events.len(),
                reason,
                wait_ms = wait.as_millis() as u64,
                "a post-event hook failed; the events come again"
            );
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(jittered(wait)) => {}
            }
            wait = (wait * 2).min(longest_wait);
        }
    }

    async fn read(&self, cursor: wharf_core::Cursor) -> Result<Vec<JournalEntry>, String> {
        let store = self.store.clone();
        tokio::task::spawn_blocking(move || store.journal(cursor, EVENTS_PER_BATCH_MAX))
            .await
            .map_err(|e| e.to_string())?
            .map_err(|e| e.to_string())
    }
}

fn jittered(wait: Duration) -> Duration {
    wait.mul_f64(0.8 + 0.4 * crate::clock::chance())
}

fn event(entry: JournalEntry) -> Event {
    let JournalEntry {
        row,
        message,
        planned,
    } = entry;
    let (delivery, from, to) = match row.subject {
        Subject::Delivery { id, from, to } => (Some(id.0), from.map(|s| s.as_str()), to.as_str()),
        Subject::Message { standing, .. } => (None, None, standing.as_str()),
    };
    Event {
        cursor: row.cursor.0,
        message_id: message.id.to_string(),
        delivery,
        channel: planned.map(|planned| planned.channel.to_string()),
        from_status: from.map(str::to_owned),
        to_status: to.to_owned(),
        cause: row.cause.to_string(),
        attempt: row.attempt.as_ref().map_or(0, |attempt| attempt.number),
        at_ms: row.at.0,
        attributes: message.attributes.clone(),
        notes: notes(&row),
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
