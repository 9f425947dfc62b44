//! What updates there are, and when they are looked at again.

use redb::{ReadableTable, ReadableTableMetadata};
use tokio::sync::watch;
use tracing::error;
use wharf_core::{TimeMs, Update};

use crate::error::ReadError;
use crate::store::Store;
use crate::table::update;

/// Where an update stands in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// When it is looked at again.
    pub due: TimeMs,
    /// Its number, in the order of coming, from 1.
    pub number: u64,
}

/// An update that waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Where it stands.
    pub place: Place,
    /// How often it could not be applied.
    pub tries: u32,
    /// What it says.
    pub update: Update,
}

/// What is to be done about updates now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueUpdates {
    /// The first of those that are due, in order.
    pub due: Vec<Waiting>,
    /// When the first of the others is; none where there are none.
    pub next: Option<TimeMs>,
}

impl Store {
    /// The updates that are due by `now`, at most so many. Those that wait for the end of an attempt are left out; when it
    /// has come, [`Store::watch_updates`] tells.
    pub fn updates_due(&self, now: TimeMs, most: usize) -> Result<DueUpdates, ReadError> {
        self.read(|snapshot| {
            let table = snapshot.tx().open_table(update::TABLE)?;
            let mut found = DueUpdates {
                due: Vec::new(),
                next: None,
            };
            for entry in table.iter()? {
                let (key, value) = entry?;
                let place = update::place(key.value());
                if self.index().lock().is_awaited(place.number) {
                    continue;
                }
                if place.due > now || found.due.len() == most {
                    found.next = Some(place.due);
                    break;
                }
                match update::decode(value.value()) {
                    Ok((update, tries)) => found.due.push(Waiting {
                        place,
                        tries,
                        update,
                    }),
                    Err(cause) => {
                        error!(
                            update = place.number,
                            error = &cause as &dyn std::error::Error,
                            "a status update cannot be read, and is passed over"
                        );
                    }
                }
            }
            Ok(found)
        })
    }

    /// How many updates wait.
    pub fn updates_count(&self) -> Result<u64, ReadError> {
        self.read(|snapshot| Ok(snapshot.tx().open_table(update::TABLE)?.len()?))
    }

    /// Told anew whenever there are other updates to look at than before.
    #[must_use]
    pub fn watch_updates(&self) -> watch::Receiver<u64> {
        self.index().lock().watch_updates()
    }
}
