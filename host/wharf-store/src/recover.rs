//! What a start reads: the state row, what is counted of channels, and what was being attempted. It is as quick with
//! millions of deliveries as with none.

use std::collections::BTreeMap;

use bytes::Bytes;
use redb::ReadableTable;
use tracing::error;
use wharf_core::{ChannelName, DeliveryId, HashKey, TimeMs};

use crate::channels::Channels;
use crate::error::{Malformed, ReadError};
use crate::index::Index;
use crate::limits::FOUND_CLAIMED_MAX;
use crate::read::Snapshot;
use crate::table::claimed::{self, Claimed};
use crate::table::state::State;
use crate::table::tails::Place;
use crate::table::{keyed, meta};
use crate::wal::Position;

/// The writer's state as of the last commit.
pub(crate) fn state(snapshot: &Snapshot) -> Result<State, ReadError> {
    let table = snapshot.tx().open_table(meta::TABLE)?;
    let value = ReadableTable::get(&table, meta::STATE_NAME)?;
    let value = value.ok_or(Malformed("the state row is missing"))?;
    Ok(State::decode(value.value())?)
}

/// Where in the log the tables stand.
pub(crate) fn log_position(snapshot: &Snapshot) -> Result<Position, ReadError> {
    let table = snapshot.tx().open_table(meta::TABLE)?;
    let value = ReadableTable::get(&table, meta::LOG_NAME)?;
    let value = value.ok_or(Malformed("where the log stands is missing"))?;
    Ok(Position::decode(value.value())?)
}

/// The key that this store hashes ids with.
pub(crate) fn id_key(snapshot: &Snapshot) -> Result<HashKey, ReadError> {
    id_secret(snapshot).map(HashKey::new)
}

/// The same, as it is stored.
pub(crate) fn id_secret(snapshot: &Snapshot) -> Result<[u8; 32], ReadError> {
    let table = snapshot.tx().open_table(meta::TABLE)?;
    let value = ReadableTable::get(&table, meta::ID_KEY_NAME)?;
    let value = value.ok_or(Malformed("the id key is missing"))?;
    match value.value().split_first() {
        Some((&meta::ID_KEY_VERSION, key)) => Ok(key
            .try_into()
            .map_err(|_| Malformed("the id key has the wrong length"))?),
        _ => Err(Malformed("the version of the id key is unknown").into()),
    }
}

/// The named values.
pub(crate) fn keyed(snapshot: &Snapshot) -> Result<BTreeMap<String, Bytes>, ReadError> {
    let mut values = BTreeMap::new();
    for entry in snapshot.tx().open_table(keyed::TABLE)?.iter()? {
        let (name, value) = entry?;
        let value = Bytes::copy_from_slice(keyed::decode(value.value())?);
        values.insert(name.value().to_owned(), value);
    }
    Ok(values)
}

/// What the last stop left behind.
pub(crate) struct Past {
    pub(crate) is_clean: bool,
    /// What was being attempted then, and what waits to be tried alone. As this start finds it; none after a clean stop.
    pub(crate) claimed: BTreeMap<DeliveryId, Claimed>,
}

impl Past {
    /// What is to be tried alone.
    fn suspects(&self) -> impl Iterator<Item = DeliveryId> {
        let found = self.claimed.iter();
        let suspects = found.filter(|(_, claimed)| claimed.found_count < FOUND_CLAIMED_MAX);
        suspects.map(|(id, _)| *id)
    }

    /// What is to be given up.
    pub(crate) fn crashed(&self) -> impl Iterator<Item = DeliveryId> {
        let found = self.claimed.iter();
        let crashed = found.filter(|(_, claimed)| claimed.found_count >= FOUND_CLAIMED_MAX);
        crashed.map(|(id, _)| *id)
    }
}

/// Whether the last stop was clean.
pub(crate) fn is_clean(snapshot: &Snapshot) -> Result<bool, ReadError> {
    let meta = snapshot.tx().open_table(meta::TABLE)?;
    Ok(ReadableTable::get(&meta, meta::CLEAN_STOP_NAME)?.is_some())
}

/// How the last stop was, and which claims it left on disk.
pub(crate) fn past(snapshot: &Snapshot) -> Result<Past, ReadError> {
    let is_clean = is_clean(snapshot)?;
    let mut claimed = BTreeMap::new();
    if !is_clean {
        for entry in snapshot.tx().open_table(claimed::TABLE)?.iter()? {
            let (id, value) = entry?;
            let found = Claimed::decode(value.value())?.found();
            claimed.insert(DeliveryId(id.value()), found);
        }
    }
    Ok(Past { is_clean, claimed })
}

/// Fills an empty index with what is known without reading on: what is counted of each channel, and what is to be tried
/// alone. All else is read when its turn comes.
pub(crate) fn fill(
    index: &mut Index,
    snapshot: &Snapshot,
    state: &State,
    channels: &Channels,
    past: &Past,
    now: TimeMs,
) -> Result<(), ReadError> {
    if !past.is_clean {
        index.be_careful(now, state.next_seq);
    }
    for (name, channel) in channels.iter() {
        index.begin_channel(name, *channel);
    }
    for id in past.suspects() {
        match suspect(snapshot, id) {
            Ok(Some((name, has_row))) => {
                let at = index.queue(&name);
                index.file_suspect(at, id, has_row);
            }
            Ok(None) => {}
            Err(ReadError::Malformed(cause)) => {
                error!(delivery = %id, error = &cause as &dyn std::error::Error, "a delivery that was being attempted cannot be read, and is kept back");
            }
            Err(cause) => return Err(cause),
        }
    }
    index.set_state(state);
    Ok(())
}

/// The channel of a delivery that can be sent, and whether it has a row; none where it cannot.
fn suspect(snapshot: &Snapshot, id: DeliveryId) -> Result<Option<(ChannelName, bool)>, ReadError> {
    let (tails, message) = snapshot.tails(id.message())?;
    let Some(slot) = tails.slots(message).nth(usize::from(id.place())) else {
        return Ok(None);
    };
    match tails.tail(slot)?.place {
        Place::Delivery(status, has_row) if status.is_sendable() => {
            let names = tails.names()?;
            let name = names.get(tails.channel(slot));
            let name = name.ok_or(Malformed("a delivery has no channel"))?;
            Ok(Some((name.clone(), has_row)))
        }
        _ => Ok(None),
    }
}
