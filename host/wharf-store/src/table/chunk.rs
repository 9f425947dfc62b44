//! `chunk`: the messages of one commit, with the deliveries that were planned for each.

use std::sync::Arc;

use bytes::Bytes;
use wharf_core::message::Priority;
use wharf_core::route::Planned;
use wharf_core::{ChannelName, Message, MessageId, Pairs, Standing, TimeMs};

use super::Numbered;
use crate::codec::{Put, Take};
use crate::error::Malformed;

/// Key: number of the chunk's first message; the others follow without a gap. Value: a [`super::blob`], one part a
/// message. Written once; never changed.
pub(crate) const TABLE: Numbered = Numbered::new("chunk");

/// What a message is known by, without its payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its id.
    pub id: MessageId,
    /// When it was accepted.
    pub accepted_at: TimeMs,
    /// What routes match on, sorted by key.
    pub attributes: Pairs,
    /// Header fields in the caller's order.
    pub headers: Pairs,
    /// The caller's key of order.
    pub ordering_key: Option<String>,
    /// The caller's own numbering over everything it sends.
    pub sequence_global: Option<u64>,
    /// The caller's own numbering within the ordering key.
    pub sequence_key: Option<u64>,
    /// Not to be sent before.
    pub deliver_after: Option<TimeMs>,
    /// Not to be sent after.
    pub expires_at: Option<TimeMs>,
    /// Its class.
    pub priority: Priority,
    /// W3C trace context of the producer.
    pub traceparent: Option<String>,
    /// Size of the payload.
    pub payload_bytes: usize,
}

/// A message as it is stored.
pub(crate) struct Stored<'a> {
    pub(crate) head: Head,
    pub(crate) planned: Vec<Planned>,
    /// Where it stands if nothing was planned.
    pub(crate) standing: Option<Standing>,
    pub(crate) payload: &'a [u8],
}

/// Encodes a message: its head, its plan, and the payload up to the end.
pub(crate) fn encode(message: &Message, planned: &[Planned], standing: Standing) -> Vec<u8> {
    let mut part = Vec::with_capacity(message.payload.len() + 256);
    part.put_text(message.id.as_str());
    part.put_number(message.accepted_at.0);
    part.put_pairs(&message.attributes);
    part.put_pairs(&message.headers);
    part.put_maybe_text(message.ordering_key.as_deref());
    part.put_maybe_number(message.sequence_global);
    part.put_maybe_number(message.sequence_key);
    part.put_maybe_number(message.deliver_after.map(|t| t.0));
    part.put_maybe_number(message.expires_at.map(|t| t.0));
    part.put_u8(message.priority as u8);
    part.put_maybe_text(message.traceparent.as_deref());
    part.put_number(planned.len() as u64);
    for one in planned {
        part.put_text(&one.route);
        part.put_text(one.channel.as_str());
    }
    if planned.is_empty() {
        part.put_u8(standing as u8);
    }
    part.extend_from_slice(&message.payload);
    part
}

impl<'a> Stored<'a> {
    /// Reads one part of a chunk. Nothing of the payload is copied.
    pub(crate) fn decode(part: &'a [u8]) -> Result<Self, Malformed> {
        let mut take = Take::new(part);
        let mut head = Head {
            id: MessageId::parse(take.text()?).map_err(|_| Malformed("a message id is bad"))?,
            accepted_at: TimeMs(take.number()?),
            attributes: take.pairs()?,
            headers: take.pairs()?,
            ordering_key: take.maybe_text()?.map(str::to_owned),
            sequence_global: take.maybe_number()?,
            sequence_key: take.maybe_number()?,
            deliver_after: take.maybe_time()?,
            expires_at: take.maybe_time()?,
            priority: match take.u8()? {
                0 => Priority::High,
                1 => Priority::Normal,
                2 => Priority::Low,
                _ => return Err(Malformed("a priority is unknown")),
            },
            traceparent: take.maybe_text()?.map(str::to_owned),
            payload_bytes: 0,
        };
        let count = take.count()?;
        let mut planned = Vec::with_capacity(count);
        for _ in 0..count {
            let route = Arc::from(take.text()?);
            planned.push(Planned {
                route,
                channel: ChannelName::new(take.text()?),
            });
        }
        let standing = if planned.is_empty() {
            let number = take.u8()?;
            Some(Standing::from_number(number).ok_or(Malformed("a standing is unknown"))?)
        } else {
            None
        };
        let payload = take.rest();
        head.payload_bytes = payload.len();
        Ok(Self {
            head,
            planned,
            standing,
            payload,
        })
    }

    /// The whole message; copies the payload.
    pub(crate) fn into_message(self) -> Message {
        let head = self.head;
        Message {
            id: head.id,
            accepted_at: head.accepted_at,
            attributes: head.attributes,
            headers: head.headers,
            payload: Bytes::copy_from_slice(self.payload),
            ordering_key: head.ordering_key,
            sequence_global: head.sequence_global,
            sequence_key: head.sequence_key,
            deliver_after: head.deliver_after,
            expires_at: head.expires_at,
            priority: head.priority,
            traceparent: head.traceparent,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    type Optionals = (
        Option<String>,
        Option<u64>,
        Option<u64>,
        Option<u64>,
        Option<u64>,
        Option<String>,
    );

    fn messages() -> impl Strategy<Value = Message> {
        (
            "[A-Za-z0-9_-]{1,64}",
            any::<u64>(),
            any::<Pairs>(),
            any::<Pairs>(),
            any::<Vec<u8>>(),
            any::<Optionals>(),
            prop_oneof![
                Just(Priority::High),
                Just(Priority::Normal),
                Just(Priority::Low)
            ],
        )
            .prop_map(
                |(id, at, attributes, headers, payload, optionals, priority)| Message {
                    id: MessageId::parse(&id).unwrap(),
                    accepted_at: TimeMs(at),
                    attributes,
                    headers,
                    payload: payload.into(),
                    ordering_key: optionals.0,
                    sequence_global: optionals.1,
                    sequence_key: optionals.2,
                    deliver_after: optionals.3.map(TimeMs),
                    expires_at: optionals.4.map(TimeMs),
                    priority,
                    traceparent: optionals.5,
                },
            )
    }

    proptest! {
        #[test]
        fn messages_round_trip(message in messages(), plan: Vec<(String, String)>) {
            let planned: Vec<_> = plan
                .iter()
                .map(|(route, channel)| Planned {
                    route: route.as_str().into(),
                    channel: ChannelName::new(channel),
                })
                .collect();
            let part = encode(&message, &planned, Standing::Unroutable);
            let stored = Stored::decode(&part).unwrap();
            prop_assert_eq!(stored.standing.is_none(), !planned.is_empty());
            prop_assert_eq!(&stored.planned, &planned);
            prop_assert_eq!(stored.head.payload_bytes, message.payload.len());
            prop_assert_eq!(stored.into_message(), message);
        }

        #[test]
        fn broken_messages_are_refused(part: Vec<u8>) {
            let _ = Stored::decode(&part);
        }
    }
}
