//! How far the journal is old enough.

use redb::ReadableTable;
use wharf_core::{Cursor, MessageSeq, TimeMs};

use super::Work;
use crate::error::{Malformed, ReadError};
use crate::table::blob::Blob;
use crate::table::journal;
use crate::table::state::Space;

/// How far the journal is old enough, for one age.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Horizon {
    /// What is not after it is old enough.
    limit: TimeMs,
    /// The last row that is old enough, as all before it are.
    pub(crate) cursor: Cursor,
    /// Messages from here on were accepted after that row.
    pub(crate) seq: MessageSeq,
}

impl Default for Horizon {
    fn default() -> Self {
        Self {
            limit: TimeMs(0),
            cursor: Cursor(0),
            seq: MessageSeq(1),
        }
    }
}

impl Horizon {
    /// Walks on to the first rows that are not old enough, a commit's rows at a time: they are of one moment, nearly.
    /// Rows that cannot be read say nothing. Rows that were removed are old enough for everything. False where the
    /// walk goes on from here in the next call.
    pub(crate) fn advance(
        &mut self,
        table: &impl ReadableTable<u64, &'static [u8]>,
        space: &Space,
        limit: TimeMs,
        work: &mut Work,
    ) -> Result<bool, ReadError> {
        // Asked for a longer age than before, it begins anew.
        if limit < self.limit || self.cursor < space.journal_from {
            self.cursor = Cursor(space.journal_from.0 - 1);
            self.seq = space.journal_from_seq;
        }
        self.limit = limit;
        let mut seq = self.seq;
        for entry in table.range(self.cursor.0 + 1..)? {
            if work.is_spent() {
                return Ok(false);
            }
            work.look();
            let (first, value) = entry?;
            work.read(value.value().len());
            let Ok(stamps) = Stamps::read(value.value()) else {
                continue;
            };
            if stamps.at > limit {
                return Ok(true);
            }
            seq = stamps.accepted_to.unwrap_or(seq);
            (self.cursor, self.seq) = (Cursor(first.value() + stamps.count - 1), seq);
        }
        Ok(true)
    }
}

/// What the rows of one value say of time.
pub(crate) struct Stamps {
    pub(crate) count: u64,
    /// When the last of them was written.
    pub(crate) at: TimeMs,
    /// Behind the last message that is accepted in them.
    pub(crate) accepted_to: Option<MessageSeq>,
}

impl Stamps {
    pub(crate) fn read(value: &[u8]) -> Result<Self, Malformed> {
        const NONE: Malformed = Malformed("a journal value has no rows");
        let blob = Blob::read(value)?;
        let stamp = |place| journal::stamp(blob.part(place)?.ok_or(NONE)?);
        let mut accepted_to = None;
        for place in (0..blob.count()).rev() {
            if let Some(seq) = stamp(place)?.accepted {
                accepted_to = Some(MessageSeq(seq.0 + 1));
                break;
            }
        }
        Ok(Self {
            count: blob.count() as u64,
            at: stamp(blob.count().checked_sub(1).ok_or(NONE)?)?.at,
            accepted_to,
        })
    }
}
