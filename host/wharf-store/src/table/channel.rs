//! What is counted of a channel, and the number that stands for it in keys.

use std::ops::RangeInclusive;

use wharf_core::Status;

use crate::codec::{Put, Take};
use crate::error::Malformed;
use crate::operation::stats::Depths;
use crate::stand::Stand;

/// Before the channel's name in its key in [`super::meta`]: rows that every commit changes stand beside the one that it
/// rewrites anyway.
const PREFIX: &str = "channel/";

const VERSION: u8 = 1;

/// A channel that something was ever planned for. None is ever removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Channel {
    pub(crate) number: u32,
    pub(crate) depths: Depths,
    /// Of the queued ones: those without a row.
    pub(crate) open: u64,
}

impl Channel {
    pub(crate) fn new(number: u32) -> Self {
        Self {
            number,
            depths: Depths::default(),
            open: 0,
        }
    }

    /// A delivery went from one place to another; from none where it is new.
    pub(crate) fn step(&mut self, from: Option<Stand>, to: Stand) {
        self.depths.step(from.map(|stand| stand.status), to.status);
        self.open += u64::from(to.is_open());
        self.open -= u64::from(from.is_some_and(Stand::is_open));
    }

    /// A delivery was removed that had ended.
    pub(crate) fn removed(&mut self, status: Status) {
        debug_assert!(status.is_final(), "only what has ended is removed");
        // Delivered ones are not counted.
        self.depths.step(Some(status), Status::Delivered);
    }

    /// Deliveries that can be sent and have a row.
    pub(crate) fn rows(&self) -> u64 {
        let sendable = Status::ALL.iter().filter(|status| status.is_sendable());
        let sendable: u64 = sendable.map(|status| self.depths.status(*status)).sum();
        sendable.saturating_sub(self.open)
    }

    /// `version | number | open | statuses: count, each`.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut value = vec![VERSION];
        value.put_number(u64::from(self.number));
        value.put_number(self.open);
        value.put_number(Status::ALL.len() as u64);
        for status in Status::ALL {
            value.put_number(self.depths.status(*status));
        }
        value
    }

    pub(crate) fn decode(value: &[u8]) -> Result<Self, Malformed> {
        let mut take = Take::versioned(value, VERSION)?;
        let mut channel = Self::new(take.u32()?);
        channel.open = take.number()?;
        let stored = take.count()?;
        let statuses = Status::ALL.get(..stored);
        for status in statuses.ok_or(Malformed("it counts unknown statuses"))? {
            channel.depths.set(*status, take.number()?);
        }
        take.end()?;
        Ok(channel)
    }
}

pub(crate) fn key(name: &str) -> String {
    format!("{PREFIX}{name}")
}

/// All keys of channels, and what of one is the name.
pub(crate) fn keys() -> RangeInclusive<&'static str> {
    // No character is greater than the last one.
    PREFIX..="channel/\u{10ffff}"
}

pub(crate) fn name(key: &str) -> &str {
    key.strip_prefix(PREFIX).unwrap_or(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_round_trip_and_count() {
        let stand = |status, has_row| Stand {
            status,
            has_row,
            due: None,
        };
        let mut channel = Channel::new(7);
        channel.step(None, Stand::OPEN);
        channel.step(None, stand(Status::Queued, true));
        channel.step(None, Stand::OPEN);
        channel.step(Some(Stand::OPEN), stand(Status::Retrying, true));
        channel.step(
            Some(stand(Status::Queued, true)),
            stand(Status::Delivered, false),
        );
        assert_eq!((channel.open, channel.rows()), (1, 1));
        assert_eq!(Channel::decode(&channel.encode()), Ok(channel));
        assert!(keys().contains(&key("a").as_str()) && !keys().contains(&"clean-stop"));
        assert_eq!(name(&key("a/b")), "a/b");
    }
}
