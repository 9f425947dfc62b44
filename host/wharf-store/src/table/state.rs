//! The one row that every commit rewrites: next numbers, counters, and what retention has left.

use wharf_core::{Cursor, MessageSeq, Standing, Status};

use crate::codec::{Put, Take};
use crate::error::Malformed;

const VERSION: u8 = 2;

/// How many deliveries stand where, and how many messages have none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    statuses: [u64; Status::ALL.len()],
    standings: [u64; Standing::ALL.len()],
    messages: u64,
}

impl Counts {
    /// Deliveries with this status.
    #[must_use]
    pub fn status(&self, status: Status) -> u64 {
        self.statuses[status as usize - 1]
    }

    /// Messages without deliveries that stand there.
    #[must_use]
    pub fn standing(&self, standing: Standing) -> u64 {
        self.standings[standing as usize - 1]
    }

    /// All messages.
    #[must_use]
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// All deliveries.
    #[must_use]
    pub fn deliveries(&self) -> u64 {
        self.statuses.iter().sum()
    }

    /// Deliveries in a final status.
    #[must_use]
    pub fn ended(&self) -> u64 {
        Status::ALL
            .iter()
            .filter(|s| s.is_final())
            .map(|s| self.status(*s))
            .sum()
    }

    pub(crate) fn add_message(&mut self) {
        self.messages += 1;
    }

    pub(crate) fn add_standing(&mut self, standing: Standing) {
        self.standings[standing as usize - 1] += 1;
    }

    pub(crate) fn remove_standing(&mut self, standing: Standing) {
        self.standings[standing as usize - 1] -= 1;
    }

    pub(crate) fn remove_message(&mut self) {
        self.messages -= 1;
    }

    pub(crate) fn remove_delivery(&mut self, status: Status) {
        self.statuses[status as usize - 1] -= 1;
    }

    /// A delivery went from one status to another; from none when it is new.
    pub(crate) fn step(&mut self, from: Option<Status>, to: Status) {
        if let Some(from) = from {
            self.statuses[from as usize - 1] -= 1;
        }
        self.statuses[to as usize - 1] += 1;
    }
}

/// What the file holds of messages and of the journal, and what retention has removed since it was created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Values of messages: those that wait, those that ended and are kept, and the little that stays of a removed one.
    pub message_bytes: u64,
    /// Values of the journal.
    pub journal_bytes: u64,
    /// The first row of the journal that is kept, or the next one where none is.
    pub journal_from: Cursor,
    /// Messages before it were accepted in rows that are not kept.
    pub(crate) journal_from_seq: MessageSeq,
    /// Messages that were removed.
    pub pruned_messages: u64,
    /// Their deliveries.
    pub pruned_deliveries: u64,
    /// Rows of the journal that were removed.
    pub pruned_rows: u64,
}

impl Space {
    fn empty() -> Self {
        Self {
            message_bytes: 0,
            journal_bytes: 0,
            journal_from: Cursor(1),
            journal_from_seq: MessageSeq(1),
            pruned_messages: 0,
            pruned_deliveries: 0,
            pruned_rows: 0,
        }
    }
}

/// Next numbers, counters, and space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) next_seq: MessageSeq,
    pub(crate) next_cursor: Cursor,
    pub(crate) counts: Counts,
    pub(crate) space: Space,
}

impl State {
    /// Of a store that holds nothing.
    pub(crate) fn empty() -> Self {
        Self {
            next_seq: MessageSeq(1),
            next_cursor: Cursor(1),
            counts: Counts::default(),
            space: Space::empty(),
        }
    }

    /// Cursor of the last journal row; 0 before the first.
    pub(crate) fn head(&self) -> Cursor {
        Cursor(self.next_cursor.0 - 1)
    }

    /// `version | next message | next cursor | messages | statuses: count, each | standings: count, each | space, each
    /// number of it`. Statuses are only ever added, so a shorter list is an older file's.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut value = vec![VERSION];
        value.put_number(self.next_seq.0);
        value.put_number(self.next_cursor.0);
        value.put_number(self.counts.messages);
        for list in [&self.counts.statuses[..], &self.counts.standings[..]] {
            value.put_number(list.len() as u64);
            for count in list {
                value.put_number(*count);
            }
        }
        let Space {
            message_bytes,
            journal_bytes,
            journal_from,
            journal_from_seq,
            pruned_messages,
            pruned_deliveries,
            pruned_rows,
        } = self.space;
        for number in [
            message_bytes,
            journal_bytes,
            journal_from.0,
            journal_from_seq.0,
            pruned_messages,
            pruned_deliveries,
            pruned_rows,
        ] {
            value.put_number(number);
        }
        value
    }

    pub(crate) fn decode(value: &[u8]) -> Result<Self, Malformed> {
        let mut take = Take::versioned(value, VERSION)?;
        let mut state = Self {
            next_seq: MessageSeq(take.number()?),
            next_cursor: Cursor(take.number()?),
            counts: Counts {
                messages: take.number()?,
                ..Counts::default()
            },
            space: Space::empty(),
        };
        let counts = &mut state.counts;
        for list in [&mut counts.statuses[..], &mut counts.standings[..]] {
            let stored = take.count()?;
            let known = list
                .get_mut(..stored)
                .ok_or(Malformed("it counts unknown statuses"))?;
            for count in known {
                *count = take.number()?;
            }
        }
        state.space = Space {
            message_bytes: take.number()?,
            journal_bytes: take.number()?,
            journal_from: Cursor(take.number()?),
            journal_from_seq: MessageSeq(take.number()?),
            pruned_messages: take.number()?,
            pruned_deliveries: take.number()?,
            pruned_rows: take.number()?,
        };
        take.end()?;
        if state.next_cursor.0 == 0 || state.next_seq.0 == 0 {
            return Err(Malformed("its numbers begin before 1"));
        }
        Ok(state)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn states_round_trip(seq in 1u64.., cursor in 1u64.., steps: Vec<u8>, space: [u64; 7]) {
            let mut state = State::empty();
            state.next_seq = MessageSeq(seq);
            state.next_cursor = Cursor(cursor);
            state.space = Space {
                message_bytes: space[0],
                journal_bytes: space[1],
                journal_from: Cursor(space[2]),
                journal_from_seq: MessageSeq(space[3]),
                pruned_messages: space[4],
                pruned_deliveries: space[5],
                pruned_rows: space[6],
            };
            for step in steps {
                state.counts.add_message();
                state.counts.add_standing(Standing::Unroutable);
                state.counts.step(None, Status::ALL[usize::from(step) % Status::ALL.len()]);
            }
            prop_assert_eq!(State::decode(&state.encode()).unwrap(), state);
        }
    }
}
