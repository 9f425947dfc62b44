//! `wire`: what later attempts send again.

use wharf_core::WireForm;

use super::{Numbered, attempt};
use crate::codec::{Put, Take};
use crate::error::Malformed;

/// Key: delivery number, `message << 16 | place`. Value: the wire form. Written by the first settle that is not
/// final, read when the delivery is claimed again, removed with the last chance to send it.
///
/// `endpoint | headers | flag, attempt begun: as in [`attempt`] | body`
pub(crate) const TABLE: Numbered = Numbered::new("wire");

const VERSION: u8 = 2;

/// The version before, which is still read: it had no attempt.
const VERSION_WITHOUT_ATTEMPT: u8 = 1;

pub(crate) fn encode(wire: &WireForm) -> Vec<u8> {
    let mut value = Vec::with_capacity(wire.body.len() + 256);
    value.put_u8(VERSION);
    value.put_maybe_text(wire.endpoint.as_deref());
    value.put_pairs(&wire.headers);
    value.put_u8(u8::from(wire.begun.is_some()));
    if let Some(begun) = &wire.begun {
        attempt::encode(begun, &mut value);
    }
    value.extend_from_slice(&wire.body);
    value
}

pub(crate) fn decode(value: &[u8]) -> Result<WireForm, Malformed> {
    let has_flag = value.first() != Some(&VERSION_WITHOUT_ATTEMPT);
    let mut take = match has_flag {
        true => Take::versioned(value, VERSION)?,
        false => Take::versioned(value, VERSION_WITHOUT_ATTEMPT)?,
    };
    Ok(WireForm {
        endpoint: take.maybe_text()?.map(str::to_owned),
        headers: take.pairs()?,
        begun: match has_flag && take.flag()? {
            true => Some(Box::new(attempt::decode(&mut take)?)),
            false => None,
        },
        body: take.rest().to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use wharf_core::Pairs;

    use super::*;
    use crate::table::attempt::tests::attempts;

    /// A form of before is what it was, without an attempt.
    #[test]
    fn the_version_before_is_read() {
        let mut before = vec![VERSION_WITHOUT_ATTEMPT];
        before.put_maybe_text(None);
        before.put_pairs(&vec![("a".to_owned(), "b".to_owned())]);
        before.extend_from_slice(b"body");
        let wire = decode(&before).unwrap();
        assert_eq!(
            (wire.headers.len(), &*wire.body, wire.begun),
            (1, &b"body"[..], None)
        );
    }

    proptest! {
        #[test]
        fn wire_forms_round_trip(
            endpoint: Option<String>,
            headers: Pairs,
            body: Vec<u8>,
            begun in prop::option::of(attempts()),
        ) {
            let wire = WireForm { endpoint, headers, body, begun: begun.map(Box::new) };
            prop_assert_eq!(decode(&encode(&wire)).unwrap(), wire);
        }
    }
}
