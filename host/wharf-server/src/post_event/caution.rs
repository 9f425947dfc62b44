//! What a hook is told next after it failed: a smaller piece, the same event alone, or one of those after it.
//!
//! | after | next |
//! | --- | --- |
//! | a batch was not taken | its first half, and so on until the hook takes it or one event is left |
//! | a piece of such a batch was taken | half as many of what is left of the batch |
//! | an event alone was not taken | the same again, each time after a longer wait |
//! | that too often | the one after it, alone: is it the event or the hook? |
//! | that one is taken | those before it are the suspects no more: they are to be parked |
//! | none of the next few is taken | it is the hook: after the longest wait all over again |

use std::time::Duration;

use wharf_core::Cursor;
use wharf_plugin::Event;
use wharf_store::PassedOver;

use crate::limits::{
    EVENTS_PER_BATCH_MAX, POST_EVENT_ALONE_MAX, POST_EVENT_BACKOFF, POST_EVENT_SUSPECTS_MAX,
};

/// What a hook was told.
pub(super) struct Told {
    pub(super) events: Vec<Event>,
    /// The last row that it was made of.
    pub(super) end: Cursor,
    pub(super) passed_over: Vec<PassedOver>,
}

/// An event that was not taken, alone, and why.
pub(super) struct Suspect {
    pub(super) told: Told,
    pub(super) reason: String,
}

/// The state of one hook.
pub(super) struct Caution {
    events_max: usize,
    /// The end of the batch that has something in it which was not taken.
    trouble_end: Option<Cursor>,
    failures_count: u32,
    /// Of one event alone.
    alone_count: u32,
    suspects: Vec<Suspect>,
    wait: Duration,
    last_reason: String,
}

impl Caution {
    pub(super) fn new() -> Self {
        Self {
            events_max: EVENTS_PER_BATCH_MAX,
            trouble_end: None,
            failures_count: 0,
            alone_count: 0,
            suspects: Vec::new(),
            wait: POST_EVENT_BACKOFF.0,
            last_reason: String::new(),
        }
    }

    /// The row after which the next events are.
    pub(super) fn after(&self, cursor: Cursor) -> Cursor {
        self.suspects.last().map_or(cursor, |last| last.told.end)
    }

    /// How many of them.
    pub(super) fn events_max(&self) -> usize {
        self.events_max
    }

    /// There is nothing to tell up to a row. Whether it is what comes after a suspect.
    pub(super) fn skip_to(&mut self, end: Cursor) -> bool {
        let Some(last) = self.suspects.last_mut() else {
            return false;
        };
        last.told.end = end;
        true
    }

    /// Failures since something was taken.
    pub(super) fn failures_count(&self) -> u32 {
        self.failures_count
    }

    pub(super) fn last_reason(&self) -> &str {
        &self.last_reason
    }

    /// It was taken up to a row. What is to be parked now.
    pub(super) fn taken(&mut self, end: Cursor) -> Vec<Suspect> {
        let suspects = std::mem::take(&mut self.suspects);
        self.events_max = match self.trouble_end {
            Some(trouble_end) if end < trouble_end => (self.events_max / 2).max(1),
            _ => {
                self.trouble_end = None;
                (self.events_max * 2).min(EVENTS_PER_BATCH_MAX)
            }
        };
        (self.failures_count, self.alone_count) = (0, 0);
        self.wait = POST_EVENT_BACKOFF.0;
        suspects
    }

    /// It was not taken. How long to wait.
    pub(super) fn failed(&mut self, told: Told, reason: String) -> Duration {
        let (first_wait, longest_wait) = POST_EVENT_BACKOFF;
        self.failures_count = self.failures_count.saturating_add(1);
        self.last_reason.clone_from(&reason);
        if told.events.len() > 1 {
            self.events_max = told.events.len() / 2;
            self.trouble_end = Some(told.end);
            return first_wait;
        }
        self.events_max = 1;
        if self.suspects.is_empty() {
            self.alone_count = self.alone_count.saturating_add(1);
        }
        if self.alone_count >= POST_EVENT_ALONE_MAX {
            self.suspects.push(Suspect { told, reason });
            if self.suspects.len() <= POST_EVENT_SUSPECTS_MAX {
                return first_wait;
            }
            self.suspects.clear();
        }
        let wait = self.wait;
        self.wait = (wait * 2).min(longest_wait);
        wait
    }

    /// There is no event after the suspects. After how long to tell the first one again; none without suspects.
    pub(super) fn nothing_after(&mut self) -> Option<Duration> {
        if self.suspects.is_empty() {
            return None;
        }
        self.suspects.clear();
        let wait = self.wait;
        self.wait = (wait * 2).min(POST_EVENT_BACKOFF.1);
        Some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a hook took, what was parked, and how many calls that were.
    #[derive(Debug, PartialEq, Eq)]
    struct End {
        taken: Vec<u64>,
        parked: Vec<u64>,
        calls_count: usize,
    }

    /// Tells a hook of rows `1..=last`, of which it does not take some; up to so many calls.
    fn run(last: u64, takes: impl Fn(u64) -> bool, calls_max: usize) -> End {
        let mut caution = Caution::new();
        let (mut cursor, mut end) = (
            0,
            End {
                taken: Vec::new(),
                parked: Vec::new(),
                calls_count: 0,
            },
        );
        while end.calls_count < calls_max && cursor < last {
            let after = caution.after(Cursor(cursor)).0;
            let until = last.min(after + caution.events_max() as u64);
            if until == after {
                assert!(caution.nothing_after().is_some());
                continue;
            }
            end.calls_count += 1;
            if (after + 1..=until).all(&takes) {
                let parked = caution.taken(Cursor(until));
                end.parked
                    .extend(parked.iter().map(|suspect| suspect.told.end.0));
                end.taken.extend(after + 1..=until);
                cursor = until;
            } else {
                let events = (after + 1..=until).map(event).collect();
                let told = Told {
                    events,
                    end: Cursor(until),
                    passed_over: Vec::new(),
                };
                let wait = caution.failed(told, "no".to_owned());
                assert!(wait <= POST_EVENT_BACKOFF.1);
            }
        }
        end
    }

    fn event(cursor: u64) -> Event {
        Event {
            cursor,
            message_id: format!("m{cursor}"),
            delivery: None,
            channel: None,
            from_status: None,
            to_status: "queued".to_owned(),
            cause: "accepted".to_owned(),
            attempt: 0,
            at_ms: 0,
            attributes: Vec::new(),
            notes: Vec::new(),
        }
    }

    #[track_caller]
    fn check(last: u64, refused: &[u64], calls_max: usize) {
        let end = run(last, |row| !refused.contains(&row), calls_max);
        let expected: Vec<_> = (1..=last).filter(|row| !refused.contains(row)).collect();
        assert_eq!((end.taken, end.parked), (expected, refused.to_vec()));
        assert!(end.calls_count < calls_max, "{} calls", end.calls_count);
    }

    #[test]
    fn one_that_is_not_taken_is_parked_wherever_it_is() {
        check(1000, &[], 6);
        check(1000, &[1], 30);
        check(1000, &[500], 40);
        check(1000, &[200, 201, 202], 70);
        check(1000, &[3, 700, 999], 100);
        check(40, &(2..16).collect::<Vec<_>>(), 60);
    }

    /// The last one may still be taken: nothing waits for it.
    #[test]
    fn nothing_is_parked_without_one_after_it() {
        let end = run(10, |row| row != 10, 100);
        assert_eq!((end.taken.len(), end.parked.len()), (9, 0));
    }

    #[test]
    fn a_hook_that_takes_nothing_loses_nothing() {
        let end = run(1000, |_| false, 1000);
        assert_eq!((end.taken.len(), end.parked.len()), (0, 0));
    }
}
