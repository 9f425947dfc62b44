//! What does not work although the server runs: told by `/readyz`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use wharf_api::Named;

/// The list, shared by those who add to it and those who show it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Degraded(Arc<Mutex<BTreeMap<String, String>>>);

impl Degraded {
    /// Something does not work, and why. Whether that is new.
    pub(crate) fn set(&self, name: &str, reason: impl Into<String>) -> bool {
        let reason = reason.into();
        let last = self.lock().insert(name.to_owned(), reason.clone());
        last.is_none_or(|last| last != reason)
    }

    /// It works. Whether that is new.
    pub(crate) fn clear(&self, name: &str) -> bool {
        self.lock().remove(name).is_some()
    }

    /// All of it, by name.
    pub(crate) fn list(&self) -> Vec<Named> {
        self.lock()
            .iter()
            .map(|(name, reason)| Named {
                name: name.clone(),
                reason: reason.clone(),
            })
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
