//! What is removed, and when.
//!
//! Nothing stored says when a chunk's deliveries ended. Their last journal rows do: a tail has the cursor of its own,
//! and the journal is in the order of time. So what is old enough is a cursor, found by walking the journal on from
//! where the last walk came to ([`horizon`]), and whether a message can go is a comparison with its tails, without
//! reading it ([`chunks`]).
//!
//! A removed message leaves a stub of some ten bytes in its chunk, so that numbers stay, and a duplicate is answered as
//! the first time for as long as its id is known. Ids are forgotten from the front of the chunk table, where nothing but
//! stubs is left.
//!
//! The journal is removed from its front too ([`journal`]), and what is about a message may go before it: what is left
//! of its rows begins later. An ended message is not kept for longer than the journal that says how it ended.
//!
//! # Drawbacks of the choice
//! - Where the clock once was far ahead, what came then, and after it, stays until that time has come.
//! - A message is kept whole for as long as one of its deliveries is, and one that never ends keeps the ids of all that
//!   came after it.
//! - A chunk is written anew once half of its messages can go, whatever their sizes: a large one can be kept by as many
//!   small ones.
//! - Making stubs reads the messages once more.

pub(crate) mod chunks;
pub(crate) mod horizon;
pub(crate) mod journal;

use wharf_core::Cursor;

use chunks::Sweep;
use horizon::Horizon;

/// How far the walks have come. They begin anew at every start.
#[derive(Default)]
pub(crate) struct Walks {
    /// Of what ended well.
    pub(crate) ended: Horizon,
    /// Of dead letters.
    pub(crate) dead: Horizon,
    pub(crate) sweep: Sweep,
    /// The walk that goes on where there is too much.
    pub(crate) oversize: Sweep,
}

/// Rows up to which messages can go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Those of deliveries that ended well.
    pub(crate) ended: Cursor,
    /// Those of dead letters.
    pub(crate) dead: Cursor,
}

/// How much a call may still do.
#[derive(Debug)]
pub(crate) struct Work {
    /// Values to look at.
    values: usize,
    /// Bytes of messages to read.
    bytes: usize,
}

impl Work {
    pub(crate) fn new(values: usize, bytes: usize) -> Self {
        let values = values.max(1);
        Self { values, bytes }
    }

    pub(crate) fn is_spent(&self) -> bool {
        self.values == 0 || self.bytes == 0
    }

    /// One value was looked at.
    pub(crate) fn look(&mut self) {
        self.values = self.values.saturating_sub(1);
    }

    /// Messages were read.
    pub(crate) fn read(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}
