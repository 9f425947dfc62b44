//! `delivery`: the deliveries that wait for something, or ended other than well.

use wharf_core::failover::Failures;
use wharf_core::retry::Budget;
use wharf_core::{ChannelName, Status, TimeMs};

use super::Numbered;
use crate::codec::{Put, Take};
use crate::error::Malformed;

/// Key: delivery number, `message << 16 | place`. Value: [`Row`]. There for whatever is retrying, pending,
/// provisional, held, queued and not new, delivered after a redrive, or final other than delivered. What was delivered
/// without one has only its tail and its journal. Wire forms stand in [`super::wire`]:
/// lists walk through this table.
pub(crate) const TABLE: Numbered = Numbered::new("delivery");

const VERSION: u8 = 3;

/// The version before, which is still read: it ends before the failures, and had none.
const VERSION_WITHOUT_FAILURES: u8 = 2;

/// The state of one delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) status: Status,
    pub(crate) channel: ChannelName,
    /// Attempts made so far.
    pub(crate) attempts_count: u32,
    /// When it is looked at again.
    pub(crate) due: Option<TimeMs>,
    /// What to poll with: while it is pending or provisional, and once that ended with nobody knowing how.
    pub(crate) token: Option<String>,
    /// Whether [`super::wire`] has its wire form.
    pub(crate) has_wire: bool,
    /// Whether it is cancelled instead of being tried again. Never once it has ended.
    pub(crate) is_cancelled: bool,
    /// How often it was redriven under a new idempotency key.
    pub(crate) key_generation: u32,
    /// Where its budget began, if that is not its message's acceptance: its last redrive, or the failover that made it.
    pub(crate) redriven: Option<Budget>,
    /// What its failures said: whether its route may go on to the next channel.
    pub(crate) failures: Failures,
}

impl Row {
    /// What is known of a delivery that no attempt or command has been about.
    pub(crate) fn new(status: Status, channel: ChannelName) -> Self {
        Self {
            status,
            channel,
            attempts_count: 0,
            due: None,
            token: None,
            has_wire: false,
            is_cancelled: false,
            key_generation: 0,
            redriven: None,
            failures: Failures::default(),
        }
    }

    /// Whether it has to be stored, or is all said by the delivery's tail.
    pub(crate) fn is_needed(&self) -> bool {
        match self.status {
            Status::Queued => *self != Self::new(Status::Queued, self.channel.clone()),
            // How many attempts it took is in its journal; under which key they were made is not.
            Status::Delivered => self.redriven.is_some(),
            status => Self::is_always_needed(status),
        }
    }

    /// Whether every delivery with this status has a row.
    pub(crate) fn is_always_needed(status: Status) -> bool {
        match status {
            Status::Queued | Status::Delivered => false,
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
        value.put_u8(u8::from(self.is_cancelled));
        value.put_number(u64::from(self.key_generation));
        value.put_u8(u8::from(self.redriven.is_some()));
        if let Some(budget) = self.redriven {
            value.put_number(u64::from(budget.attempts_before));
            value.put_number(budget.began_at.0);
        }
        value.put_number(u64::from(self.failures.definite_count));
        value.put_u8(u8::from(self.failures.is_ambiguous));
        value
    }

    pub(crate) fn decode(value: &[u8]) -> Result<Self, Malformed> {
        let has_failures = value.first() != Some(&VERSION_WITHOUT_FAILURES);
        let mut take = match has_failures {
            true => Take::versioned(value, VERSION)?,
            false => Take::versioned(value, VERSION_WITHOUT_FAILURES)?,
        };
        let row = Self {
            status: Status::from_number(take.u8()?).ok_or(Malformed("a status is unknown"))?,
            channel: ChannelName::new(take.text()?),
            attempts_count: take.u32()?,
            due: take.maybe_time()?,
            token: take.maybe_text()?.map(str::to_owned),
            has_wire: take.flag()?,
            is_cancelled: take.flag()?,
            key_generation: take.u32()?,
            redriven: if take.flag()? {
                Some(Budget {
                    attempts_before: take.u32()?,
                    began_at: TimeMs(take.number()?),
                })
            } else {
                None
            },
            failures: if has_failures {
                Failures {
                    definite_count: take.u32()?,
                    is_ambiguous: take.flag()?,
                }
            } else {
                Failures::default()
            },
        };
        take.end()?;
        Ok(row)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rows() -> impl Strategy<Value = Row> {
        let names = (0..Status::ALL.len(), any::<String>());
        let facts = any::<(u32, Option<u64>, Option<String>, bool)>();
        let wishes = any::<(bool, u32, Option<(u32, u64)>, (u32, bool))>();
        (names, facts, wishes).prop_map(
            |(
                (status, channel),
                (attempts_count, due, token, has_wire),
                (is_cancelled, key_generation, redriven, (definite_count, is_ambiguous)),
            )| {
                Row {
                    status: Status::ALL[status],
                    channel: ChannelName::new(&channel),
                    attempts_count,
                    due: due.map(TimeMs),
                    token,
                    has_wire,
                    is_cancelled,
                    key_generation,
                    redriven: redriven.map(|(attempts_before, began_at)| Budget {
                        attempts_before,
                        began_at: TimeMs(began_at),
                    }),
                    failures: Failures {
                        definite_count,
                        is_ambiguous,
                    },
                }
            },
        )
    }

    proptest! {
        #[test]
        fn rows_round_trip(row in rows()) {
            prop_assert_eq!(Row::decode(&row.encode()).unwrap(), row);
        }

        /// What is not stored of a queued delivery is what [`Row::new`] says, and a redrive is never forgotten.
        #[test]
        fn nothing_that_matters_goes_unstored(row in rows()) {
            let plain = Row::new(row.status, row.channel.clone());
            let is_needed = match row.status {
                Status::Delivered => row.redriven.is_some(),
                Status::Queued => row != plain,
                _ => true,
            };
            prop_assert_eq!(row.is_needed(), is_needed);
            prop_assert_eq!(plain.is_needed(), Row::is_always_needed(row.status));
        }

        /// Rows of the version before end before the failures.
        #[test]
        fn rows_of_before_are_read(row in rows()) {
            let row = Row { failures: Failures::default(), ..row };
            let mut value = row.encode();
            value[0] = VERSION_WITHOUT_FAILURES;
            value.truncate(value.len() - 2);
            prop_assert_eq!(Row::decode(&value).unwrap(), row);
        }

        #[test]
        fn broken_rows_are_refused(value: Vec<u8>) {
            let _ = Row::decode(&value);
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
