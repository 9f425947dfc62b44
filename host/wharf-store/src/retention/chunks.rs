//! Removing messages from their chunks.

use redb::{ReadableTable, StorageError};
use wharf_core::{DeliveryId, MessageSeq, Status, TimeMs};

use super::{Limits, Work};
use crate::error::{Malformed, ReadError};
use crate::group::Group;
use crate::operation::prune::Pruned;
use crate::table::blob::Blob;
use crate::table::chunk;
use crate::table::delivery::Row;
use crate::table::tails::{Place, Tail, Tails};

/// A walk through the tails of all chunks that may have something to remove, over several calls.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sweep {
    /// The chunk to look at next.
    at: u64,
    /// What the walk was held against when it began. It goes on with what is older by now, but it has passed by chunks.
    began: Option<Limits>,
    /// Whether all that was old enough by then was known when it began.
    has_begun_well: bool,
    /// What the last whole walk was held against: nothing more can go before that changes.
    done: Option<Limits>,
}

/// What a walk is to remove.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Aim {
    pub(crate) limits: Limits,
    /// Whether all is known that is old enough by now.
    pub(crate) is_settled: bool,
    /// It goes through the chunks before this message.
    pub(crate) before: MessageSeq,
}

impl Sweep {
    /// Walks on. `is_enough` ends the walk early. False where it goes on, or begins anew, in the next call; what becomes
    /// old enough while it lasts is for one that begins later.
    pub(crate) fn advance(
        &mut self,
        group: &mut Group<'_>,
        Aim {
            limits,
            is_settled,
            before,
        }: Aim,
        is_enough: impl Fn(&Group<'_>) -> bool,
        work: &mut Work,
        pruned: &mut Pruned,
    ) -> Result<bool, ReadError> {
        if self.done == Some(limits) {
            return Ok(true);
        }
        if self.at == 0 {
            (self.began, self.has_begun_well) = (Some(limits), is_settled);
        }
        while !is_enough(group) {
            if work.is_spent() {
                return Ok(false);
            }
            work.look();
            let Some((first, is_worthwhile)) = next(group, self.at, before, limits)? else {
                (self.at, self.done) = (0, self.began);
                return Ok(self.has_begun_well);
            };
            self.at = first + 1;
            let removed = match is_worthwhile {
                Ok(true) => remove(group, first, limits, work, pruned),
                Ok(false) => continue,
                Err(cause) => Err(cause.into()),
            };
            match removed {
                Ok(()) => {}
                Err(ReadError::Malformed(_)) => pruned.unreadable += 1,
                Err(cause) => return Err(cause),
            }
        }
        self.at = 0;
        Ok(true)
    }
}

type Found = (u64, Result<bool, Malformed>);

/// The next chunk that had tails before this group, and whether some of its messages could go then. What a group
/// changes of a chunk makes nothing old enough.
fn next(
    group: &Group<'_>,
    from: u64,
    before: MessageSeq,
    limits: Limits,
) -> Result<Option<Found>, ReadError> {
    let mut found: Option<Found> = None;
    for table in [&group.open, &group.closed] {
        let end = found.as_ref().map_or(before.0, |(first, _)| *first);
        if from >= end {
            continue;
        }
        let entry: Option<Result<_, StorageError>> = table.range(from..end)?.next();
        let Some(entry) = entry else {
            continue;
        };
        let (first, value) = entry?;
        let gone = Tails::read(value.value()).and_then(|tails| worthwhile(&tails, limits));
        found = Some((first.value(), gone.map(|gone| !gone.is_empty())));
    }
    Ok(found)
}

/// Which messages of a chunk go now: those that can, where they are half of what is left in it, or more.
fn worthwhile(tails: &Tails, limits: Limits) -> Result<Vec<usize>, Malformed> {
    let mut gone = Vec::new();
    let mut left_count = 0;
    for message in 0..tails.messages_count() {
        let slots = tails.slots(message);
        left_count += usize::from(!slots.is_empty());
        let mut can_go = !slots.is_empty();
        for slot in slots {
            can_go = can_go && limits.allow(tails.tail(slot)?);
        }
        if can_go {
            gone.push(message);
        }
    }
    Ok(if 2 * gone.len() >= left_count {
        gone
    } else {
        Vec::new()
    })
}

impl Limits {
    /// Whether what stands there, since that row, can go.
    fn allow(self, tail: Tail) -> bool {
        let limit = match tail.place {
            // It comes to be only in the commit that ends the delivery before it.
            Place::Reserve => return true,
            Place::Message(_) => self.dead,
            Place::Delivery(status, _) => match status {
                Status::Delivered | Status::Expired | Status::Cancelled | Status::Superseded => {
                    self.ended
                }
                Status::Rejected | Status::Dead | Status::Shed => self.dead,
                Status::Queued
                | Status::Held
                | Status::Retrying
                | Status::Pending
                | Status::Provisional => return false,
            },
        };
        tail.last <= limit
    }
}

/// Removes the messages of a chunk that go now: each leaves its stub. What cannot be read is found before anything is
/// changed.
fn remove(
    group: &mut Group<'_>,
    first: u64,
    limits: Limits,
    work: &mut Work,
    pruned: &mut Pruned,
) -> Result<(), ReadError> {
    let tails = group.tails(first)?.clone();
    let gone = worthwhile(&tails, limits)?;
    if gone.is_empty() {
        return Ok(());
    }
    let (parts, len) = {
        let value = group.chunk.get(first)?;
        let value = value.ok_or(Malformed("a message is not in its chunk"))?;
        let parts = with_stubs(Blob::read(value.value())?, &gone)?;
        (parts, value.value().len())
    };
    work.read(len);
    let left = tails.without(&gone)?;
    let names = tails.names()?;
    let (mut standings, mut deliveries) = (Vec::new(), Vec::new());
    for message in &gone {
        let seq = MessageSeq(first + *message as u64);
        for (place, slot) in (0..).zip(tails.slots(*message)) {
            let id = DeliveryId::new(seq, place);
            match tails.tail(slot)?.place {
                Place::Message(standing) => standings.push(standing),
                Place::Reserve => {}
                Place::Delivery(status, has_row) => {
                    let channel = names.get(tails.channel(slot));
                    let channel = channel.ok_or(Malformed("a delivery has no channel"))?;
                    deliveries.push((id, channel, status, has_row));
                }
            }
        }
    }
    for standing in standings {
        group.state.counts.remove_standing(standing);
    }
    pruned.deliveries += deliveries.len() as u64;
    for (id, channel, status, has_row) in deliveries {
        if has_row {
            group.delivery.remove(id.0)?;
        }
        if has_row && Row::keeps_wire(status) {
            group.wire.remove(id.0)?;
        }
        group.orders(channel, id, None, None)?;
        group.removed(channel, status);
    }
    for _ in &gone {
        group.state.counts.remove_message();
    }
    let at = |message: usize| DeliveryId::new(MessageSeq(first + message as u64), 0);
    let is_gone = |id: DeliveryId| {
        let message = (id.message().0 - first) as usize;
        gone.binary_search(&message).is_ok()
    };
    group
        .aliases()?
        .remove_of(at(0), at(tails.messages_count()), is_gone)?;
    pruned.messages += gone.len() as u64;
    group.set_tails(first, left);
    group.rewrite(first, len, &parts)
}

/// The parts of a chunk, with stubs for those messages that go.
fn with_stubs(blob: Blob<'_>, gone: &[usize]) -> Result<Vec<Vec<u8>>, Malformed> {
    let mut gone = gone.iter().peekable();
    let mut parts = Vec::with_capacity(blob.count());
    for message in 0..blob.count() {
        let part = blob.part(message)?.unwrap_or_default();
        // Only what stays is copied.
        parts.push(match gone.next_if_eq(&&message) {
            Some(_) => {
                let (accepted_at, deliveries_count) = chunk::first_answer(part)?;
                chunk::stub(accepted_at, deliveries_count)
            }
            None => part.to_vec(),
        });
    }
    match gone.next() {
        Some(_) => Err(Malformed("a message is not in its chunk")),
        None => Ok(parts),
    }
}

/// A chunk that has nothing but stubs, at the front of the table.
struct Front {
    first: u64,
    /// The next chunk's.
    end: u64,
    bytes: u64,
    /// When its last message was.
    accepted_at: TimeMs,
}

/// Removes chunks from the front of the table whose ids are forgotten, then forgets the ids of those that have nothing
/// but stubs of messages that were accepted by `limit`. Their values go in a later call: a duplicate that was found
/// before the commit is answered from them after it. False where there is more to do in the next call.
pub(crate) fn forget(
    group: &mut Group<'_>,
    limit: TimeMs,
    work: &mut Work,
    pruned: &mut Pruned,
) -> Result<bool, ReadError> {
    let forgotten = group.ids.floor();
    let mut from = 0;
    loop {
        if work.is_spent() {
            return Ok(false);
        }
        work.look();
        let front = match front(group, from) {
            Ok(Some(front)) => front,
            Ok(None) => break,
            Err(ReadError::Malformed(_)) => {
                pruned.unreadable += 1;
                break;
            }
            Err(cause) => return Err(cause),
        };
        if front.end <= forgotten.0 {
            group.chunk.remove(front.first)?;
            group.state.space.message_bytes -= front.bytes;
            group.changed();
        } else if front.accepted_at <= limit {
            group.forget_ids(MessageSeq(front.end));
        } else {
            break;
        }
        from = front.end;
    }
    Ok(group.ids.floor() == forgotten)
}

fn front(group: &Group<'_>, from: u64) -> Result<Option<Front>, ReadError> {
    const NONE: Malformed = Malformed("a chunk has no messages");
    let Some(entry) = group.chunk.range(from..)?.next() else {
        return Ok(None);
    };
    let (first, value) = entry?;
    let first = first.value();
    if group.open.get(first)?.is_some() || group.closed.get(first)?.is_some() {
        return Ok(None);
    }
    let blob = Blob::read(value.value())?;
    let last = blob
        .part(blob.count().checked_sub(1).ok_or(NONE)?)?
        .ok_or(NONE)?;
    if !chunk::is_stub(last) {
        return Err(Malformed("a chunk has no tails").into());
    }
    Ok(Some(Front {
        first,
        end: first + blob.count() as u64,
        bytes: value.value().len() as u64,
        accepted_at: chunk::first_answer(last)?.0,
    }))
}
