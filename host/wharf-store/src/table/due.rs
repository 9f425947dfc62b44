//! `due`: the deliveries that can be sent and have a row, by the time from which on they can.

use redb::TableDefinition;
use wharf_core::{DeliveryId, TimeMs};

/// Key: [`key`]. There for exactly those rows of [`super::delivery`] that can be sent, so that they are read back a page
/// at a time, the earliest first, and never all at once.
pub(crate) const TABLE: TableDefinition<'static, Key, ()> = TableDefinition::new("due");

/// Number of the channel, the time in milliseconds, number of the delivery.
pub(crate) type Key = (u32, u64, u64);

/// A place in the order in which the deliveries of a channel fall due.
pub(crate) type Due = (TimeMs, DeliveryId);

/// The place of a delivery. One that waits for no time could be sent ever since.
pub(crate) fn at(due: Option<TimeMs>, id: DeliveryId) -> Due {
    (due.unwrap_or(TimeMs(0)), id)
}

pub(crate) fn key(channel: u32, (due, id): Due) -> Key {
    (channel, due.0, id.0)
}
