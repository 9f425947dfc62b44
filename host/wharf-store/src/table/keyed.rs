//! `keyed`: small values that are known by a name, such as why a channel is paused.

use redb::TableDefinition;

use crate::error::Malformed;

/// Key: the value's name. Value: version byte, then the value's bytes. All of it is kept in memory, too.
pub(crate) const TABLE: TableDefinition<'static, &'static str, &'static [u8]> =
    TableDefinition::new("keyed");

const VERSION: u8 = 1;

pub(crate) fn encode(value: &[u8]) -> Vec<u8> {
    let mut encoded = vec![VERSION];
    encoded.extend_from_slice(value);
    encoded
}

pub(crate) fn decode(encoded: &[u8]) -> Result<&[u8], Malformed> {
    match encoded.split_first() {
        Some((&VERSION, value)) => Ok(value),
        _ => Err(Malformed("the version of a named value is unknown")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn values_round_trip(value: Vec<u8>) {
            let encoded = encode(&value);
            prop_assert_eq!(decode(&encoded).unwrap(), value);
        }
    }
}
