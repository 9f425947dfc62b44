//! What the store's file holds, and what retention has removed.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use prometheus_client::registry::Unit;
use wharf_store::Store;

use super::{Numbers, Page};
use crate::retention::Counted;

pub(crate) struct SpaceNumbers {
    pub(crate) store: Store,
    pub(crate) counted: Arc<Counted>,
}

impl Numbers for SpaceNumbers {
    fn write(&self, page: &mut Page<'_>) -> fmt::Result {
        let stats = self.store.stats();
        let space = stats.space;
        page.gauge(
            "store_content",
            "What messages and the journal take in the store's file.",
            Some(&Unit::Bytes),
            [
                (vec![("of", "messages")], space.message_bytes as f64),
                (vec![("of", "journal")], space.journal_bytes as f64),
            ],
        )?;
        page.gauge(
            "store_first",
            "The first message whose id is known, and the first row of the journal that is kept.",
            None,
            [
                (vec![("of", "ids")], stats.ids.from.0 as f64),
                (vec![("of", "journal")], space.journal_from.0 as f64),
            ],
        )?;
        page.counter(
            "pruned",
            "What retention has removed since the store was made.",
            [
                (vec![("what", "messages")], space.pruned_messages),
                (vec![("what", "deliveries")], space.pruned_deliveries),
                (vec![("what", "journal-rows")], space.pruned_rows),
            ],
        )?;
        page.counter(
            "post_event_missed_rows",
            "Rows of the journal that were removed although a post-event hook had yet to be told of them.",
            [(vec![], self.counted.untold_rows.load(Ordering::Relaxed))],
        )?;
        page.counter(
            "retention_rounds",
            "How often everything was looked through, and nothing was left to remove.",
            [(vec![], self.counted.rounds.load(Ordering::Relaxed))],
        )
    }
}
