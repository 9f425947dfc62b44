//! `delivery`: the deliveries that wait for something, or ended other than well.

use wharf_core::{ChannelName, Status, TimeMs};

use super::Numbered;
use crate::codec::{Put, Take};
use crate::error::Malformed;

/// Key: delivery number, `message << 16 | place`. Value: [`Row`]. There for whatever is retrying, pending,
/// provisional, held, queued with a time, or final other than delivered; a delivered delivery has only its tail and
/// its journal. A start scans this table, so wire forms stand in [`super::wire`].
pub(crate) const TABLE: Numbered = Numbered::new("delivery");

const VERSION: u8 = 1;

/// The state of one delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) status: Status,
    pub(crate) channel: ChannelName,
    /// Attempts made so far.
    pub(crate) attempts_count: u32,
    /// When it is looked at again.
    pub(crate) due: Option<TimeMs>,
    /// What to poll with.
    pub(crate) token: Option<String>,
    /// Whether [`super::wire`] has its wire form.
    pub(crate) has_wire: bool,
}

impl Row {
    /// Whether a delivery with this status has a row.
    pub(crate) fn is_needed(status: Status, due: Option<TimeMs>) -> bool {
        match status {
            Status::Queued => due.is_some(),
            Status::Delivered => false,
            Status::Held
            | Status::Retrying
            | Status::Pending
            | Status::Provisional
            | Status::Rejected
            | Status::Dead
            | Status::Expired
            | Status::Cancelled
            | Status::Shed
            | Status::Superseded => true,
        }
    }

    /// Whether the wire form is kept beside a delivery with this status: as long as it can be sent again.
    pub(crate) fn keeps_wire(status: Status) -> bool {
        Status::ALL
            .iter()
            .any(|to| Status::allows(Some(status), *to))
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut value = vec![VERSION];
        value.put_u8(self.status as u8);
        value.put_text(self.channel.as_str());
        value.put_number(u64::from(self.attempts_count));
        value.put_maybe_number(self.due.map(|t| t.0));
        value.put_maybe_text(self.token.as_deref());
        value.put_u8(u8::from(self.has_wire));
        value
    }

    pub(crate) fn decode(value: &[u8]) -> Result<Self, Malformed> {
        let mut take = Take::versioned(value, VERSION)?;
        let row = Self {
            status: Status::from_number(take.u8()?).ok_or(Malformed("a status is unknown"))?,
            channel: ChannelName::new(take.text()?),
            attempts_count: take.u32()?,
            due: take.maybe_time()?,
            token: take.maybe_text()?.map(str::to_owned),
            has_wire: take.flag()?,
        };
        take.end()?;
        Ok(row)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn rows_round_trip(
            status in 0..Status::ALL.len(),
            channel: String,
            attempts_count: u32,
            due: Option<u64>,
            token: Option<String>,
            has_wire: bool,
        ) {
            let row = Row {
                status: Status::ALL[status],
                channel: ChannelName::new(&channel),
                attempts_count,
                due: due.map(TimeMs),
                token,
                has_wire,
            };
            prop_assert_eq!(Row::decode(&row.encode()).unwrap(), row);
        }
    }

    #[test]
    fn a_wire_form_is_kept_as_long_as_it_can_be_sent_again() {
        assert!(Row::keeps_wire(Status::Dead));
        assert!(Row::keeps_wire(Status::Pending));
        assert!(!Row::keeps_wire(Status::Delivered));
        assert!(!Row::keeps_wire(Status::Expired));
    }
}
