//! Status updates: how many wait, and what became of the others.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use wharf_store::Store;

use super::{Numbers, Page};
use crate::updates::Counted;

pub(crate) struct UpdateNumbers {
    pub(crate) store: Store,
    pub(crate) counted: Arc<Counted>,
}

impl Numbers for UpdateNumbers {
    fn write(&self, page: &mut Page<'_>) -> fmt::Result {
        // What cannot be read is not there: the store says so elsewhere.
        let waiting = self.store.updates_count().ok();
        page.gauge(
            "updates_waiting",
            "Status updates that are in the queue.",
            None,
            waiting.map(|count| (vec![], count as f64)),
        )?;
        let Counted {
            applied,
            known,
            conflict,
            parked,
        } = &*self.counted;
        let results = [
            ("applied", applied),
            ("known", known),
            ("conflict", conflict),
            ("parked", parked),
        ];
        page.counter(
            "updates",
            "Status updates that left the queue, by what became of them.",
            results
                .map(|(result, count)| (vec![("result", result)], count.load(Ordering::Relaxed))),
        )
    }
}
