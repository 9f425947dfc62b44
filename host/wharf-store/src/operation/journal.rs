//! Reading the journal: of one message, or from a cursor on.

use std::collections::BTreeMap;
use std::sync::Arc;

use wharf_core::journal::{Row, Subject};
use wharf_core::route::Planned;
use wharf_core::{Cursor, MessageId, MessageSeq};

use crate::error::{Malformed, ReadError};
use crate::read::Snapshot;
use crate::store::Store;
use crate::table::chunk::Head;

/// A journal row with what it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalEntry {
    /// The row.
    pub row: Row,
    /// Its message, without the payload. Shared by the entries of one message.
    pub message: Arc<Head>,
    /// Route and channel of its delivery; none where the row is about the message.
    pub planned: Option<Planned>,
}

impl Store {
    /// The rows of a message and all its deliveries, in order; none where the message is unknown.
    pub fn journal_of(&self, id: &MessageId) -> Result<Vec<Row>, ReadError> {
        self.read(|snapshot| match snapshot.entry(id, self.id_key())? {
            Some(entry) => chains(snapshot, entry.seq),
            None => Ok(Vec::new()),
        })
    }

    /// Up to `max` rows that come after a cursor, with what they are about. Each chunk is read once for the rows
    /// of a run, and no payload is copied.
    pub fn journal(&self, after: Cursor, max: usize) -> Result<Vec<JournalEntry>, ReadError> {
        self.read(|snapshot| entries(snapshot, after, max))
    }
}

fn chains(snapshot: &Snapshot, seq: MessageSeq) -> Result<Vec<Row>, ReadError> {
    let (tails, place) = snapshot.tails(seq)?;
    let mut journal = snapshot.journal()?;
    let mut rows = Vec::new();
    for slot in tails.slots(place) {
        let mut next = Some(tails.tail(slot)?.last);
        while let Some(cursor) = next {
            let row = journal.required(cursor)?;
            next = row.previous;
            if next.is_some_and(|previous| previous >= cursor) {
                return Err(Malformed("a journal row is before the one before it").into());
            }
            rows.push(row);
        }
    }
    rows.sort_unstable_by_key(|row| row.cursor);
    Ok(rows)
}

fn entries(snapshot: &Snapshot, after: Cursor, max: usize) -> Result<Vec<JournalEntry>, ReadError> {
    let mut journal = snapshot.journal()?;
    let mut rows = Vec::new();
    let mut about = BTreeMap::new();
    let mut next = after;
    while rows.len() < max {
        next.0 = next.0.saturating_add(1);
        let Some(row) = journal.row(next)? else {
            break;
        };
        about.insert(row.subject.message(), None);
        rows.push(row);
    }
    let mut chunks = snapshot.chunks()?;
    for (seq, message) in &mut about {
        *message = Some(chunks.with(*seq, |stored| Ok((Arc::new(stored.head), stored.planned)))?);
    }
    rows.into_iter()
        .map(|row| {
            let (message, planned) = about[&row.subject.message()].as_ref().ok_or(LOST)?;
            let planned = match row.subject {
                Subject::Delivery { id, .. } => {
                    Some(planned.get(usize::from(id.place())).ok_or(LOST)?.clone())
                }
                Subject::Message { .. } => None,
            };
            Ok(JournalEntry {
                row,
                message: message.clone(),
                planned,
            })
        })
        .collect()
}

const LOST: Malformed = Malformed("a journal row is about a delivery that is not there");
