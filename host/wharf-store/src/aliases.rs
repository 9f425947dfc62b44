//! Aliases in the commit that is being made.

use redb::ReadableTable;
use wharf_core::DeliveryId;

use crate::error::ReadError;
use crate::limits::ALIAS_SHARED_MAX;
use crate::table::alias::{self, Alias};
use crate::transaction::{Table, Transaction};

/// What deliveries and messages are known by, both ways.
pub(crate) struct Aliases<'tx> {
    by_alias: Table<'tx, (u128, u64), ()>,
    by_number: Table<'tx, (u64, u128), ()>,
}

impl<'tx> Aliases<'tx> {
    pub(crate) fn open(tx: &'tx Transaction) -> Result<Self, ReadError> {
        Ok(Self {
            by_alias: tx.open_table(alias::TABLE)?,
            by_number: tx.open_table(alias::OF)?,
        })
    }

    pub(crate) fn add(&mut self, alias: Alias, id: DeliveryId) -> Result<(), ReadError> {
        self.by_alias.insert((alias.0, id.0), ())?;
        self.by_number.insert((id.0, alias.0), ())
    }

    pub(crate) fn remove(&mut self, alias: Alias, id: DeliveryId) -> Result<(), ReadError> {
        self.by_alias.remove((alias.0, id.0))?;
        self.by_number.remove((id.0, alias.0))
    }

    /// Whose it is: the newest first, as far as it is shared by few.
    pub(crate) fn find(&self, alias: Alias) -> Result<Vec<DeliveryId>, ReadError> {
        let range = self.by_alias.range((alias.0, 0)..=(alias.0, u64::MAX))?;
        let mut found = Vec::new();
        for entry in range.rev().take(ALIAS_SHARED_MAX) {
            found.push(DeliveryId(entry?.0.value().1));
        }
        Ok(found)
    }

    /// Removes those of some numbers out of a range.
    pub(crate) fn remove_of(
        &mut self,
        first: DeliveryId,
        end: DeliveryId,
        is_gone: impl Fn(DeliveryId) -> bool,
    ) -> Result<(), ReadError> {
        let mut gone = Vec::new();
        for entry in self.by_number.range((first.0, 0)..(end.0, 0))? {
            let (number, alias) = entry?.0.value();
            if is_gone(DeliveryId(number)) {
                gone.push((Alias(alias), DeliveryId(number)));
            }
        }
        for (alias, id) in gone {
            self.remove(alias, id)?;
        }
        Ok(())
    }
}
