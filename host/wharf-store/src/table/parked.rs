//! `parked`: what could not be used, kept as it came, with the reason.

use redb::TableDefinition;
use wharf_core::TimeMs;

use crate::codec::{Put, Take};
use crate::error::Malformed;
use crate::operation::park::Parked;

/// Key: its number, from 1, in the order of parking. Value: see [`encode`].
pub(crate) const TABLE: TableDefinition<'static, u64, &'static [u8]> =
    TableDefinition::new("parked");

const VERSION: u8 = 1;

pub(crate) fn encode(parked: &Parked) -> Vec<u8> {
    let mut value = vec![VERSION];
    value.put_text(&parked.source);
    value.put_text(&parked.reason);
    value.put_number(parked.at.0);
    value.put_text(&parked.content_type);
    value.put_bytes(&parked.content);
    value
}

pub(crate) fn decode(value: &[u8]) -> Result<Parked, Malformed> {
    let mut take = Take::versioned(value, VERSION)?;
    let parked = Parked {
        source: take.text()?.to_owned(),
        reason: take.text()?.to_owned(),
        at: TimeMs(take.number()?),
        content_type: take.text()?.to_owned(),
        content: take.bytes()?.to_owned(),
    };
    take.end()?;
    Ok(parked)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_parked_round_trips(
            source: String,
            reason: String,
            at: u64,
            content_type: String,
            content: Vec<u8>,
        ) {
            let parked = Parked { source, reason, at: TimeMs(at), content_type, content };
            prop_assert_eq!(decode(&encode(&parked)).unwrap(), parked);
        }
    }
}
