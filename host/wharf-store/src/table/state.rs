//! The one row that every commit rewrites: next numbers, and counters.

use wharf_core::{Cursor, MessageSeq, Standing, Status};

use crate::codec::{Put, Take};
use crate::error::Malformed;

const VERSION: u8 = 1;

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

    /// A delivery went from one status to another; from none when it is new.
    pub(crate) fn step(&mut self, from: Option<Status>, to: Status) {
        if let Some(from) = from {
            self.statuses[from as usize - 1] -= 1;
        }
        self.statuses[to as usize - 1] += 1;
    }
}

/// Next numbers, and counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) next_seq: MessageSeq,
    pub(crate) next_cursor: Cursor,
    pub(crate) counts: Counts,
}

impl State {
    /// Of a store that holds nothing.
    pub(crate) fn empty() -> Self {
        Self {
            next_seq: MessageSeq(1),
            next_cursor: Cursor(1),
            counts: Counts::default(),
        }
    }

    /// Cursor of the last journal row; 0 before the first.
    pub(crate) fn head(&self) -> Cursor {
        Cursor(self.next_cursor.0 - 1)
    }

    /// `version | next message | next cursor | messages | statuses: count, each | standings: count, each`. Statuses
    /// are only ever added, so a shorter list is an older file's.
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
        fn states_round_trip(seq in 1u64.., cursor in 1u64.., steps: Vec<u8>) {
            let mut state = State::empty();
            state.next_seq = MessageSeq(seq);
            state.next_cursor = Cursor(cursor);
            for step in steps {
                state.counts.add_message();
                state.counts.add_standing(Standing::Unroutable);
                state.counts.step(None, Status::ALL[usize::from(step) % Status::ALL.len()]);
            }
            prop_assert_eq!(State::decode(&state.encode()).unwrap(), state);
        }
    }
}
