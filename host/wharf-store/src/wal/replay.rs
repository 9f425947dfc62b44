//! What a start makes of a log: the tables as they were with the last commit.

use redb::{Database, Key, TableDefinition, Value, WriteTransaction};
use tracing::info;
use wharf_core::HashKey;

use super::changes::{self, Change};
use super::file::Log;
use super::position::Position;
use super::record;
use crate::error::{Malformed, OpenError, ReadError};
use crate::table::all::{self, Visit};
use crate::table::meta;

/// Brings the tables of a store that was not closed to where its log ends. Done twice, it does no harm.
pub(crate) fn replay(
    database: &Database,
    log: &Log,
    key: &HashKey,
    stands: Position,
) -> Result<Position, OpenError> {
    let read = |source| log.error(source);
    let mut bytes = vec![0; log.backend.len().map_err(read)? as usize];
    log.backend.read(0, &mut bytes).map_err(read)?;
    let bodies = record::find(&mut bytes, key, stands)?;
    drop(bytes);
    let position = Position {
        records: bodies.len() as u64,
        ..stands
    };
    if position != stands {
        // The last one may be in the machine's memory alone; what is in the tables is in the log.
        log.backend.sync_data().map_err(read)?;
        apply(database, &bodies, position).map_err(OpenError::Read)?;
        info!(records = bodies.len(), "the log was applied");
    }
    Ok(position)
}

fn apply(database: &Database, bodies: &[Vec<u8>], position: Position) -> Result<(), ReadError> {
    let mut by_table: Vec<Vec<Change<'_>>> = (0..all::COUNT).map(|_| Vec::new()).collect();
    for body in bodies {
        for change in changes::read(body)? {
            let table = by_table.get_mut(usize::from(change.table));
            table
                .ok_or(Malformed("a record of the log names an unknown table"))?
                .push(change);
        }
    }
    let mut tx = database.begin_write()?;
    all::each(&mut Apply {
        tx: &tx,
        changes: by_table.into_iter(),
    })?;
    tx.open_table(meta::TABLE)?
        .insert(meta::LOG_NAME, position.encode().as_slice())?;
    tx.set_quick_repair(true);
    tx.commit()?;
    Ok(())
}

struct Apply<'a> {
    tx: &'a WriteTransaction,
    changes: std::vec::IntoIter<Vec<Change<'a>>>,
}

impl Visit for Apply<'_> {
    type Error = ReadError;

    fn table<K: Key + 'static, V: Value + 'static>(
        &mut self,
        table: TableDefinition<'static, K, V>,
    ) -> Result<(), ReadError> {
        let mut table = self.tx.open_table(table)?;
        for change in self.changes.next().unwrap_or_default() {
            let key = K::from_bytes(change.key);
            match change.value {
                Some(value) => drop(table.insert(key, V::from_bytes(value))?),
                None => drop(table.remove(key)?),
            }
        }
        Ok(())
    }
}
