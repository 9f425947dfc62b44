//! What a start reads: the state row, the tails of open chunks, and the deliveries that have a row.

use std::collections::BTreeMap;

use bytes::Bytes;
use redb::{ReadableTable, ReadableTableMetadata};
use wharf_core::{DeliveryId, MessageSeq, Status};

use crate::error::{Malformed, ReadError};
use crate::group::Filed;
use crate::index::Index;
use crate::read::Snapshot;
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

/// Fills an empty index. Reads no messages. Returns how many rows were scanned.
pub(crate) fn fill(index: &mut Index, snapshot: &Snapshot) -> Result<u64, ReadError> {
    let open = snapshot.tx().open_table(tails::OPEN)?;
    for entry in open.iter()? {
        let (first, value) = entry?;
        fill_chunk(index, first.value(), &Tails::read(value.value())?)?;
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
        index.file(at, &filed);
    }
    Ok(open.len()? + rows.len()?)
}

fn fill_chunk(index: &mut Index, first: u64, tails: &Tails) -> Result<(), ReadError> {
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
                index.file(*at, &filed);
            }
        }
    }
    Ok(())
}
