//! Retention: what has ended long enough ago is removed, a little at a time.

use std::time::Duration;

use wharf_core::{Cursor, MessageId, MessageSeq, TimeMs};

use crate::error::{ReadError, WriteError};
use crate::group::Group;
use crate::limits::PRUNE_READ_BYTES_MAX;
use crate::options::Planted;
use crate::request::Write;
use crate::retention::chunks::Aim;
use crate::retention::{Limits, Walks, Work, chunks, journal};
use crate::store::Store;
use crate::table::chunk;

/// What is to be removed.
#[derive(Clone, Debug)]
pub struct Prune {
    /// The time that ages are held against.
    pub now: TimeMs,
    /// How long a message is kept after the last of its deliveries ended well: delivered, expired, cancelled or
    /// superseded.
    pub ended: Duration,
    /// How long it is kept where one of them is a dead letter (dead, rejected, shed), or where it has none.
    pub dead: Duration,
    /// How long an id is known after its message was accepted. It is known for as long as the message is kept, too.
    pub ids: Duration,
    /// Bytes of all messages in the file; past it those that ended go before their time, the oldest first.
    pub message_bytes_max: Option<u64>,
    /// How long a row of the journal is kept. An ended message is kept for no longer than the last rows about it.
    pub journal: Duration,
    /// Bytes of the journal; past it rows go before their time.
    pub journal_bytes_max: Option<u64>,
    /// Bytes of the journal past which rows go although a reader has yet to read them: that is a [`Gap`].
    pub journal_bytes_hard: Option<u64>,
    /// Readers of the journal, by their cursors' names: nothing is removed that one of them has yet to read,
    /// but for a gap.
    pub readers: Vec<String>,
    /// Stored values that each of its walks looks at, at most: how long it holds up the commit that it is part of.
    pub values_max: usize,
}

/// Rows of the journal that a reader missed. One of them, with this for its subject, tells all readers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// The first of them.
    pub first: Cursor,
    /// The last of them.
    pub last: Cursor,
}

/// What a call removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Messages.
    pub messages: u64,
    /// Their deliveries.
    pub deliveries: u64,
    /// Rows of the journal.
    pub rows: u64,
    /// Of them, those that a reader had yet to read.
    pub gap: Option<Gap>,
    /// Values that are damaged, and stay.
    pub unreadable: u64,
    /// Whether another call may find more to remove at once.
    pub is_more: bool,
}

/// What is still known of a message that was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remains {
    /// Its number.
    pub seq: MessageSeq,
    /// When it was accepted.
    pub accepted_at: TimeMs,
    /// How many deliveries it had. All of them had ended.
    pub deliveries_count: u16,
}

impl Store {
    /// Removes messages that ended long enough ago, and rows of the journal, and forgets ids. Does as much as may be done
    /// at once, with whatever else is being committed, and says what it was and whether there is more.
    ///
    /// A message goes once the last rows of all its deliveries are old enough and were read by all readers. Its id stays
    /// known, and a duplicate is answered as before; [`Store::get`] has nothing any more, [`Store::remains`] has this
    /// little. Where others of its chunk stay, it may be kept with them for longer.
    pub async fn prune(&self, prune: Prune) -> Result<Pruned, WriteError> {
        self.write(prune, 0, Write::Prune).await
    }

    /// What is left of a message that was removed; none where it was not, or is not known any more.
    pub fn remains(&self, id: &MessageId) -> Result<Option<Remains>, ReadError> {
        let remains = self.read_id(id, |snapshot, entry| {
            let part = snapshot.chunks()?.with(entry.seq, |part| {
                let is_stub = chunk::is_stub(part);
                is_stub.then(|| chunk::first_answer(part)).transpose()
            })?;
            Ok(part.map(|(accepted_at, deliveries_count)| Remains {
                seq: entry.seq,
                accepted_at,
                deliveries_count: deliveries_count as u16,
            }))
        })?;
        Ok(remains.flatten())
    }
}

/// The writer's part.
pub(crate) fn apply(
    group: &mut Group<'_>,
    walks: &mut Walks,
    planted: Planted,
    prune: &Prune,
) -> Result<Pruned, ReadError> {
    // One each, so that none keeps another from getting on.
    let work = || Work::new(prune.values_max, PRUNE_READ_BYTES_MAX);
    let mut pruned = Pruned::default();
    let mut is_through = journal::shorten(group, prune, &mut work(), &mut pruned)?;
    let read_to = journal::read_to(group, &prune.readers)?;
    let is_over = |group: &Group<'_>| {
        let bytes_max = prune.message_bytes_max.unwrap_or(u64::MAX);
        group.state.space.message_bytes > bytes_max
    };

    let (ended, dead) = match planted {
        Planted::PruneTooEarly => (Duration::ZERO, Duration::ZERO),
        _ => (prune.ended, prune.dead),
    };
    let space = group.state.space;
    let Walks {
        ended: ended_walk,
        dead: dead_walk,
        sweep,
        oversize,
    } = walks;
    for (horizon, age) in [(&mut *ended_walk, ended), (&mut *dead_walk, dead)] {
        let limit = before(prune.now, age);
        is_through &= horizon.advance(&*group.journal, &space, limit, &mut work())?;
    }
    let limits = Limits {
        ended: ended_walk.cursor.min(read_to),
        dead: dead_walk.cursor.min(read_to),
    };
    let behind = ended_walk.seq.max(dead_walk.seq);
    let aim = Aim {
        limits,
        is_settled: is_through,
        before: behind,
    };
    let mut work_left = work();
    let is_swept = sweep.advance(group, aim, |_| false, &mut work_left, &mut pruned)?;
    is_through &= is_swept;
    if is_swept && is_over(group) {
        let aim = Aim {
            limits: Limits {
                ended: read_to,
                dead: read_to,
            },
            is_settled: true,
            before: group.state.next_seq,
        };
        let is_enough = |group: &Group<'_>| !is_over(group);
        is_through &= oversize.advance(group, aim, is_enough, &mut work_left, &mut pruned)?;
    }
    // What was just removed may be at the front now.
    group.flush_tails()?;
    is_through &= chunks::forget(
        group,
        before(prune.now, prune.ids),
        &mut work(),
        &mut pruned,
    )?;

    pruned.is_more = !is_through;
    let space = &mut group.state.space;
    space.pruned_messages += pruned.messages;
    space.pruned_deliveries += pruned.deliveries;
    space.pruned_rows += pruned.rows;
    Ok(pruned)
}

/// What is not after it has at least this age.
pub(crate) fn before(now: TimeMs, age: Duration) -> TimeMs {
    let age_ms = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
    TimeMs(now.0.saturating_sub(age_ms))
}
