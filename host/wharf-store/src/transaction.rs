//! A transaction of the writer, which notes what it changes.
//!
//! What is noted goes into the log ([`crate::wal`]), so every change is made through a [`Table`] of this file. A commit
//! that is a checkpoint has no need of notes: it may change tables in any way that the engine has.

use std::borrow::Borrow;
use std::cell::RefCell;
use std::ops::Deref;

use redb::{Database, Durability, Key, TableDefinition, Value, WriteTransaction};

use crate::error::ReadError;
use crate::options::Planted;
use crate::table::{all, meta};
use crate::wal::{Changes, Position, Wal};

/// A transaction of the writer.
pub(crate) struct Transaction {
    tx: WriteTransaction,
    /// None in a checkpoint.
    changes: Option<RefCell<Changes>>,
}

/// A table of a [`Transaction`]. Reads are the engine's own.
pub(crate) struct Table<'tx, K: Key + 'static, V: Value + 'static> {
    rows: redb::Table<'tx, K, V>,
    number: u8,
    changes: Option<&'tx RefCell<Changes>>,
}

impl Transaction {
    /// Begins one that is logged: `changes` takes what it changes.
    pub(crate) fn logged(database: &Database, changes: Changes) -> Result<Self, ReadError> {
        Ok(Self {
            tx: database.begin_write()?,
            changes: Some(RefCell::new(changes)),
        })
    }

    /// Begins one that goes into the tables at once.
    pub(crate) fn checkpoint(database: &Database) -> Result<Self, ReadError> {
        let mut tx = database.begin_write()?;
        // A start after a crash finds the tables in order, however large they are.
        tx.set_quick_repair(true);
        Ok(Self { tx, changes: None })
    }

    pub(crate) fn is_checkpoint(&self) -> bool {
        self.changes.is_none()
    }

    pub(crate) fn open_table<K: Key + 'static, V: Value + 'static>(
        &self,
        table: TableDefinition<'_, K, V>,
    ) -> Result<Table<'_, K, V>, ReadError> {
        Ok(Table {
            number: all::number(&table),
            rows: self.tx.open_table(table)?,
            changes: self.changes.as_ref(),
        })
    }

    /// The engine's own transaction: to read, or to change something in a checkpoint.
    pub(crate) fn unlogged(&self) -> &WriteTransaction {
        &self.tx
    }

    /// Makes what was changed durable, and lets readers see it: through the log, where it has room, or as a checkpoint.
    /// After an error the outcome is unknown.
    pub(crate) fn commit(mut self, wal: &mut Wal, planted: Planted) -> Result<(), ReadError> {
        let changes = self.changes.take().map(RefCell::into_inner);
        match changes {
            Some(mut changes) if wal.has_room(&changes) => {
                if planted == Planted::LoseLogChange {
                    changes.drop_last();
                }
                let position = wal.position().after_record();
                self.put_position(position)?;
                // First on disk, then seen: nobody may see what a power cut could still take away.
                wal.append(&mut changes)?;
                self.tx
                    .set_durability(Durability::None)
                    .expect("no savepoint was made");
                self.tx.commit()?;
                wal.recycle(changes);
            }
            changes => {
                let position = wal.position().after_checkpoint();
                self.put_position(position)?;
                self.tx.set_quick_repair(true);
                self.tx.commit()?;
                wal.begin_again(position);
                if let Some(changes) = changes {
                    wal.recycle(changes);
                }
            }
        }
        Ok(())
    }

    /// Makes what was changed durable in a file that has no log yet.
    pub(crate) fn commit_without_log(self) -> Result<(), ReadError> {
        Ok(self.tx.commit()?)
    }

    pub(crate) fn abort(self, wal: &mut Wal) -> Result<(), ReadError> {
        self.tx.abort()?;
        if let Some(changes) = self.changes {
            wal.recycle(changes.into_inner());
        }
        Ok(())
    }

    fn put_position(&self, position: Position) -> Result<(), ReadError> {
        let mut table = self.tx.open_table(meta::TABLE)?;
        table.insert(meta::LOG_NAME, position.encode().as_slice())?;
        Ok(())
    }
}

impl<K: Key + 'static, V: Value + 'static> Table<'_, K, V> {
    pub(crate) fn insert<'k, 'v>(
        &mut self,
        key: impl Borrow<K::SelfType<'k>>,
        value: impl Borrow<V::SelfType<'v>>,
    ) -> Result<(), ReadError> {
        let (key, value) = (key.borrow(), value.borrow());
        self.note(key, Some(V::as_bytes(value).as_ref()));
        self.rows.insert(key, value)?;
        Ok(())
    }

    pub(crate) fn remove<'k>(
        &mut self,
        key: impl Borrow<K::SelfType<'k>>,
    ) -> Result<(), ReadError> {
        let key = key.borrow();
        self.note(key, None);
        self.rows.remove(key)?;
        Ok(())
    }

    fn note(&self, key: &K::SelfType<'_>, value: Option<&[u8]>) {
        if let Some(changes) = self.changes {
            let key = K::as_bytes(key);
            changes.borrow_mut().note(self.number, key.as_ref(), value);
        }
    }
}

impl<K: Key + 'static> Table<'_, K, &'static [u8]> {
    /// Inserts a value of `len` bytes, which `fill` writes in place.
    pub(crate) fn insert_with<'k>(
        &mut self,
        key: impl Borrow<K::SelfType<'k>>,
        len: usize,
        fill: impl FnOnce(&mut [u8]),
    ) -> Result<(), ReadError> {
        let key = key.borrow();
        let mut value = self.rows.insert_reserve(key, len)?;
        fill(value.as_mut());
        if let Some(changes) = self.changes {
            let key = K::as_bytes(key);
            let value = Some(&*value.as_mut());
            changes.borrow_mut().note(self.number, key.as_ref(), value);
        }
        Ok(())
    }
}

impl<'tx, K: Key + 'static, V: Value + 'static> Deref for Table<'tx, K, V> {
    type Target = redb::Table<'tx, K, V>;

    fn deref(&self) -> &Self::Target {
        &self.rows
    }
}
