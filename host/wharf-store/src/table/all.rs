//! Every table of a file, once: what a new file is laid out with, what a backup copies, what is measured.

use redb::{Key, TableDefinition, Value};

use super::{
    chunk, claimed, cursor, delivery, due, id_filter, id_log, id_run, journal, keyed, meta, parked,
    tails, wire,
};

/// What is done with each table.
pub(crate) trait Visit {
    /// Why it cannot be done.
    type Error;

    fn table<K: Key + 'static, V: Value + 'static>(
        &mut self,
        table: TableDefinition<'static, K, V>,
    ) -> Result<(), Self::Error>;
}

/// How many there are.
pub(crate) const COUNT: u64 = 15;

/// Visits every table.
pub(crate) fn each<V: Visit>(visit: &mut V) -> Result<(), V::Error> {
    for table in [
        chunk::TABLE,
        tails::OPEN,
        tails::CLOSED,
        delivery::TABLE,
        wire::TABLE,
        journal::TABLE,
        id_log::TABLE,
        claimed::TABLE,
        parked::TABLE,
    ] {
        visit.table(table)?;
    }
    for table in [id_run::TABLE, id_filter::TABLE] {
        visit.table(table)?;
    }
    for table in [cursor::TABLE, keyed::TABLE, meta::TABLE] {
        visit.table(table)?;
    }
    visit.table(due::TABLE)
}
