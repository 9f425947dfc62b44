//! Tells post-event hooks what was stored: each reads the journal through its own durable cursor.
//!
//! The journal is the outbox, there is no second one. A batch that a hook did not take comes again. The cursor moves
//! only after the hook returned, and is put on disk every so often: what was told since then comes again after a crash.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use wharf_core::Cursor;
use wharf_core::journal::{Row, Subject};
use wharf_plugin::{Event, PostEvent};
use wharf_store::{JournalEntry, JournalPage, PassedOver, Store};

use crate::degraded::Degraded;
use crate::limits::{
    EVENTS_BYTES_MAX, EVENTS_PER_BATCH_MAX, POST_EVENT_BACKOFF, POST_EVENT_FAILURES_DEGRADED,
    POST_EVENT_GATHER, POST_EVENT_SAVE_EVERY,
};

/// One hook and its cursor's name.
pub(crate) struct Teller {
    pub(crate) name: String,
    /// The hook as it is now: a batch keeps the one that it was handed to. None while it cannot be called: what there
    /// is to tell waits.
    pub(crate) hook: watch::Receiver<Option<PostEvent>>,
    pub(crate) store: Store,
    pub(crate) degraded: Degraded,
}

impl Teller {
    /// Runs until `stop`; what is in the journal by then is told first, as far as the hook takes it.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let Some(mut place) = Place::find(&self.store, &self.name).await else {
            return;
        };
        let mut head = self.store.journal_head();
        let (first_wait, longest_wait) = POST_EVENT_BACKOFF;
        let mut wait = first_wait;
        let mut failures_count = 0;
        // A batch that was too much for the hook comes again in halves.
        let mut events_max = EVENTS_PER_BATCH_MAX;
        let health_name = format!("post-event {}", self.name);
        loop {
            head.mark_unchanged();
            let page = self.read(place.cursor, events_max).await;
            if page.end == place.cursor {
                if stop.is_cancelled() {
                    break;
                }
                tokio::select! {
                    () = stop.cancelled() => {}
                    changed = head.changed() => if changed.is_err() { break },
                    () = sleep_until(place.save_at()), if place.is_unsaved() => {
                        if !place.save(&self.store).await {
                            break;
                        }
                        continue;
                    }
                }
                // A moment later there is more to tell at once; nobody waits for it.
                tokio::time::sleep(POST_EVENT_GATHER).await;
                continue;
            }
            let events: Vec<Event> = page.entries.into_iter().map(event).collect();
            if events.is_empty() {
                self.pass_over(&page.passed_over);
                place.cursor = page.end;
                continue;
            }
            let Some(hook) = self.hook.borrow_and_update().clone() else {
                tokio::select! {
                    () = stop.cancelled() => break,
                    changed = self.hook.changed() => if changed.is_err() { break },
                }
                continue;
            };
            let Some(reason) = tell(&hook, &events).await else {
                self.pass_over(&page.passed_over);
                if failures_count >= POST_EVENT_FAILURES_DEGRADED {
                    self.degraded.clear(&health_name);
                }
                (failures_count, wait) = (0, first_wait);
                events_max = (events_max * 2).min(EVENTS_PER_BATCH_MAX);
                place.cursor = page.end;
                if place.save_at() <= Instant::now() && !place.save(&self.store).await {
                    break;
                }
                continue;
            };
            failures_count += 1;
            events_max = (events.len() / 2).max(1);
            if failures_count >= POST_EVENT_FAILURES_DEGRADED {
                self.degraded.set(
                    &health_name,
                    format!("it does not take its events: {reason}"),
                );
            }
            tracing::warn!(
                hook = self.name,
                plugin = hook.plugin_name(),
                events = events.len(),
                reason,
                wait_ms = wait.as_millis() as u64,
                "a post-event hook failed; the events come again"
            );
            // It is the next version's turn as soon as there is one, and the old one is to go then.
            drop(hook);
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(jittered(wait)) => wait = (wait * 2).min(longest_wait),
                Ok(()) = self.hook.changed() => (failures_count, wait) = (0, first_wait),
            }
        }
        place.save(&self.store).await;
    }

    /// Says which events this hook will never be told. What is damaged stays so, and must not keep back the rest.
    fn pass_over(&self, passed_over: &[PassedOver]) {
        for lost in passed_over {
            tracing::error!(
                hook = self.name,
                first = lost.first.0,
                last = lost.last.0,
                error = &lost.reason as &dyn std::error::Error,
                "rows of the journal cannot be read; their events are not told"
            );
        }
    }

    /// The next events; none where the journal cannot be read, which the log says.
    async fn read(&self, after: Cursor, events_max: usize) -> JournalPage {
        let store = self.store.clone();
        let read =
            tokio::task::spawn_blocking(move || store.journal(after, events_max, EVENTS_BYTES_MAX));
        match read.await {
            Ok(Ok(page)) => page,
            Ok(Err(error)) => {
                tracing::error!(
                    hook = self.name,
                    error = &error as &dyn std::error::Error,
                    "the journal cannot be read"
                );
                JournalPage {
                    entries: Vec::new(),
                    passed_over: Vec::new(),
                    end: after,
                }
            }
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    }
}

/// Hands over a batch; why the hook did not take it.
async fn tell(hook: &PostEvent, events: &[Event]) -> Option<String> {
    match hook.handle(events).await {
        Ok(Ok(())) => None,
        Ok(Err(reason)) => Some(reason),
        Err(fault) => Some(fault.to_string()),
    }
}

/// How far a hook has been told, in memory and on disk.
struct Place {
    name: String,
    cursor: Cursor,
    saved: Cursor,
    saved_at: Instant,
}

impl Place {
    /// Where the hook was; a new one starts at now, and from then on its place is on disk.
    async fn find(store: &Store, hook: &str) -> Option<Self> {
        let name = format!("post-event/{hook}");
        let cursor = match store.cursor(&name) {
            Ok(Some(cursor)) => cursor,
            Ok(None) => {
                let head = *store.journal_head().borrow();
                store.set_cursor(&name, head).await.ok()?
            }
            Err(error) => {
                tracing::error!(
                    hook,
                    error = &error as &dyn std::error::Error,
                    "a post-event cursor cannot be read"
                );
                return None;
            }
        };
        Some(Self {
            name,
            cursor,
            saved: cursor,
            saved_at: Instant::now(),
        })
    }

    fn is_unsaved(&self) -> bool {
        self.saved != self.cursor
    }

    /// When it is to be put on disk next, if it moved.
    fn save_at(&self) -> Instant {
        self.saved_at + POST_EVENT_SAVE_EVERY
    }

    /// Puts the place on disk where it moved. False where the store takes no more.
    async fn save(&mut self, store: &Store) -> bool {
        if !self.is_unsaved() {
            return true;
        }
        self.saved = self.cursor;
        self.saved_at = Instant::now();
        store.set_cursor(&self.name, self.cursor).await.is_ok()
    }
}

fn jittered(wait: Duration) -> Duration {
    wait.mul_f64(0.8 + 0.4 * crate::clock::chance())
}

fn event(entry: JournalEntry) -> Event {
    let JournalEntry {
        row,
        message,
        attributes,
        planned,
    } = entry;
    let (delivery, from, to) = match row.subject {
        Subject::Delivery { id, from, to } => (Some(id.0), from.map(|s| s.as_str()), to.as_str()),
        Subject::Message { standing, .. } => (None, None, standing.as_str()),
    };
    Event {
        cursor: row.cursor.0,
        message_id: message.into(),
        delivery,
        channel: planned.map(|planned| planned.channel.to_string()),
        from_status: from.map(str::to_owned),
        to_status: to.to_owned(),
        cause: row.cause.to_string(),
        attempt: row.attempt.as_ref().map_or(0, |attempt| attempt.number),
        at_ms: row.at.0,
        attributes,
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
