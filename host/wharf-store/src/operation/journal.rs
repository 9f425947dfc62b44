//! Reading the journal: of one message, or from a cursor on.

use std::collections::hash_map::Entry;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use wharf_core::journal::{Attempt, Row, Subject};
use wharf_core::route::Planned;
use wharf_core::{Cursor, MessageId, MessageSeq, Pairs};

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

impl JournalEntry {
    /// About how many bytes its texts have. The message's are counted for each of its entries: what is made of
    /// an entry holds them, even where the entries share them.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let Head {
            attributes,
            headers,
            ordering_key,
            traceparent,
            ..
        } = &*self.message;
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let attempt = self.row.attempt.as_ref().map_or(0, |attempt| {
            size_of::<Attempt>()
                + pairs_bytes(&attempt.plugins)
                + pairs_bytes(&attempt.notes)
                + text(&attempt.code)
                + text(&attempt.reason)
                + text(&attempt.reference)
        });
        size_of::<Self>()
            + pairs_bytes(attributes)
            + pairs_bytes(headers)
            + text(ordering_key)
            + text(traceparent)
            + attempt
    }
}

fn pairs_bytes(pairs: &Pairs) -> usize {
    let bytes = pairs.iter().map(|(name, value)| name.len() + value.len());
    bytes.sum::<usize>() + size_of_val(pairs.as_slice())
}

impl Store {
    /// The rows of a message and all its deliveries, in order; none where the message is unknown.
    pub fn journal_of(&self, id: &MessageId) -> Result<Vec<Row>, ReadError> {
        let rows = self.read_id(id, |snapshot, entry| chains(snapshot, entry.seq))?;
        Ok(rows.unwrap_or_default())
    }

    /// Up to `max_rows` rows that come after a cursor, with what they are about. Stops before the row that would
    /// pass `max_bytes` of [`JournalEntry::bytes`], but the first one is always there. Each chunk is read once for
    /// the rows of a run, and no payload is copied.
    pub fn journal(
        &self,
        after: Cursor,
        max_rows: usize,
        max_bytes: usize,
    ) -> Result<Vec<JournalEntry>, ReadError> {
        self.read(|snapshot| entries(snapshot, after, max_rows, max_bytes))
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

fn entries(
    snapshot: &Snapshot,
    after: Cursor,
    max_rows: usize,
    max_bytes: usize,
) -> Result<Vec<JournalEntry>, ReadError> {
    let (mut journal, mut chunks) = (snapshot.journal()?, snapshot.chunks()?);
    let mut about = FxHashMap::default();
    let mut entries = Vec::new();
    let mut bytes = 0;
    let mut next = after;
    while entries.len() < max_rows {
        next.0 = next.0.saturating_add(1);
        let Some(row) = journal.row(next)? else {
            break;
        };
        let seq = row.subject.message();
        let (message, planned) = match about.entry(seq) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                new.insert(chunks.with(seq, |stored| Ok((Arc::new(stored.head), stored.planned)))?)
            }
        };
        let planned = match row.subject {
            Subject::Delivery { id, .. } => {
                Some(planned.get(usize::from(id.place())).ok_or(LOST)?.clone())
            }
            Subject::Message { .. } => None,
        };
        let entry = JournalEntry {
            row,
            message: message.clone(),
            planned,
        };
        bytes += entry.bytes();
        if bytes > max_bytes && !entries.is_empty() {
            break;
        }
        entries.push(entry);
    }
    Ok(entries)
}

const LOST: Malformed = Malformed("a journal row is about a delivery that is not there");
