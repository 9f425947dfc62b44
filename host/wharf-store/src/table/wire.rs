//! `wire`: what later attempts send again.

use wharf_core::WireForm;

use super::Numbered;
use crate::codec::{Put, Take};
use crate::error::Malformed;

/// Key: delivery number, `message << 16 | place`. Value: the wire form. Written by the first settle that is not
/// final, read when the delivery is claimed again, removed with the last chance to send it.
pub(crate) const TABLE: Numbered = Numbered::new("wire");

const VERSION: u8 = 1;

pub(crate) fn encode(wire: &WireForm) -> Vec<u8> {
    let mut value = Vec::with_capacity(wire.body.len() + 256);
    value.put_u8(VERSION);
    value.put_maybe_text(wire.endpoint.as_deref());
    value.put_pairs(&wire.headers);
    value.extend_from_slice(&wire.body);
    value
}

pub(crate) fn decode(value: &[u8]) -> Result<WireForm, Malformed> {
    let mut take = Take::versioned(value, VERSION)?;
    Ok(WireForm {
        endpoint: take.maybe_text()?.map(str::to_owned),
        headers: take.pairs()?,
        body: take.rest().to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use wharf_core::Pairs;

    use super::*;

    proptest! {
        #[test]
        fn wire_forms_round_trip(endpoint: Option<String>, headers: Pairs, body: Vec<u8>) {
            let wire = WireForm { endpoint, headers, body };
            prop_assert_eq!(decode(&encode(&wire)).unwrap(), wire);
        }
    }
}
