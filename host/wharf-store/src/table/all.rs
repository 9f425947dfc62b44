//! Every table of a file, once: what a new file is laid out with, what a backup copies, what is measured, and the number
//! by which the log knows it.

use std::convert::Infallible;

use redb::{Key, TableDefinition, TableHandle, Value};

use super::{
    alias, chunk, claimed, cursor, delivery, due, id_filter, id_log, id_run, journal, keyed, meta,
    order, parked, tails, update, wire,
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
pub(crate) const COUNT: u64 = 20;

/// Visits every table, in the order of their numbers: another one comes last.
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
    visit.table(due::TABLE)?;
    visit.table(order::TABLE)?;
    visit.table(order::OF)?;
    visit.table(alias::TABLE)?;
    visit.table(alias::OF)?;
    visit.table(update::TABLE)
}

/// The number of a table, by which the log knows it.
pub(crate) fn number(table: &impl TableHandle) -> u8 {
    let mut find = Find {
        name: table.name(),
        next: 0,
        found: None,
    };
    let Ok(()) = each(&mut find);
    find.found.expect("every table is visited")
}

struct Find<'a> {
    name: &'a str,
    next: u8,
    found: Option<u8>,
}

impl Visit for Find<'_> {
    type Error = Infallible;

    fn table<K: Key + 'static, V: Value + 'static>(
        &mut self,
        table: TableDefinition<'static, K, V>,
    ) -> Result<(), Infallible> {
        if table.name() == self.name {
            self.found = Some(self.next);
        }
        self.next += 1;
        Ok(())
    }
}
