//! `open` and `closed`: where the deliveries of a chunk stand, and where their journals end.

use redb::ReadableTable;
use wharf_core::{ChannelName, Cursor, Standing, Status};

use super::Numbered;
use crate::error::{Malformed, ReadError};

/// Tails of the chunks that have a delivery which waits for its first attempt with no row of its own: what the ready
/// index is filled from.
///
/// Key: the chunk's, number of its first message. Value: [`Tails`].
pub(crate) const OPEN: Numbered = Numbered::new("open");

/// Tails of all other chunks that have any. A chunk moves here in the commit that settles its last open delivery. Key
/// and value as in [`OPEN`]. A message that was removed has no slot, and a chunk without slots no value.
pub(crate) const CLOSED: Numbered = Numbered::new("closed");

const VERSION: u8 = 1;
const HEAD_BYTES: usize = 9;

/// The tails of the chunk that has a message, the number of its first message, and whether they are in [`OPEN`]; none
/// where there is no such chunk. Chunks do not overlap, so only the last one that begins before the message can have it,
/// and no other is read.
pub(crate) fn find(
    open: &impl ReadableTable<u64, &'static [u8]>,
    closed: &impl ReadableTable<u64, &'static [u8]>,
    seq: u64,
) -> Result<Option<(u64, Tails, bool)>, ReadError> {
    let in_open = open.range(..=seq)?.next_back().transpose()?;
    let in_closed = closed.range(..=seq)?.next_back().transpose()?;
    let found = [(in_open, true), (in_closed, false)].into_iter();
    let found = found.filter_map(|(entry, is_open)| entry.map(|entry| (entry, is_open)));
    let Some(((first, value), is_open)) = found.max_by_key(|((first, _), _)| first.value()) else {
        return Ok(None);
    };
    let (first, tails) = (first.value(), Tails::read(value.value())?);
    let has_it = seq - first < tails.messages_count() as u64;
    Ok(has_it.then_some((first, tails, is_open)))
}

/// All that is said of a slot in reserve: no status has this number.
const IN_RESERVE: u8 = 0;
/// Set where the delivery has a row in [`super::delivery`].
const HAS_ROW: u8 = 0x80;
/// Set where the slot is a message without deliveries.
const IS_STANDING: u8 = 0x40;
const NUMBER: u8 = 0x3f;
/// The cursor shares a number with the state's byte.
const CURSOR_BITS: u32 = 56;

/// Where a slot stands. A slot is a delivery, one that may be made later, or a message that has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A delivery, and whether it has a row of its own.
    Delivery(Status, bool),
    /// A message without deliveries.
    Message(Standing),
    /// No delivery yet: it is made where a failover comes to it. No row is about it.
    Reserve,
}

/// A slot's place, and the last journal row about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tail {
    pub(crate) place: Place,
    pub(crate) last: Cursor,
}

impl Tail {
    /// Of a slot that no row is about.
    pub(crate) const RESERVE: Self = Self {
        place: Place::Reserve,
        last: Cursor(0),
    };

    fn encode(self) -> u64 {
        debug_assert!(self.last.0 < 1 << CURSOR_BITS, "cursors stay below 2^56");
        let byte = match self.place {
            Place::Delivery(status, false) => status as u8,
            Place::Delivery(status, true) => status as u8 | HAS_ROW,
            Place::Message(standing) => standing as u8 | IS_STANDING,
            Place::Reserve => IN_RESERVE,
        };
        u64::from(byte) << CURSOR_BITS | self.last.0
    }

    fn decode(number: u64) -> Result<Self, Malformed> {
        let byte = (number >> CURSOR_BITS) as u8;
        let place = if byte == IN_RESERVE {
            Place::Reserve
        } else if byte & IS_STANDING != 0 {
            Place::Message(
                Standing::from_number(byte & NUMBER).ok_or(Malformed("a standing is unknown"))?,
            )
        } else {
            let status =
                Status::from_number(byte & NUMBER).ok_or(Malformed("a status is unknown"))?;
            Place::Delivery(status, byte & HAS_ROW != 0)
        };
        Ok(Self {
            place,
            last: Cursor(number & ((1 << CURSOR_BITS) - 1)),
        })
    }

    /// Whether it keeps its chunk in [`OPEN`].
    pub(crate) fn is_open(self) -> bool {
        self.place == Place::Delivery(Status::Queued, false)
    }
}

/// The tails of one chunk: changed in place, as bytes.
///
/// ```text
/// version u8 | messages u32 | slots u32
/// | place of each message's first slot u32 × messages
/// | tail u64 × slots: state in the top byte, cursor below
/// | channel u16 × slots: its place in the list of names; 0xffff for a message without deliveries
/// | names u16 | (length u16, bytes) × names
/// ```
/// Little-endian. The channels stand here so that a start need not read messages.
#[derive(Clone, Debug)]
pub(crate) struct Tails {
    value: Vec<u8>,
    messages_count: usize,
    slots_count: usize,
}

/// Collects the tails of a new chunk.
#[derive(Default)]
pub(crate) struct Builder {
    firsts: Vec<u32>,
    tails: Vec<u64>,
    channels: Vec<u16>,
    names: Vec<ChannelName>,
}

impl Builder {
    /// Begins the next message.
    pub(crate) fn message(&mut self) {
        self.firsts.push(self.tails.len() as u32);
    }

    /// Adds a slot to the message; `channel` is none for a message without deliveries.
    pub(crate) fn slot(&mut self, tail: Tail, channel: Option<&ChannelName>) {
        self.tails.push(tail.encode());
        let place = channel.map_or(u16::MAX, |channel| self.name(channel));
        self.channels.push(place);
    }

    fn name(&mut self, channel: &ChannelName) -> u16 {
        // Deliveries mostly go where the one before went, and channels are few: a list is enough.
        let known = self.names.iter().rposition(|name| name == channel);
        known.unwrap_or_else(|| {
            self.names.push(channel.clone());
            self.names.len() - 1
        }) as u16
    }

    /// The tails of the first so many messages, which are in it no more. Both know the names of all channels.
    pub(crate) fn take(&mut self, messages: usize) -> Self {
        if messages >= self.firsts.len() {
            return std::mem::take(self);
        }
        let slots = self.firsts[messages] as usize;
        let mut rest = Self {
            firsts: self.firsts.split_off(messages),
            tails: self.tails.split_off(slots),
            channels: self.channels.split_off(slots),
            names: self.names.clone(),
        };
        for first in &mut rest.firsts {
            *first -= slots as u32;
        }
        std::mem::replace(self, rest)
    }

    pub(crate) fn build(&self) -> Tails {
        let (messages_count, slots_count) = (self.firsts.len(), self.tails.len());
        let mut value = Vec::with_capacity(HEAD_BYTES + 4 * messages_count + 10 * slots_count + 64);
        value.push(VERSION);
        value.extend_from_slice(&(messages_count as u32).to_le_bytes());
        value.extend_from_slice(&(slots_count as u32).to_le_bytes());
        value.extend(self.firsts.iter().flat_map(|first| first.to_le_bytes()));
        value.extend(self.tails.iter().flat_map(|tail| tail.to_le_bytes()));
        value.extend(
            self.channels
                .iter()
                .flat_map(|channel| channel.to_le_bytes()),
        );
        value.extend_from_slice(&(self.names.len() as u16).to_le_bytes());
        for name in &self.names {
            let bytes = name.as_str().as_bytes();
            value.extend_from_slice(&(bytes.len() as u16).to_le_bytes());
            value.extend_from_slice(bytes);
        }
        Tails {
            value,
            messages_count,
            slots_count,
        }
    }
}

impl Tails {
    pub(crate) fn read(value: &[u8]) -> Result<Self, Malformed> {
        const SHORT: Malformed = Malformed("tails end early");
        let head = value.get(..HEAD_BYTES).ok_or(SHORT)?;
        if head[0] != VERSION {
            return Err(Malformed("the version of tails is unknown"));
        }
        let messages_count = u32::from_le_bytes([head[1], head[2], head[3], head[4]]) as usize;
        let slots_count = u32::from_le_bytes([head[5], head[6], head[7], head[8]]) as usize;
        if value.len() < HEAD_BYTES + 4 * messages_count + 10 * slots_count + 2 {
            return Err(SHORT);
        }
        let tails = Self {
            value: value.to_vec(),
            messages_count,
            slots_count,
        };
        let mut end = 0;
        for index in 0..=messages_count {
            let first = tails.first(index);
            if first < end || first > slots_count {
                return Err(Malformed("the slots of a chunk are out of order"));
            }
            end = first;
        }
        Ok(tails)
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.value
    }

    pub(crate) fn messages_count(&self) -> usize {
        self.messages_count
    }

    pub(crate) fn slots_count(&self) -> usize {
        self.slots_count
    }

    /// The slots of a message, by its place in the chunk.
    pub(crate) fn slots(&self, message: usize) -> std::ops::Range<usize> {
        self.first(message)..self.first(message + 1)
    }

    fn first(&self, message: usize) -> usize {
        if message >= self.messages_count {
            return self.slots_count;
        }
        let at = HEAD_BYTES + 4 * message;
        u32::from_le_bytes(self.array(at)) as usize
    }

    fn tail_at(&self, slot: usize) -> usize {
        assert!(slot < self.slots_count, "a slot of the chunk");
        HEAD_BYTES + 4 * self.messages_count + 8 * slot
    }

    pub(crate) fn tail(&self, slot: usize) -> Result<Tail, Malformed> {
        Tail::decode(u64::from_le_bytes(self.array(self.tail_at(slot))))
    }

    pub(crate) fn set(&mut self, slot: usize, tail: Tail) {
        let at = self.tail_at(slot);
        self.value[at..at + 8].copy_from_slice(&tail.encode().to_le_bytes());
    }

    /// The place of a slot's channel in [`Tails::names`].
    pub(crate) fn channel(&self, slot: usize) -> usize {
        let at = self.tail_at(self.slots_count - 1) + 8 + 2 * slot;
        usize::from(u16::from_le_bytes(self.array(at)))
    }

    pub(crate) fn names(&self) -> Result<Vec<ChannelName>, Malformed> {
        const SHORT: Malformed = Malformed("the channel names of a chunk end early");
        let number = |rest: &mut &[u8]| {
            let (number, left) = rest.split_first_chunk::<2>().ok_or(SHORT)?;
            *rest = left;
            Ok(usize::from(u16::from_le_bytes(*number)))
        };
        let mut rest = &self.value[HEAD_BYTES + 4 * self.messages_count + 10 * self.slots_count..];
        let count = number(&mut rest)?;
        let mut names = Vec::with_capacity(count.min(64));
        for _ in 0..count {
            let len = number(&mut rest)?;
            let (name, left) = rest.split_at_checked(len).ok_or(SHORT)?;
            rest = left;
            let name =
                std::str::from_utf8(name).map_err(|_| Malformed("a channel name is not UTF-8"))?;
            names.push(ChannelName::new(name));
        }
        Ok(names)
    }

    /// The same with other slots for one message, all with this tail, for these channels.
    pub(crate) fn with_slots<'a>(
        &self,
        message: usize,
        tail: Tail,
        channels: impl Iterator<Item = &'a ChannelName>,
    ) -> Result<Self, Malformed> {
        let names = self.names()?;
        let mut builder = Builder::default();
        let mut channels = Some(channels);
        for at in 0..self.messages_count {
            builder.message();
            if at == message {
                for channel in channels.take().into_iter().flatten() {
                    builder.slot(tail, Some(channel));
                }
                continue;
            }
            for slot in self.slots(at) {
                builder.slot(self.tail(slot)?, names.get(self.channel(slot)));
            }
        }
        Ok(builder.build())
    }

    /// The same without any slot for these messages, by their places in the chunk: they were removed.
    pub(crate) fn without(&self, gone: &[usize]) -> Result<Self, Malformed> {
        let names = self.names()?;
        let mut builder = Builder::default();
        for at in 0..self.messages_count {
            builder.message();
            if gone.binary_search(&at).is_err() {
                for slot in self.slots(at) {
                    builder.slot(self.tail(slot)?, names.get(self.channel(slot)));
                }
            }
        }
        Ok(builder.build())
    }

    /// Whether the chunk belongs in [`OPEN`].
    pub(crate) fn is_open(&self) -> Result<bool, Malformed> {
        for slot in 0..self.slots_count {
            if self.tail(slot)?.is_open() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn array<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut array = [0; N];
        array.copy_from_slice(&self.value[at..at + N]);
        array
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn places() -> impl Strategy<Value = Place> {
        prop_oneof![
            (0..Status::ALL.len(), any::<bool>())
                .prop_map(|(at, has_row)| Place::Delivery(Status::ALL[at], has_row)),
            (0..Standing::ALL.len()).prop_map(|at| Place::Message(Standing::ALL[at])),
            Just(Place::Reserve),
        ]
    }

    proptest! {
        #[test]
        fn tails_round_trip(
            messages in prop::collection::vec(
                prop::collection::vec((places(), 0u64..1 << 56, "[a-c]{0,2}"), 1..5),
                1..20,
            ),
            at: prop::sample::Index,
        ) {
            let mut builder = Builder::default();
            for slots in &messages {
                builder.message();
                for (place, last, channel) in slots {
                    let tail = Tail { place: *place, last: Cursor(*last) };
                    builder.slot(tail, Some(&ChannelName::new(channel)));
                }
            }
            let mut tails = Tails::read(builder.build().bytes()).unwrap();
            let names = tails.names().unwrap();
            prop_assert_eq!(tails.messages_count(), messages.len());
            for (index, slots) in messages.iter().enumerate() {
                prop_assert_eq!(tails.slots(index).len(), slots.len());
                for (slot, (place, last, channel)) in tails.slots(index).zip(slots) {
                    let expected = Tail { place: *place, last: Cursor(*last) };
                    prop_assert_eq!(tails.tail(slot).unwrap(), expected);
                    prop_assert_eq!(names[tails.channel(slot)].as_str(), channel);
                }
            }
            let changed = Tail {
                place: Place::Delivery(Status::Delivered, false),
                last: Cursor(77),
            };
            let last = tails.slots_count() - 1;
            tails.set(last, changed);
            prop_assert_eq!(tails.tail(last).unwrap(), changed);

            let message = at.index(messages.len());
            let channels = ["z", "a"].map(ChannelName::new);
            let other = tails.with_slots(message, changed, channels.iter()).unwrap();
            let names = other.names().unwrap();
            for (index, before) in messages.iter().enumerate() {
                let now: Vec<_> = other
                    .slots(index)
                    .map(|slot| (other.tail(slot).unwrap(), names[other.channel(slot)].clone()))
                    .collect();
                let expected: Vec<_> = if index == message {
                    channels.iter().map(|name| (changed, name.clone())).collect()
                } else {
                    let slots = tails.slots(index).zip(before);
                    slots
                        .map(|(slot, one)| (tails.tail(slot).unwrap(), ChannelName::new(&one.2)))
                        .collect()
                };
                prop_assert_eq!(now, expected);
            }
            let others = tails.without(&[message]).unwrap();
            let names = others.names().unwrap();
            for (index, before) in messages.iter().enumerate() {
                let now: Vec<_> = others
                    .slots(index)
                    .map(|slot| (others.tail(slot).unwrap(), names[others.channel(slot)].clone()))
                    .collect();
                let slots = tails.slots(index).zip(before);
                let expected = slots
                    .map(|(slot, one)| (tails.tail(slot).unwrap(), ChannelName::new(&one.2)));
                let expected: Vec<_> = expected.filter(|_| index != message).collect();
                prop_assert_eq!(now, expected);
            }
        }

        #[test]
        fn broken_tails_are_refused(mut value: Vec<u8>) {
            if let Some(first) = value.first_mut() {
                *first = VERSION;
            }
            if let Ok(tails) = Tails::read(&value) {
                let _ = (tails.names(), tails.is_open());
            }
        }
    }
}
