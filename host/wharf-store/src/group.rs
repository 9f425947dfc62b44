//! One group commit while it is made: the tables of its transaction, and what is collected for them.

use std::collections::BTreeMap;

use redb::{ReadableTable, ReadableTableMetadata};
use wharf_core::journal::{Row as JournalRow, Subject};
use wharf_core::{ChannelName, Cursor, DeliveryId, MessageSeq, Standing, Status};

use crate::aliases::Aliases;
use crate::channels::{Changed, Channels};
use crate::error::{Malformed, ReadError};
use crate::ids;
use crate::operation::accept::Prepared;
use crate::operation::keyed::Set;
use crate::options::Planted;
use crate::stand::Stand;
use crate::table::blob::Blob;
use crate::table::journal::Draft;
use crate::table::order::Stored;
use crate::table::state::State;
use crate::table::tails::{self, Place, Tail, Tails};
use crate::table::{blob, chunk, claimed, cursor, delivery, due, journal, meta, order, wire};
use crate::transaction::{Table, Transaction};

type Numbered<'tx> = Table<'tx, u64, &'static [u8]>;

pub(crate) struct Group<'tx> {
    /// For tables that few commits change.
    pub(crate) tx: &'tx Transaction,
    pub(crate) ids: ids::Change<'tx>,
    pub(crate) delivery: Numbered<'tx>,
    pub(crate) wire: Numbered<'tx>,
    pub(crate) cursor: Table<'tx, &'static str, &'static [u8]>,
    /// As of the last commit.
    channels: &'tx Channels,
    /// Without what this group adds.
    pub(crate) chunk: Numbered<'tx>,
    /// Opened by the first delivery that it is about: most groups have none.
    due: Option<Table<'tx, due::Key, ()>>,
    /// Opened by the first that is asked for, for the same reason.
    aliases: Option<Aliases<'tx>>,
    /// Without what this group adds or changes.
    pub(crate) open: Numbered<'tx>,
    /// Without what this group adds or changes.
    pub(crate) closed: Numbered<'tx>,
    order: Table<'tx, order::Key, u8>,
    order_of: Table<'tx, u64, u128>,
    /// Without what this group adds.
    pub(crate) journal: Numbered<'tx>,
    meta: Table<'tx, &'static str, &'static [u8]>,
    /// What the `state` row will say.
    pub(crate) state: State,
    is_changed: bool,
    rows: Rows,
    new: NewChunk,
    touched: BTreeMap<u64, Touched>,
    effects: Effects,
    pub(crate) planted: Planted,
}

/// What the commit means for the index.
#[derive(Default)]
pub(crate) struct Effects {
    /// New messages with the number of the first; the others follow without a gap.
    pub(crate) accepted: Option<(MessageSeq, Vec<Prepared>)>,
    /// Deliveries whose lease ends.
    pub(crate) settled: Vec<Filed>,
    /// Deliveries that nobody could claim, with their channel.
    pub(crate) refiled: Vec<(ChannelName, Filed)>,
    /// Channels that are counted anew.
    pub(crate) channels: Changed,
    /// Named values that were set.
    pub(crate) keyed: Vec<Set>,
    /// Deliveries whose row was written while they were being attempted.
    pub(crate) marked: Vec<DeliveryId>,
    /// Ordering keys that a delivery has let go which had a row.
    pub(crate) freed: Vec<(ChannelName, u128)>,
    pub(crate) ids: ids::Effects,
    /// Whether there are other updates to look at.
    pub(crate) has_updates: bool,
}

/// Where the index has a delivery from now on.
pub(crate) struct Filed {
    pub(crate) id: DeliveryId,
    pub(crate) stand: Stand,
    /// Whether it keeps later ones of its ordering key back, as its row says now.
    pub(crate) holds_key: bool,
}

/// Journal rows that are not in the table yet.
struct Rows {
    first: Cursor,
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Rows {
    /// For [`Planted::DropJournalRow`].
    fn drop_last(&mut self) {
        self.ends.pop();
        self.bytes.truncate(self.ends.last().copied().unwrap_or(0));
    }
}

/// Messages that are not in the table yet: the last of [`Effects::accepted`].
#[derive(Default)]
struct NewChunk {
    count: usize,
    bytes: usize,
    tails: tails::Builder,
}

/// Tails that are changed by this commit.
struct Touched {
    tails: Tails,
    was_open: bool,
}

impl<'tx> Group<'tx> {
    pub(crate) fn begin(
        tx: &'tx Transaction,
        state: State,
        channels: &'tx Channels,
        ids: ids::Change<'tx>,
        planted: Planted,
    ) -> Result<Self, ReadError> {
        Ok(Self {
            tx,
            ids,
            channels,
            due: None,
            aliases: None,
            delivery: tx.open_table(delivery::TABLE)?,
            wire: tx.open_table(wire::TABLE)?,
            cursor: tx.open_table(cursor::TABLE)?,
            chunk: tx.open_table(chunk::TABLE)?,
            open: tx.open_table(tails::OPEN)?,
            closed: tx.open_table(tails::CLOSED)?,
            order: tx.open_table(order::TABLE)?,
            order_of: tx.open_table(order::OF)?,
            journal: tx.open_table(journal::TABLE)?,
            meta: tx.open_table(meta::TABLE)?,
            state,
            is_changed: false,
            rows: Rows {
                first: state.next_cursor,
                bytes: Vec::new(),
                ends: Vec::new(),
            },
            new: NewChunk::default(),
            touched: BTreeMap::new(),
            effects: Effects::default(),
            planted,
        })
    }

    /// Marks that the commit has something to say.
    pub(crate) fn changed(&mut self) {
        self.is_changed = true;
    }

    /// Adds a journal row; returns its cursor.
    pub(crate) fn journal(&mut self, draft: &Draft<'_>) -> Result<Cursor, ReadError> {
        self.changed();
        let start = self.rows.bytes.len();
        journal::encode(draft, &mut self.rows.bytes);
        let row_bytes = self.rows.bytes.len() - start;
        if !blob::fits(self.rows.ends.len(), start, row_bytes) {
            let row = self.rows.bytes.split_off(start);
            self.write_rows(self.rows.ends.len())?;
            self.rows.bytes = row;
        }
        self.rows.ends.push(self.rows.bytes.len());
        let cursor = self.state.next_cursor;
        self.state.next_cursor.0 += 1;
        if let Subject::Delivery { from, to, .. } = draft.subject {
            self.state.counts.step(from, to);
        }
        Ok(cursor)
    }

    /// A journal row that an earlier commit wrote; none where it was removed, or is this one's.
    pub(crate) fn row(&self, cursor: Cursor) -> Result<Option<JournalRow>, ReadError> {
        let Some(entry) = self.journal.range(..=cursor.0)?.next_back() else {
            return Ok(None);
        };
        let (first, value) = entry?;
        let place = (cursor.0 - first.value()) as usize;
        let part = Blob::read(value.value())?.part(place)?;
        Ok(part.map(|part| journal::decode(part, cursor)).transpose()?)
    }

    /// The first row that is in no table yet.
    pub(crate) fn rows_from(&self) -> Cursor {
        self.rows.first
    }

    fn flush_journal(&mut self) -> Result<(), ReadError> {
        while !self.rows.ends.is_empty() {
            let count = blob::cut(&self.rows.ends);
            self.write_rows(count)?;
        }
        Ok(())
    }

    /// Writes the first so many rows as one value.
    fn write_rows(&mut self, count: usize) -> Result<(), ReadError> {
        let Rows { first, bytes, ends } = &mut self.rows;
        let end = ends[count - 1];
        let len = blob::len(count, end);
        self.state.space.journal_bytes += len as u64;
        let parts = (0..count).map(|n| {
            let start = if n == 0 { 0 } else { ends[n - 1] };
            &bytes[start..ends[n]]
        });
        self.journal
            .insert_with(first.0, len, |value| blob::write(value, parts))?;
        first.0 += count as u64;
        bytes.drain(..end);
        ends.drain(..count);
        ends.iter_mut().for_each(|left| *left -= end);
        Ok(())
    }

    /// Adds a message under the next number. Its slots are to follow.
    pub(crate) fn add(&mut self, prepared: Prepared) -> Result<(), ReadError> {
        self.changed();
        if !blob::fits(self.new.count, self.new.bytes, prepared.part.len()) {
            self.write_chunk(self.new.count)?;
        }
        self.new.count += 1;
        self.new.bytes += prepared.part.len();
        self.new.tails.message();
        let first = self.state.next_seq;
        self.state.next_seq.0 += 1;
        self.state.counts.add_message();
        let accepted = self
            .effects
            .accepted
            .get_or_insert_with(|| (first, Vec::new()));
        accepted.1.push(prepared);
        Ok(())
    }

    /// Changes what is kept of the message that was added last.
    pub(crate) fn last_added(&mut self, change: impl FnOnce(&mut Prepared)) {
        let accepted = self.effects.accepted.as_mut();
        if let Some(prepared) = accepted.and_then(|(_, accepted)| accepted.last_mut()) {
            change(prepared);
        }
    }

    /// The slots of the message that was added last.
    pub(crate) fn new_tails(&mut self) -> &mut tails::Builder {
        &mut self.new.tails
    }

    fn flush_chunk(&mut self) -> Result<(), ReadError> {
        while self.new.count > 0 {
            let count = blob::cut(&self.new_ends());
            self.write_chunk(count)?;
        }
        Ok(())
    }

    /// Where each of the new messages ends that are not in the table yet.
    fn new_ends(&self) -> Vec<usize> {
        let accepted = self.effects.accepted.as_ref();
        let parts = accepted.map_or(&[][..], |(_, accepted)| {
            &accepted[accepted.len() - self.new.count..]
        });
        let ends = parts.iter().scan(0, |end, prepared| {
            *end += prepared.part.len();
            Some(*end)
        });
        ends.collect()
    }

    /// Writes the first so many new messages as one value.
    fn write_chunk(&mut self, count: usize) -> Result<(), ReadError> {
        let Some((first, accepted)) = &self.effects.accepted else {
            return Ok(());
        };
        let start = accepted.len() - self.new.count;
        let key = first.0 + start as u64;
        let parts = accepted[start..][..count].iter();
        let parts = parts.map(|prepared| &*prepared.part);
        let bytes = parts.clone().map(<[u8]>::len).sum();
        let len = blob::len(count, bytes);
        self.state.space.message_bytes += len as u64;
        self.chunk
            .insert_with(key, len, |value| blob::write(value, parts))?;
        let tails = self.new.tails.take(count).build();
        let table = if tails.is_open()? {
            &mut self.open
        } else {
            &mut self.closed
        };
        table.insert(key, tails.bytes())?;
        self.new.count -= count;
        self.new.bytes -= bytes;
        Ok(())
    }

    /// The deliveries of a message; none where there is no such message, or where it has none.
    pub(crate) fn deliveries(&mut self, seq: MessageSeq) -> Result<Vec<DeliveryId>, ReadError> {
        let Some(first) = self.first_of_chunk(seq.0)? else {
            return Ok(Vec::new());
        };
        let tails = &self.touched[&first].tails;
        let slots = tails.slots((seq.0 - first) as usize);
        let mut ids = Vec::with_capacity(slots.len());
        for (place, slot) in (0..).zip(slots) {
            if let Place::Delivery(..) = tails.tail(slot)?.place {
                ids.push(DeliveryId::new(seq, place));
            }
        }
        Ok(ids)
    }

    /// The tail of a delivery, and where to change it; none where there is no such delivery.
    pub(crate) fn tail(&mut self, id: DeliveryId) -> Result<Option<(SlotAt, Tail)>, ReadError> {
        let seq = id.message().0;
        let Some(first) = self.first_of_chunk(seq)? else {
            return Ok(None);
        };
        let tails = &self.touched[&first].tails;
        let slots = tails.slots((seq - first) as usize);
        let slot = slots.start + usize::from(id.place());
        Ok(if slot < slots.end {
            Some((SlotAt { first, slot }, tails.tail(slot)?))
        } else {
            None
        })
    }

    /// The channel of a slot, whose tail was read before.
    pub(crate) fn channel(&self, at: SlotAt) -> Result<ChannelName, ReadError> {
        let tails = &self.touched[&at.first].tails;
        let names = tails.names()?;
        let name = names.get(tails.channel(at.slot));
        Ok(name.ok_or(Malformed("a delivery has no channel"))?.clone())
    }

    /// The chunk of a message, its tails read; none where there is no such message.
    fn first_of_chunk(&mut self, seq: u64) -> Result<Option<u64>, ReadError> {
        let known = self
            .touched
            .range(..=seq)
            .next_back()
            .filter(|(first, touched)| seq - **first < touched.tails.messages_count() as u64);
        match known {
            Some((first, _)) => Ok(Some(*first)),
            None => self.touch(seq),
        }
    }

    fn touch(&mut self, seq: u64) -> Result<Option<u64>, ReadError> {
        let found = tails::find(&*self.open, &*self.closed, seq)?;
        let Some((first, tails, was_open)) = found else {
            return Ok(None);
        };
        // What cannot be read is found now, not when the group is written.
        tails.is_open()?;
        self.touched.insert(first, Touched { tails, was_open });
        Ok(Some(first))
    }

    /// Changes a tail.
    pub(crate) fn set_tail(&mut self, at: SlotAt, tail: Tail) {
        let touched = self
            .touched
            .get_mut(&at.first)
            .expect("the tail was read before");
        touched.tails.set(at.slot, tail);
    }

    /// Writes the tails that were changed so far.
    pub(crate) fn flush_tails(&mut self) -> Result<(), ReadError> {
        for (first, Touched { tails, was_open }) in std::mem::take(&mut self.touched) {
            let is_open = tails.is_open()?;
            let is_empty = tails.slots_count() == 0;
            if was_open != is_open || is_empty {
                let left = if was_open {
                    &mut self.open
                } else {
                    &mut self.closed
                };
                left.remove(first)?;
            }
            if is_empty {
                continue;
            }
            let table = if is_open {
                &mut self.open
            } else {
                &mut self.closed
            };
            table.insert(first, tails.bytes())?;
        }
        Ok(())
    }

    /// Hands over what is stored of a message.
    pub(crate) fn part<T>(
        &self,
        seq: MessageSeq,
        use_part: impl FnOnce(&[u8]) -> Result<T, Malformed>,
    ) -> Result<T, ReadError> {
        const NONE: Malformed = Malformed("a message is not in its chunk");
        let (first, value) = self.chunk.range(..=seq.0)?.next_back().ok_or(NONE)??;
        let part = Blob::read(value.value())?.part((seq.0 - first.value()) as usize)?;
        Ok(use_part(part.ok_or(NONE)?)?)
    }

    /// Writes a message anew that had no deliveries and whose tail was read before: `part` has its plan. Returns where
    /// the tails of its deliveries are to be set; until then they say what the message's said last.
    pub(crate) fn replan<'a>(
        &mut self,
        seq: MessageSeq,
        part: Vec<u8>,
        last: Cursor,
        channels: impl Iterator<Item = &'a ChannelName>,
    ) -> Result<Vec<SlotAt>, ReadError> {
        let first = self.first_of_chunk(seq.0)?;
        let first = first.ok_or(Malformed("a message has no tail"))?;
        let message = (seq.0 - first) as usize;
        let value = self.chunk.get(first)?;
        let value = value.ok_or(Malformed("a message is not in its chunk"))?;
        let mut parts = Blob::read(value.value())?.parts()?;
        let len_before = value.value().len();
        drop(value);
        let stands = parts.get_mut(message);
        *stands.ok_or(Malformed("a message is not in its chunk"))? = part;
        let place = Place::Delivery(Status::Queued, true);
        let touched = self.touched.get_mut(&first).expect("it was just read");
        touched.tails = touched
            .tails
            .with_slots(message, Tail { place, last }, channels)?;
        let slots = touched.tails.slots(message);
        self.rewrite(first, len_before, &parts)?;
        self.state.counts.remove_standing(Standing::Unroutable);
        Ok(slots.map(|slot| SlotAt { first, slot }).collect())
    }

    /// The tails of a chunk as they are in this group.
    pub(crate) fn tails(&mut self, first: u64) -> Result<&Tails, ReadError> {
        const NONE: Malformed = Malformed("a chunk has no tails");
        let found = self.first_of_chunk(first)?.ok_or(NONE)?;
        Ok(&self.touched.get(&found).ok_or(NONE)?.tails)
    }

    /// Changes all tails of a chunk, which were read before. Without any the chunk has none in a table.
    pub(crate) fn set_tails(&mut self, first: u64, tails: Tails) {
        let touched = self.touched.get_mut(&first);
        touched.expect("the tails were read before").tails = tails;
    }

    /// Writes a chunk anew, whose value had `len_before` bytes.
    pub(crate) fn rewrite(
        &mut self,
        first: u64,
        len_before: usize,
        parts: &[Vec<u8>],
    ) -> Result<(), ReadError> {
        let len = blob::len(parts.len(), parts.iter().map(Vec::len).sum());
        let parts = parts.iter().map(Vec::as_slice);
        self.chunk
            .insert_with(first, len, |value| blob::write(value, parts))?;
        let bytes = &mut self.state.space.message_bytes;
        *bytes = *bytes - len_before as u64 + len as u64;
        self.is_changed = true;
        Ok(())
    }

    /// The lease of a delivery ends with this commit.
    pub(crate) fn settled(&mut self, filed: Filed) {
        self.effects.settled.push(filed);
    }

    /// A delivery that nobody could claim stands elsewhere from now on.
    pub(crate) fn refiled(&mut self, channel: &ChannelName, filed: Filed) {
        self.effects.refiled.push((channel.clone(), filed));
    }

    /// Counts a delivery of a channel where it stands now, and has it found when it is due. `from` is none where it is
    /// new.
    pub(crate) fn stands(
        &mut self,
        channel: &ChannelName,
        id: DeliveryId,
        from: Option<Stand>,
        to: Stand,
    ) -> Result<(), ReadError> {
        let channel = self.effects.channels.channel(self.channels, channel);
        channel.step(from, to);
        let key = |stand: Stand| Some(due::key(channel.number, stand.due(id)?));
        let (left, reached) = (from.and_then(key), key(to));
        if left == reached {
            return Ok(());
        }
        let table = match &mut self.due {
            Some(table) => table,
            none => none.insert(self.tx.open_table(due::TABLE)?),
        };
        if let Some(left) = left {
            table.remove(left)?;
        }
        if let Some(reached) = reached {
            table.insert(reached, ())?;
        }
        Ok(())
    }

    /// What deliveries and messages are known by.
    pub(crate) fn aliases(&mut self) -> Result<&mut Aliases<'tx>, ReadError> {
        Ok(match &mut self.aliases {
            Some(aliases) => aliases,
            none => none.insert(Aliases::open(self.tx)?),
        })
    }

    /// The number of the next update.
    pub(crate) fn next_update(&mut self) -> Result<u64, ReadError> {
        let stored = self.meta.get(meta::NEXT_UPDATE_NAME)?;
        let number = stored.map_or(Ok(1), |value| meta::decode_next_update(value.value()))?;
        let next = meta::encode_next_update(number + 1);
        self.meta.insert(meta::NEXT_UPDATE_NAME, next.as_slice())?;
        Ok(number)
    }

    /// Updates came, went, or wait for another time.
    pub(crate) fn updates_changed(&mut self) {
        self.changed();
        self.effects.has_updates = true;
    }

    /// Notes how a delivery keeps later ones of its ordering key back, or that it lets them go. `hash` is of its key, where
    /// that is known to take part; what is noted of it before is found without. Returns whether it keeps them back.
    pub(crate) fn orders(
        &mut self,
        channel: &ChannelName,
        id: DeliveryId,
        hash: Option<u128>,
        hold: Option<Stored>,
    ) -> Result<bool, ReadError> {
        let noted = if self.order_of.len()? == 0 {
            None
        } else {
            self.order_of.get(id.0)?.map(|value| value.value())
        };
        let Some(hash) = noted.or(hash) else {
            return Ok(false);
        };
        let number = self.effects.channels.channel(self.channels, channel).number;
        let key = order::key(number, hash, id);
        match hold {
            Some(_) if self.planted == Planted::ForgetOrder => {}
            Some(hold) => {
                self.order.insert(key, hold as u8)?;
                if noted.is_none() {
                    self.order_of.insert(id.0, hash)?;
                }
            }
            None if noted.is_some() => {
                self.order.remove(key)?;
                self.order_of.remove(id.0)?;
                self.effects.freed.push((channel.clone(), hash));
            }
            None => {}
        }
        Ok(hold.is_some())
    }

    /// Removes a claim that is on disk.
    pub(crate) fn unclaim(&mut self, id: DeliveryId) -> Result<(), ReadError> {
        self.tx.open_table(claimed::TABLE)?.remove(id.0)?;
        Ok(())
    }

    /// The process begins to work on the store.
    pub(crate) fn begin_run(&mut self) -> Result<(), ReadError> {
        self.meta.remove(meta::CLEAN_STOP_NAME)?;
        self.changed();
        Ok(())
    }

    /// A delivery was removed that had ended: its channel counts it no more.
    pub(crate) fn removed(&mut self, channel: &ChannelName, status: Status) {
        self.state.counts.remove_delivery(status);
        let channel = self.effects.channels.channel(self.channels, channel);
        channel.removed(status);
    }

    /// A named value was set.
    pub(crate) fn set_state(&mut self, set: Set) {
        self.changed();
        self.effects.keyed.push(set);
    }

    /// The row of a delivery was written that is being attempted.
    pub(crate) fn marked(&mut self, id: DeliveryId) {
        self.changed();
        self.effects.marked.push(id);
    }

    /// Forgets the ids of messages before this one; returns from where on ids are known.
    pub(crate) fn forget_ids(&mut self, before: MessageSeq) -> MessageSeq {
        if self.ids.forget(before.min(self.state.next_seq)) {
            self.changed();
        }
        self.ids.floor()
    }

    /// Writes what was collected. None where the group changes nothing and needs no commit.
    pub(crate) fn finish(mut self) -> Result<Option<(State, Effects)>, ReadError> {
        if !self.is_changed {
            return Ok(None);
        }
        self.flush_chunk()?;
        if self.planted == Planted::DropJournalRow {
            self.rows.drop_last();
        }
        self.flush_journal()?;
        self.flush_tails()?;
        let ids = self.ids.finish(self.state.next_seq)?;
        if let Some(manifest) = &ids.manifest {
            self.meta
                .insert(meta::IDS_NAME, manifest.encode().as_slice())?;
        }
        self.effects.ids = ids;
        self.effects.channels.write(&mut self.meta)?;
        self.meta
            .insert(meta::STATE_NAME, self.state.encode().as_slice())?;
        Ok(Some((self.state, self.effects)))
    }
}

/// Where a tail stands: its chunk, and its slot there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SlotAt {
    first: u64,
    slot: usize,
}
