//! `order` and `order_of`: the deliveries that have a row and keep later ones of their ordering key back.

use redb::TableDefinition;
use wharf_core::DeliveryId;

use crate::error::Malformed;

/// Key: [`Key`]. Value: the number of a [`Stored`]. What has no row is not here: it is met in the order of its number, and known in memory while it is being attempted.
pub(crate) const TABLE: TableDefinition<'static, Key, u8> = TableDefinition::new("order");

/// Key: delivery number. Value: the hash in its key in [`TABLE`]. There for exactly those.
pub(crate) const OF: TableDefinition<'static, u64, u128> = TableDefinition::new("order_of");

/// Number of the channel, hash of the ordering key under the store's own, number of the delivery.
pub(crate) type Key = (u32, u128, u64);

pub(crate) fn key(channel: u32, hash: u128, id: DeliveryId) -> Key {
    (channel, hash, id.0)
}

/// How a delivery keeps the later ones of its key back. The numbers are stored: pinned, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stored {
    /// It was let through, and has to come further.
    Waits = 1,
    /// It was given up: someone has to do something about it.
    Dead = 2,
    /// It has to wait for earlier ones itself.
    Behind = 3,
}

pub(crate) fn decode(value: u8) -> Result<Stored, Malformed> {
    match value {
        1 => Ok(Stored::Waits),
        2 => Ok(Stored::Dead),
        3 => Ok(Stored::Behind),
        _ => Err(Malformed("how a delivery keeps others back is unknown")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_round_trip() {
        for hold in [Stored::Waits, Stored::Dead, Stored::Behind] {
            assert_eq!(decode(hold as u8), Ok(hold));
        }
        assert!(decode(0).is_err());
    }
}
