//! What a start reads: the state row, the tails of open chunks, and the deliveries that have a row.

use std::collections::BTreeMap;

use bytes::Bytes;
use redb::{ReadableTable, ReadableTableMetadata};
use wharf_core::{DeliveryId, MessageSeq, Status};

use crate::error::{Malformed, ReadError};
use crate::group::Filed;
use crate::index::{Index, QueueAt};
use crate::limits::FOUND_CLAIMED_MAX;
use crate::read::Snapshot;
use crate::table::claimed::{self, Claimed};
use crate::table::delivery::{self, Row};
use crate::table::state::State;
use crate::table::tails::{self, Tails};
use crate::table::{id_entry::IdKey, keyed, meta};

/// The writer's state as of the last commit.
pub(crate) fn state(snapshot: &Snapshot) -> Result<State, ReadError> {
    let table = snapshot.tx().open_table(meta::TABLE)?;
    let value = ReadableTable::get(&table, meta::STATE_NAME)?;
    let value = value.ok_or(Malformed("the state row is missing"))?;
    Ok(State::decode(value.value())?)
}

/// The key that this store hashes ids with.
pub(crate) fn id_key(snapshot: &Snapshot) -> Result<IdKey, ReadError> {
    let table = snapshot.tx().open_table(meta::TABLE)?;
    let value = ReadableTable::get(&table, meta::ID_KEY_NAME)?;
    let value = value.ok_or(Malformed("the id key is missing"))?;
    match value.value().split_first() {
        Some((&meta::ID_KEY_VERSION, key)) => {
            let key = key
                .try_into()
                .map_err(|_| Malformed("the id key has the wrong length"))?;
            Ok(IdKey(key))
        }
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
    fn is_suspect(&self, id: DeliveryId) -> bool {
        let claimed = self.claimed.get(&id);
        claimed.is_some_and(|claimed| claimed.found_count < FOUND_CLAIMED_MAX)
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

/// Fills an empty index. Reads no messages. Returns how many rows were scanned.
pub(crate) fn fill(index: &mut Index, snapshot: &Snapshot, past: &Past) -> Result<u64, ReadError> {
    if !past.is_clean {
        index.be_careful();
    }
    let open = snapshot.tx().open_table(tails::OPEN)?;
    for entry in open.iter()? {
        let (first, value) = entry?;
        fill_chunk(index, first.value(), &Tails::read(value.value())?, past)?;
    }
    let rows = snapshot.tx().open_table(delivery::TABLE)?;
    for entry in rows.iter()? {
        let (id, value) = entry?;
        let row = Row::decode(value.value())?;
        let at = index.queue(&row.channel);
        let filed = Filed {
            id: DeliveryId(id.value()),
            from: None,
            status: row.status,
            due: row.due,
            has_row: true,
        };
        file(index, at, &filed, past);
    }
    Ok(open.len()? + rows.len()?)
}

fn file(index: &mut Index, at: QueueAt, filed: &Filed, past: &Past) {
    if filed.status.is_sendable() && past.is_suspect(filed.id) {
        index.file_suspect(at, filed);
    } else {
        index.file(at, filed);
    }
}

fn fill_chunk(index: &mut Index, first: u64, tails: &Tails, past: &Past) -> Result<(), ReadError> {
    let queues: Vec<_> = tails
        .names()?
        .iter()
        .map(|name| index.queue(name))
        .collect();
    for message in 0..tails.messages_count() {
        let seq = MessageSeq(first + message as u64);
        for (place, slot) in (0..).zip(tails.slots(message)) {
            if tails.tail(slot)?.is_open() {
                let at = queues.get(tails.channel(slot));
                let at = at.ok_or(Malformed("a delivery has no channel"))?;
                let filed = Filed {
                    id: DeliveryId::new(seq, place),
                    from: None,
                    status: Status::Queued,
                    due: None,
                    has_row: false,
                };
                file(index, *at, &filed, past);
            }
        }
    }
    Ok(())
}
