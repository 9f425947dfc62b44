//! `cursor`: how far named readers of the journal have come.

use redb::TableDefinition;
use wharf_core::Cursor;

use crate::codec::{Put, Take};
use crate::error::Malformed;

/// Key: the reader's name. Value: cursor of the last row that it is done with. It never goes back.
pub(crate) const TABLE: TableDefinition<'static, &'static str, &'static [u8]> =
    TableDefinition::new("cursor");

const VERSION: u8 = 1;

pub(crate) fn encode(cursor: Cursor) -> Vec<u8> {
    let mut value = vec![VERSION];
    value.put_number(cursor.0);
    value
}

pub(crate) fn decode(value: &[u8]) -> Result<Cursor, Malformed> {
    let mut take = Take::versioned(value, VERSION)?;
    let cursor = Cursor(take.number()?);
    take.end()?;
    Ok(cursor)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn cursors_round_trip(cursor: u64) {
            prop_assert_eq!(decode(&encode(Cursor(cursor))).unwrap(), Cursor(cursor));
        }
    }
}
