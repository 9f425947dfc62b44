//! Reading the journal: of one message, or from a cursor on.

use std::num::NonZeroU32;

use wharf_core::journal::{Attempt, Row, Subject};
use wharf_core::route::Planned;
use wharf_core::{ChannelName, Cursor, MessageId, MessageSeq, Pairs};

use crate::error::{Malformed, ReadError};
use crate::read::{Chunks, Snapshot};
use crate::store::Store;
use crate::table::chunk;

/// Rows of the journal from a cursor on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalPage {
    /// The rows, in order.
    pub entries: Vec<JournalEntry>,
    /// Rows that cannot be read, and those whose message cannot or was removed, in order. They will not be readable later
    /// either: whoever reads on says so, and goes on.
    pub passed_over: Vec<PassedOver>,
    /// The last row that the page is about: the cursor to go on from. The one that was asked for where nothing comes
    /// after it.
    pub end: Cursor,
}

/// Rows that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PassedOver {
    /// The first of them.
    pub first: Cursor,
    /// The last of them.
    pub last: Cursor,
    /// Why.
    pub reason: Unread,
}

/// Why a row is passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unread {
    /// It, or its message, is damaged.
    #[error(transparent)]
    Malformed(Malformed),
    /// Its message was removed by retention.
    #[error("its message was removed by retention")]
    Removed,
}

impl From<Malformed> for Unread {
    fn from(cause: Malformed) -> Self {
        match cause {
            chunk::REMOVED => Self::Removed,
            cause => Self::Malformed(cause),
        }
    }
}

/// A journal row with what it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalEntry {
    /// The row.
    pub row: Row,
    /// Id of its message; none where the row is about the journal itself.
    pub message: Option<MessageId>,
    /// The message's attributes, sorted by key.
    pub attributes: Pairs,
    /// Route and channel of its delivery; none where the row is about the message.
    pub planned: Option<Planned>,
}

impl JournalEntry {
    /// About how many bytes it takes, with its texts.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let attempt = self.row.attempt.as_ref().map_or(0, |attempt| {
            size_of::<Attempt>()
                + size_of_val(attempt.hooks.as_slice())
                + attempt
                    .hooks
                    .iter()
                    .map(|run| run.hook.len())
                    .sum::<usize>()
                + pairs_bytes(&attempt.notes)
                + text(&attempt.code)
                + text(&attempt.reason)
                + text(&attempt.reference)
        });
        size_of::<Self>() + pairs_bytes(&self.attributes) + attempt
    }
}

fn pairs_bytes(pairs: &Pairs) -> usize {
    let bytes = pairs.iter().map(|(name, value)| name.len() + value.len());
    bytes.sum::<usize>() + size_of_val(pairs.as_slice())
}

impl Store {
    /// The rows of a message and all its deliveries, in order; none where the message is unknown, or was removed. Where
    /// rows were removed from the journal, those that are left.
    pub fn journal_of(&self, id: &MessageId) -> Result<Vec<Row>, ReadError> {
        let rows = self.read_id(id, |snapshot, entry| chains(snapshot, entry.seq))?;
        Ok(rows.unwrap_or_default())
    }

    /// Up to `max_rows` rows that come after a cursor, with what they are about. Stops before the row that would
    /// pass `max_bytes` of [`JournalEntry::bytes`], but the first one is always there. Begins with the first row that is
    /// kept, where that comes later.
    ///
    /// What cannot be read is passed over. An error is one of the whole file: nothing can be read.
    pub fn journal(
        &self,
        after: Cursor,
        max_rows: usize,
        max_bytes: usize,
    ) -> Result<JournalPage, ReadError> {
        // Seen before the snapshot is opened, which has all rows up to it.
        let head = *self.shared.head.borrow();
        self.read(|snapshot| page(snapshot, after, head, max_rows, max_bytes))
    }
}

fn chains(snapshot: &Snapshot, seq: MessageSeq) -> Result<Vec<Row>, ReadError> {
    let is_removed = snapshot
        .chunks()?
        .with(seq, |part| Ok(chunk::is_stub(part)))?;
    if is_removed {
        return Ok(Vec::new());
    }
    let (tails, place) = snapshot.tails(seq)?;
    let mut journal = snapshot.journal()?;
    let mut rows = Vec::new();
    for slot in tails.slots(place) {
        let mut next = Some(tails.tail(slot)?.last);
        while let Some(cursor) = next {
            let Some(row) = journal.find(cursor)? else {
                break;
            };
            next = row.previous;
            if next.is_some_and(|previous| previous >= cursor) {
                return Err(Malformed("a journal row is before the one before it").into());
            }
            rows.push(row);
        }
    }
    rows.sort_unstable_by_key(|row| row.cursor);
    // Deliveries of a message that was routed again have its own row in common.
    rows.dedup_by_key(|row| row.cursor);
    Ok(rows)
}

fn page(
    snapshot: &Snapshot,
    after: Cursor,
    head: Cursor,
    max_rows: usize,
    max_bytes: usize,
) -> Result<JournalPage, ReadError> {
    let (mut journal, mut about) = (snapshot.journal()?, About::open(snapshot)?);
    let mut page = JournalPage {
        entries: Vec::new(),
        passed_over: Vec::new(),
        end: after.max(Cursor(journal.from.0 - 1)),
    };
    let (mut bytes, mut looked_count) = (0, 0);
    while page.end < head && looked_count < max_rows {
        looked_count += 1;
        let cursor = Cursor(page.end.0 + 1);
        let (reason, last) = match journal.row(cursor) {
            Ok(row) => match about.entry(row) {
                Ok(entry) => {
                    bytes += entry.bytes();
                    if bytes > max_bytes && !page.entries.is_empty() {
                        break;
                    }
                    page.entries.push(entry);
                    page.end = cursor;
                    continue;
                }
                Err(ReadError::Malformed(reason)) => (reason, cursor),
                Err(cause) => return Err(cause),
            },
            Err(ReadError::Malformed(reason)) => (reason, journal.lost_to(cursor, head)?),
            Err(cause) => return Err(cause),
        };
        page.pass_over(cursor, last, reason.into());
    }
    Ok(page)
}

impl JournalPage {
    fn pass_over(&mut self, first: Cursor, last: Cursor, reason: Unread) {
        match self.passed_over.last_mut() {
            Some(before) if before.reason == reason && before.last == self.end => {
                before.last = last;
            }
            _ => self.passed_over.push(PassedOver {
                first,
                last,
                reason,
            }),
        }
        self.end = last;
    }
}

/// Finds what rows are about.
struct About {
    chunks: Chunks,
    /// Plans that occurred: routes and channels are few, and entries share their names.
    plans: Vec<Planned>,
}

/// Plans that are kept to be shared, at most.
const PLANS_COUNT_MAX: usize = 16;

impl About {
    fn open(snapshot: &Snapshot) -> Result<Self, ReadError> {
        Ok(Self {
            chunks: snapshot.chunks()?,
            plans: Vec::new(),
        })
    }

    fn entry(&mut self, row: Row) -> Result<JournalEntry, ReadError> {
        let place = match row.subject {
            Subject::Delivery { id, .. } => Some(id.place()),
            Subject::Message { .. } | Subject::Gap { .. } => None,
        };
        let Some(seq) = row.subject.message() else {
            return Ok(JournalEntry {
                row,
                message: None,
                attributes: Pairs::new(),
                planned: None,
            });
        };
        let Self { chunks, plans } = self;
        chunks.with(seq, |part| {
            let about = chunk::about(part, place)?;
            if about.planned.is_some() != place.is_some() {
                return Err(Malformed(
                    "a journal row is about a delivery that is not there",
                ));
            }
            Ok(JournalEntry {
                row,
                message: Some(about.id),
                attributes: about.attributes,
                planned: about
                    .planned
                    .map(|(route, channel, after)| shared(plans, route, channel, after)),
            })
        })
    }
}

fn shared(
    plans: &mut Vec<Planned>,
    route: &str,
    channel: &str,
    after: Option<NonZeroU32>,
) -> Planned {
    let is_same = |plan: &&Planned| {
        &*plan.route == route && plan.channel.as_str() == channel && plan.after == after
    };
    if let Some(known) = plans.iter().find(is_same) {
        return known.clone();
    }
    let plan = Planned {
        route: route.into(),
        channel: ChannelName::new(channel),
        after,
    };
    if plans.len() < PLANS_COUNT_MAX {
        plans.push(plan.clone());
    }
    plan
}
