//! `[store]`.

use std::time::Duration;

use super::super::bounds;
use super::super::file::Store;
use super::Resolver;
use crate::disk::Marks;
use crate::retention::Policy;

/// How long the journal is kept where nothing else is said.
const JOURNAL_RETENTION: Duration = Duration::from_secs(30 * 24 * 3600);

impl Resolver<'_> {
    pub(super) fn marks(&mut self, store: &Store) -> Marks {
        let Store {
            accept_free,
            dispatch_free,
            ..
        } = store;
        if dispatch_free > accept_free {
            self.problem(format!(
                "store.dispatch-free: {dispatch_free} is more than store.accept-free, {accept_free}: what is accepted \
                 could not be sent"
            ));
        }
        Marks {
            accept: accept_free.as_u64(),
            dispatch: dispatch_free.as_u64(),
        }
    }

    pub(super) fn retention(&mut self, store: &Store) -> Policy {
        let (ended, dead) = (store.retention.0, store.dead_letter_retention.0);
        let journal = store.journal_retention.map(|journal| journal.0);
        let ages = [
            ("retention", Some(ended)),
            ("dead-letter-retention", Some(dead)),
            ("deduplication-window", Some(store.deduplication_window.0)),
            ("journal-retention", journal),
        ];
        for (key, age) in ages {
            self.within(format!("store.{key}"), age, &bounds::RETENTION);
        }
        for (key, age) in &ages[..2] {
            if age.is_some_and(|age| journal.is_some_and(|journal| journal < age)) {
                self.problem(format!(
                    "store.journal-retention: it is shorter than store.{key}, and a message that ended is kept for no \
                     longer than the rows that say how"
                ));
            }
        }
        let hard = store.journal_hard_cap;
        if let Some(size) = store.journal_size.filter(|size| *size > hard) {
            self.problem(format!(
                "store.journal-hard-cap: {hard} is less than store.journal-size, {size}"
            ));
        }
        Policy {
            ended,
            dead,
            ids: store.deduplication_window.0,
            message_bytes_max: store.retention_size.map(|size| size.as_u64()),
            journal: journal.unwrap_or(ended.max(dead).max(JOURNAL_RETENTION)),
            journal_bytes_max: store.journal_size.map(|size| size.as_u64()),
            journal_bytes_hard: hard.as_u64(),
        }
    }
}
