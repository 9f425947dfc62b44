//! Receiving status updates: they are on disk before their sender is answered, and applied afterwards.

use wharf_core::Update;

use crate::error::{ReadError, WriteError};
use crate::group::Group;
use crate::operation::updates::Place;
use crate::request::Write;
use crate::store::Store;
use crate::table::update;

/// An update made ready for the writer by its caller's thread.
pub(crate) struct Received {
    due: wharf_core::TimeMs,
    value: Vec<u8>,
}

impl Received {
    pub(crate) fn bytes(&self) -> usize {
        self.value.len()
    }
}

impl Store {
    /// Puts updates into the queue in one commit, due at once. Returns the number of each once they are on disk. What they
    /// are about is not looked at: they may come before it.
    pub async fn receive(&self, batch: &[Update]) -> Result<Vec<u64>, WriteError> {
        let received = batch.iter().map(|one| Received {
            due: one.received_at,
            value: update::encode(one, 0),
        });
        let received: Vec<_> = received.collect();
        let bytes = received.iter().map(Received::bytes).sum();
        self.write(received, bytes, Write::Receive).await
    }
}

/// The writer's part.
pub(crate) fn apply(group: &mut Group<'_>, batch: &[Received]) -> Result<Vec<u64>, ReadError> {
    let mut numbers = Vec::with_capacity(batch.len());
    for Received { due, value } in batch {
        let number = group.next_update()?;
        let place = Place { due: *due, number };
        let mut table = group.tx.open_table(update::TABLE)?;
        table.insert(update::key(place), value.as_slice())?;
        numbers.push(number);
    }
    group.updates_changed();
    Ok(numbers)
}
