//! `chunk`: the messages of one commit, with the deliveries that were planned for each.

use bytes::Bytes;
use std::num::NonZeroU32;
use wharf_core::message::Priority;
use wharf_core::route::Planned;
use wharf_core::{ChannelName, Message, MessageId, Pairs, Standing, TimeMs};

use super::Numbered;
use crate::codec::{Put, Take};
use crate::error::Malformed;

/// Key: number of the chunk's first message; the others follow without a gap, and so does the next chunk. Value: a
/// [`super::blob`], one part a message: the message, or its [`stub`] once retention has removed it. Written once, and
/// anew only where a message of it is routed again or removed. A chunk that has nothing but stubs has no tails, and is
/// removed from the front of the table once the ids of all its messages are forgotten.
pub(crate) const TABLE: Numbered = Numbered::new("chunk");

/// A message as it is stored.
pub(crate) struct Stored {
    pub(crate) message: Message,
    pub(crate) planned: Vec<Planned>,
    /// Where it stands if nothing was planned.
    pub(crate) standing: Option<Standing>,
}

/// What a journal row, or a list, says of its message.
pub(crate) struct About<'a> {
    pub(crate) id: MessageId,
    pub(crate) accepted_at: TimeMs,
    pub(crate) attributes: Pairs,
    /// Route, channel and turn of the delivery that was asked for.
    pub(crate) planned: Option<(&'a str, &'a str, Option<NonZeroU32>)>,
}

/// Appends a message: `id | accepted at | plan: count, (route, channel) each; the standing if there are none |
/// attributes | headers | ordering key | sequence, global and of the key | deliver after | expires at | priority |
/// trace context | payload`, up to the end.
///
/// In front of a route and channel in reserve stand an empty text, which is no route's name, and how many definite failures
/// of the one planned before call it in. What is read without the rest stands in front.
pub(crate) fn encode(
    message: &Message,
    planned: &[Planned],
    standing: Standing,
    part: &mut Vec<u8>,
) {
    part.put_text(message.id.as_str());
    part.put_number(message.accepted_at.0);
    part.put_number(planned.len() as u64);
    for one in planned {
        debug_assert!(!one.route.is_empty(), "a route has a name");
        if let Some(after) = one.after {
            part.put_text("");
            part.put_number(u64::from(after.get()));
        }
        part.put_text(&one.route);
        part.put_text(one.channel.as_str());
    }
    if planned.is_empty() {
        part.put_u8(standing as u8);
    }
    part.put_pairs(&message.attributes);
    part.put_pairs(&message.headers);
    part.put_maybe_text(message.ordering_key.as_deref());
    part.put_maybe_number(message.sequence_global);
    part.put_maybe_number(message.sequence_key);
    part.put_maybe_number(message.deliver_after.map(|t| t.0));
    part.put_maybe_number(message.expires_at.map(|t| t.0));
    part.put_u8(message.priority as u8);
    part.put_maybe_text(message.traceparent.as_deref());
    part.extend_from_slice(&message.payload);
}

/// About how many bytes [`encode`] appends, mostly more than that.
pub(crate) fn room(message: &Message) -> usize {
    message.resident_bytes()
}

/// What stays of a message that was removed: what a duplicate of it is answered with. `0 | accepted at | count of
/// deliveries`, where a message has the length of its id first, which is never 0.
pub(crate) fn stub(accepted_at: TimeMs, deliveries_count: usize) -> Vec<u8> {
    let mut part = Vec::with_capacity(8);
    part.put_text("");
    part.put_number(accepted_at.0);
    part.put_number(deliveries_count as u64);
    part
}

/// Whether a part is what stays of a removed message.
pub(crate) fn is_stub(part: &[u8]) -> bool {
    part.first() == Some(&0)
}

/// Reads one part of a chunk, whole.
pub(crate) fn decode(part: &[u8]) -> Result<Stored, Malformed> {
    let mut take = Take::new(part);
    let (id, accepted_at) = (take_id(&mut take)?, TimeMs(take.number()?));
    let count = take.count()?;
    let mut planned = Vec::with_capacity(count);
    for _ in 0..count {
        let (route, channel, after) = take_planned(&mut take)?;
        planned.push(Planned {
            route: route.into(),
            channel: ChannelName::new(channel),
            after,
        });
    }
    let standing = if planned.is_empty() {
        let number = take.u8()?;
        Some(Standing::from_number(number).ok_or(Malformed("a standing is unknown"))?)
    } else {
        None
    };
    let message = Message {
        id,
        accepted_at,
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
        payload: Bytes::copy_from_slice(take.rest()),
    };
    Ok(Stored {
        message,
        planned,
        standing,
    })
}

/// When a message was accepted, and how many deliveries it had then; of a removed one too.
pub(crate) fn first_answer(part: &[u8]) -> Result<(TimeMs, usize), Malformed> {
    let mut take = Take::new(part);
    let is_stub = take.bytes()?.is_empty();
    let (accepted_at, count) = (TimeMs(take.number()?), take.u32()? as usize);
    if is_stub {
        return Ok((accepted_at, count));
    }
    let mut at_once_count = 0;
    for _ in 0..count {
        at_once_count += usize::from(take_planned(&mut take)?.2.is_none());
    }
    Ok((accepted_at, at_once_count))
}

/// What a row about the message, or about its delivery at a place, says of it.
pub(crate) fn about(part: &[u8], place: Option<u16>) -> Result<About<'_>, Malformed> {
    let mut take = Take::new(part);
    let (id, accepted_at) = (take_id(&mut take)?, TimeMs(take.number()?));
    let count = take.count()?;
    let mut planned = None;
    for at in 0..count {
        let one = take_planned(&mut take)?;
        if place.is_some_and(|place| usize::from(place) == at) {
            planned = Some(one);
        }
    }
    if count == 0 {
        take.u8()?;
    }
    Ok(About {
        id,
        accepted_at,
        attributes: take.pairs()?,
        planned,
    })
}

/// Route, channel and turn of one entry of a plan.
fn take_planned<'a>(
    take: &mut Take<'a>,
) -> Result<(&'a str, &'a str, Option<NonZeroU32>), Malformed> {
    let (mut route, mut after) = (take.text()?, None);
    if route.is_empty() {
        let count = NonZeroU32::new(take.u32()?);
        after = Some(count.ok_or(Malformed("a reserve has no turn"))?);
        route = take.text()?;
    }
    Ok((route, take.text()?, after))
}

/// Why a [`stub`] cannot be read as a message.
pub(crate) const REMOVED: Malformed = Malformed("the message was removed by retention");

fn take_id(take: &mut Take<'_>) -> Result<MessageId, Malformed> {
    match take.text()? {
        "" => Err(REMOVED),
        id => MessageId::parse(id).map_err(|_| Malformed("a message id is bad")),
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
        fn messages_round_trip(
            message in messages(),
            plan in prop::collection::vec((".+", any::<String>(), any::<u32>()), 0..5),
            place: u16,
        ) {
            let planned: Vec<_> = plan
                .iter()
                .map(|(route, channel, after)| Planned {
                    route: route.as_str().into(),
                    channel: ChannelName::new(channel),
                    after: NonZeroU32::new(*after),
                })
                .collect();
            let mut part = Vec::new();
            encode(&message, &planned, Standing::Unroutable, &mut part);
            let at_once_count = planned.iter().filter(|one| one.after.is_none()).count();
            prop_assert_eq!(first_answer(&part).unwrap(), (message.accepted_at, at_once_count));
            let place = place % (planned.len() as u16 + 1);
            for place in [None, Some(place)] {
                let about = about(&part, place).unwrap();
                prop_assert_eq!(&about.id, &message.id);
                prop_assert_eq!(about.accepted_at, message.accepted_at);
                prop_assert_eq!(&about.attributes, &message.attributes);
                let one = place.and_then(|place| planned.get(usize::from(place)));
                prop_assert_eq!(about.planned, one.map(|p| (&*p.route, p.channel.as_str(), p.after)));
            }
            prop_assert!(!is_stub(&part));
            let stub = stub(message.accepted_at, planned.len());
            prop_assert!(is_stub(&stub));
            prop_assert_eq!(first_answer(&stub).unwrap(), (message.accepted_at, planned.len()));
            prop_assert_eq!(decode(&stub).err(), Some(REMOVED));
            prop_assert_eq!(about(&stub, None).err(), Some(REMOVED));
            let stored = decode(&part).unwrap();
            prop_assert_eq!(stored.standing.is_none(), !planned.is_empty());
            prop_assert_eq!(&stored.planned, &planned);
            prop_assert_eq!(stored.message, message);
        }

        #[test]
        fn broken_messages_are_refused(part: Vec<u8>, place: Option<u16>) {
            let _ = (decode(&part), first_answer(&part), about(&part, place));
        }
    }
}
