//! How far a hook has been told, in memory and on disk.

use tokio::time::Instant;
use wharf_core::Cursor;
use wharf_store::{Parked, Store};

use crate::limits::POST_EVENT_SAVE_EVERY;

/// What the store has a hook's place under.
pub(crate) fn cursor_name(hook: &str) -> String {
    format!("post-event/{hook}")
}

/// A hook's place in the journal.
pub(super) struct Place {
    name: String,
    pub(super) cursor: Cursor,
    saved: Cursor,
    saved_at: Instant,
}

impl Place {
    /// Where the hook was; a new one starts at now, and from then on its place is on disk.
    pub(super) async fn find(store: &Store, hook: &str) -> Option<Self> {
        let name = cursor_name(hook);
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

    pub(super) fn is_unsaved(&self) -> bool {
        self.saved != self.cursor
    }

    /// When it is to be put on disk next, if it moved.
    pub(super) fn save_at(&self) -> Instant {
        self.saved_at + POST_EVENT_SAVE_EVERY
    }

    /// Puts the place on disk where it moved. False where the store takes no more.
    pub(super) async fn save(&mut self, store: &Store) -> bool {
        if !self.is_unsaved() {
            return true;
        }
        self.saved = self.cursor;
        self.saved_at = Instant::now();
        store.set_cursor(&self.name, self.cursor).await.is_ok()
    }

    /// What the cursor is kept under.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Parks what the hook does not take, and goes on after it, in one commit. False where the store takes no more.
    pub(super) async fn park(&mut self, store: &Store, parked: Parked, end: Cursor) -> bool {
        let reader = Some((self.name.as_str(), end));
        if store.park(parked, reader).await.is_err() {
            return false;
        }
        (self.cursor, self.saved, self.saved_at) = (end, end, Instant::now());
        true
    }
}
