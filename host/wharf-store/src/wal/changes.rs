//! What one commit changes in the tables: the body of a record, while it is made.

use wharf_core::HashKey;

use super::position::Position;
use super::{BLOCK_BYTES, record};
use crate::codec::{Put, Take};
use crate::error::Malformed;

/// What one commit changes in the tables, in order.
pub(crate) struct Changes {
    /// With room for the record's own fields in front.
    bytes: Vec<u8>,
    /// Where the last one begins.
    last_at: usize,
}

/// One change that is read.
pub(super) struct Change<'a> {
    pub(super) table: u8,
    pub(super) key: &'a [u8],
    /// None where the row is removed.
    pub(super) value: Option<&'a [u8]>,
}

impl Default for Changes {
    fn default() -> Self {
        Self {
            bytes: vec![0; record::HEAD_BYTES],
            last_at: record::HEAD_BYTES,
        }
    }
}

impl Changes {
    /// Notes that a row is set, or removed.
    pub(crate) fn note(&mut self, table: u8, key: &[u8], value: Option<&[u8]>) {
        self.last_at = self.bytes.len();
        self.bytes.put_u8(table << 1 | u8::from(value.is_some()));
        self.bytes.put_bytes(key);
        if let Some(value) = value {
            self.bytes.put_bytes(value);
        }
    }

    /// For [`crate::options::Planted::LoseLogChange`].
    pub(crate) fn drop_last(&mut self) {
        self.bytes.truncate(self.last_at);
    }

    /// Bytes of the record that they make.
    pub(super) fn record_bytes(&self) -> usize {
        self.bytes.len().next_multiple_of(BLOCK_BYTES as usize)
    }

    /// Makes the record that follows on a position.
    pub(super) fn seal(&mut self, key: &HashKey, at: Position) -> &[u8] {
        record::seal(&mut self.bytes, key, at);
        self.bytes.resize(self.record_bytes(), 0);
        &self.bytes
    }

    pub(super) fn clear(&mut self) {
        self.bytes.truncate(record::HEAD_BYTES);
    }
}

/// Reads the changes of a record.
pub(super) fn read(body: &[u8]) -> Result<Vec<Change<'_>>, Malformed> {
    let mut take = Take::new(body);
    let mut changes = Vec::new();
    while !take.is_empty() {
        let tag = take.u8()?;
        changes.push(Change {
            table: tag >> 1,
            key: take.bytes()?,
            value: (tag & 1 == 1).then(|| take.bytes()).transpose()?,
        });
    }
    Ok(changes)
}
