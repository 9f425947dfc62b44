//! Tells post-event hooks what was stored: each reads the journal through its own durable cursor.
//!
//! The journal is the outbox, there is no second one. A batch that a hook did not take comes again, in smaller pieces. The
//! cursor moves only after the hook returned, and is put on disk every so often: what was told since then comes again after
//! a crash.
//!
//! One event that a hook never takes must not keep back all others, and a hook that takes nothing (its own receiver is
//! down) must lose nothing. So an event is parked when the hook has failed on it alone, again and again, *and* then takes
//! one of those after it (`caution`).
//!
//! Limits of the choice: the hook sees that later event before the ones after the parked one, and again if the process ends
//! in between; where so many in a row are not taken as are tried at once, none is parked.

mod caution;
mod event;
mod place;

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;
use wharf_core::Cursor;
use wharf_plugin::{Event, PostEvent};
use wharf_store::{JournalPage, Parked, PassedOver, Store};

use crate::clock;
use crate::degraded::Degraded;
use crate::limits::{EVENTS_BYTES_MAX, POST_EVENT_FAILURES_DEGRADED, POST_EVENT_GATHER};

use caution::{Caution, Suspect, Told};
use event::{as_json, event};
pub(crate) use place::cursor_name;

use place::Place;

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
        let mut caution = Caution::new();
        loop {
            head.mark_unchanged();
            let after = caution.after(place.cursor);
            let page = self.read(after, caution.events_max()).await;
            if page.end == after {
                if stop.is_cancelled() {
                    break;
                }
                // Without an event after it nothing tells whether it is this one or the hook.
                let again = caution.nothing_after();
                tokio::select! {
                    () = stop.cancelled() => {}
                    changed = head.changed() => if changed.is_err() { break },
                    () = sleep(again.unwrap_or_default()), if again.is_some() => continue,
                    () = sleep_until(place.save_at()), if place.is_unsaved() => {
                        if !place.save(&self.store).await {
                            break;
                        }
                        continue;
                    }
                }
                // A moment later there is more to tell at once; nobody waits for it.
                sleep(POST_EVENT_GATHER).await;
                continue;
            }
            let events: Vec<Event> = page.entries.into_iter().map(event).collect();
            if events.is_empty() {
                self.pass_over(&page.passed_over);
                if !caution.skip_to(page.end) {
                    place.cursor = page.end;
                }
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
                for suspect in caution.taken(page.end) {
                    if !self.park(suspect, &mut place).await {
                        return;
                    }
                }
                self.pass_over(&page.passed_over);
                self.degraded.clear(&self.health_name());
                place.cursor = page.end;
                if place.save_at() <= Instant::now() && !place.save(&self.store).await {
                    break;
                }
                continue;
            };
            let told = Told {
                events,
                end: page.end,
                passed_over: page.passed_over,
            };
            self.tell_failure(&hook, &told, &reason);
            let wait = caution.failed(told, reason);
            if caution.failures_count() >= POST_EVENT_FAILURES_DEGRADED {
                let reason = caution.last_reason();
                let reason = format!("it does not take its events: {reason}");
                self.degraded.set(&self.health_name(), reason);
            }
            // It is the next version's turn as soon as there is one, and the old one is to go then.
            drop(hook);
            tokio::select! {
                () = stop.cancelled() => break,
                () = sleep(jittered(wait)) => {}
                Ok(()) = self.hook.changed() => caution = Caution::new(),
            }
        }
        place.save(&self.store).await;
    }

    /// Puts aside an event that the hook does not take although it takes others. False where the store takes no more.
    async fn park(&self, suspect: Suspect, place: &mut Place) -> bool {
        let Suspect { told, reason } = suspect;
        let Some(event) = told.events.first() else {
            return true;
        };
        tracing::error!(
            hook = self.name,
            message_id = event.message_id,
            delivery = event.delivery,
            channel = event.channel,
            cursor = event.cursor,
            reason,
            "a post-event hook does not take this event, and takes others; it is parked"
        );
        let parked = Parked {
            source: place.name().to_owned(),
            reason,
            at: clock::now(),
            content_type: "application/json".to_owned(),
            content: as_json(event).to_string().into_bytes(),
        };
        let is_parked = place.park(&self.store, parked, told.end).await;
        self.pass_over(&told.passed_over);
        is_parked
    }

    fn tell_failure(&self, hook: &PostEvent, told: &Told, reason: &str) {
        tracing::warn!(
            hook = self.name,
            plugin = hook.plugin_name(),
            events = told.events.len(),
            reason,
            "a post-event hook failed; the events come again"
        );
    }

    fn health_name(&self) -> String {
        format!("post-event {}", self.name)
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

fn jittered(wait: Duration) -> Duration {
    wait.mul_f64(0.8 + 0.4 * clock::chance())
}
