//! Where in the log the tables stand. Stored in `meta`, with every commit.

use crate::codec::{Put, Take};
use crate::error::Malformed;

const VERSION: u8 = 1;

/// Where in the log the tables stand.
///
/// ```text
/// version u8 = 1 | epoch | records | is open u8
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    /// Checkpoints so far. Records of earlier ones are in the tables.
    pub(crate) epoch: u64,
    /// Records since then that are in the tables.
    pub(crate) records: u64,
    /// Whether there may be records that are not: the store is open, or was not closed.
    pub(crate) is_open: bool,
}

impl Position {
    pub(crate) fn after_record(self) -> Self {
        Self {
            records: self.records + 1,
            ..self
        }
    }

    pub(crate) fn after_checkpoint(self) -> Self {
        Self {
            epoch: self.epoch + 1,
            records: 0,
            is_open: true,
        }
    }

    /// Once the store is closed.
    pub(crate) fn closed(self) -> Self {
        Self {
            is_open: false,
            ..self.after_checkpoint()
        }
    }

    pub(crate) fn encode(self) -> Vec<u8> {
        let mut out = vec![VERSION];
        out.put_number(self.epoch);
        out.put_number(self.records);
        out.put_u8(self.is_open.into());
        out
    }

    pub(crate) fn decode(value: &[u8]) -> Result<Self, Malformed> {
        let mut take = Take::versioned(value, VERSION)?;
        let position = Self {
            epoch: take.number()?,
            records: take.number()?,
            is_open: take.u8()? != 0,
        };
        take.end()?;
        Ok(position)
    }
}
