//! Writing what an export says, a commit at a time.

use redb::{Database, ReadableDatabase, Table};
use wharf_core::limits::DELIVERIES_COUNT_MAX;
use wharf_core::message::ContentHash;
use wharf_core::route::Planned;
use wharf_core::{ChannelName, Cursor, DeliveryId, Message, MessageSeq, Standing};

use super::import::{Refused, expected};
use super::line::{
    CursorLine, DeliveryLine, Header, MessageLine, ParkedLine, RemovedLine, RowLine, StandingLine,
    ValueLine,
};
use crate::channels::{Changed, Channels};
use crate::error::ReadError;
use crate::ids::{self, Ids};
use crate::options::{IdSizes, Options, Planted};
use crate::read::Snapshot;
use crate::recover;
use crate::stand::Stand;
use crate::table::id_entry::{Entry, IdHash};
use crate::table::id_manifest::Manifest;
use crate::table::journal::Draft;
use crate::table::state::{Space, State};
use crate::table::tails::{self, Place, Tail};
use crate::table::{
    attempt, blob, chunk, cursor, delivery, due, journal, keyed, meta, parked, wire,
};
use crate::transaction::{self, Transaction};

type Numbered<'tx> = Table<'tx, u64, &'static [u8]>;
type Named<'tx> = Table<'tx, &'static str, &'static [u8]>;

/// What is known from commit to commit.
pub(super) struct Target {
    numbers: Numbers,
    ids: Ids,
    manifest: Manifest,
    id_sizes: IdSizes,
    channels: Channels,
}

/// What was written so far.
struct Numbers {
    state: State,
    cursors: u64,
    values: u64,
    parked: u64,
    /// The header's: no row comes past it.
    next_row: Cursor,
}

impl Target {
    /// For a store that holds nothing yet.
    pub(super) fn new(
        database: &Database,
        options: &Options,
        header: &Header,
    ) -> Result<Self, ReadError> {
        let snapshot = Snapshot::new(database.begin_read()?);
        let mut manifest = snapshot.id_manifest()?;
        let memory = ids::load(&snapshot, &manifest, options.id_filter_bytes_max)?;
        manifest.floor = header.ids_from;
        let mut state = recover::state(&snapshot)?;
        state.next_seq = header.first_message;
        state.next_cursor = header.first_row;
        state.space = Space {
            journal_from: header.first_row,
            journal_from_seq: header.rows_from_message,
            pruned_messages: header.pruned.messages,
            pruned_deliveries: header.pruned.deliveries,
            pruned_rows: header.pruned.rows,
            ..state.space
        };
        Ok(Self {
            numbers: Numbers {
                state,
                cursors: 0,
                values: 0,
                parked: 0,
                next_row: header.next_row,
            },
            ids: Ids::new(recover::id_key(&snapshot)?, memory),
            manifest,
            id_sizes: options.id_sizes,
            channels: Channels::load(&snapshot)?,
        })
    }

    /// After the commit.
    pub(super) fn reflect(&mut self, Effects { mut ids, channels }: Effects) {
        if let Some(manifest) = ids.manifest.take() {
            self.manifest = manifest;
        }
        self.ids.reflect(ids, &self.manifest);
        self.channels.reflect(&channels);
    }

    /// What the header announced and did not come.
    pub(super) fn missing(&self, header: &Header) -> Option<String> {
        let Numbers {
            state,
            cursors,
            values,
            parked,
            ..
        } = &self.numbers;
        let counts = [
            ("messages", state.counts.messages(), header.messages),
            ("deliveries", state.counts.deliveries(), header.deliveries),
            (
                "rows",
                state.next_cursor.0 - header.first_row.0,
                header.rows,
            ),
            ("cursors", *cursors, header.cursors),
            ("values", *values, header.values),
            ("parked", *parked, header.parked),
            ("next_message", state.next_seq.0, header.next_message.0),
            ("next_row", state.next_cursor.0, header.next_row.0),
        ];
        let wrong = counts.iter().find(|(_, came, announced)| came != announced);
        wrong.map(|(name, came, announced)| {
            format!("the export ends here: header.{name} says {announced}, here it is {came}")
        })
    }
}

/// What a commit means for what is known.
pub(super) struct Effects {
    ids: ids::Effects,
    channels: Changed,
}

/// One commit.
pub(super) struct Writer<'a> {
    numbers: &'a mut Numbers,
    ids: ids::Change<'a>,
    /// As of the last commit.
    channels: &'a Channels,
    changed: Changed,
    due: Table<'a, due::Key, ()>,
    chunk: Numbered<'a>,
    open: Numbered<'a>,
    closed: Numbered<'a>,
    delivery: Numbered<'a>,
    wire: Numbered<'a>,
    journal: Numbered<'a>,
    parked: Numbered<'a>,
    cursor: Named<'a>,
    keyed: Named<'a>,
    meta: transaction::Table<'a, &'static str, &'static [u8]>,
    /// Messages that are in no chunk yet: the last ones.
    messages: Parts,
    tails: tails::Builder,
    /// Rows that are in no blob yet: the last ones.
    rows: Parts,
    bytes: usize,
}

/// Parts of a blob that is not written yet.
#[derive(Default)]
struct Parts {
    parts: Vec<Vec<u8>>,
    bytes: usize,
}

/// A message whose deliveries are yet to come.
pub(super) struct Begun {
    message: Message,
    standing: Option<StandingLine>,
    planned: Vec<Planned>,
    tails: Vec<Tail>,
}

impl Begun {
    pub(super) fn place(&self) -> u16 {
        self.tails.len() as u16
    }
}

impl<'a> Writer<'a> {
    pub(super) fn begin(tx: &'a Transaction, target: &'a mut Target) -> Result<Self, ReadError> {
        let Target {
            numbers,
            ids,
            manifest,
            id_sizes,
            channels,
        } = target;
        let tables = tx.unlogged();
        Ok(Self {
            numbers,
            ids: ids::Change::begin(tx, ids, manifest, id_sizes, Planted::None),
            channels,
            changed: Changed::default(),
            due: tables.open_table(due::TABLE)?,
            chunk: tables.open_table(chunk::TABLE)?,
            open: tables.open_table(tails::OPEN)?,
            closed: tables.open_table(tails::CLOSED)?,
            delivery: tables.open_table(delivery::TABLE)?,
            wire: tables.open_table(wire::TABLE)?,
            journal: tables.open_table(journal::TABLE)?,
            parked: tables.open_table(parked::TABLE)?,
            cursor: tables.open_table(cursor::TABLE)?,
            keyed: tables.open_table(keyed::TABLE)?,
            meta: tx.open_table(meta::TABLE)?,
            messages: Parts::default(),
            tails: tails::Builder::default(),
            rows: Parts::default(),
            bytes: 0,
        })
    }

    /// About how much it has written.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn message(&mut self, mut line: MessageLine) -> Result<Begun, Refused> {
        let (found, next) = (line.seq.0, self.numbers.state.next_seq.0);
        if found != next {
            return Err(Refused::field(
                "message.seq",
                expected("message", found, next),
            ));
        }
        if usize::from(line.deliveries) > DELIVERIES_COUNT_MAX {
            let detail = format!("a message has {DELIVERIES_COUNT_MAX} at most");
            return Err(Refused::field("message.deliveries", detail));
        }
        if (line.deliveries == 0) != line.standing.is_some() {
            let detail = "it says where a message without deliveries stands, and no other";
            return Err(Refused::field("message.standing", detail));
        }
        if let Some(standing) = &line.standing {
            self.check_row("message.standing.last_row", standing.last_row)?;
        }
        let standing = line.standing.take();
        let message = line.into_message();
        self.id(self.numbers.state.next_seq, &message)?;
        Ok(Begun {
            message,
            standing,
            planned: Vec::new(),
            tails: Vec::new(),
        })
    }

    /// The next delivery of a message.
    pub(super) fn delivery(
        &mut self,
        begun: &mut Begun,
        line: DeliveryLine,
    ) -> Result<(), Refused> {
        let seq = self.numbers.state.next_seq;
        if line.message != seq {
            let detail = format!("it stands behind message {seq}");
            return Err(Refused::field("delivery.message", detail));
        }
        if line.place != begun.place() {
            let detail = expected("delivery", line.place.into(), begun.place().into());
            return Err(Refused::field("delivery.place", detail));
        }
        // Its length is kept in 16 bits.
        if line.channel.len() > usize::from(u16::MAX) {
            let detail = format!("it has {} bytes, more than any channel", line.channel.len());
            return Err(Refused::field("delivery.channel", detail));
        }
        self.check_row("delivery.last_row", line.last_row)?;
        if line.wire.is_some() && line.kept.is_none() {
            let detail = "what is sent again belongs to a delivery of which more is kept";
            return Err(Refused::field("delivery.wire", detail));
        }
        let id = DeliveryId::new(seq, line.place);
        let channel = ChannelName::new(&line.channel);
        let stand = Stand {
            status: line.status,
            has_row: line.kept.is_some(),
            due: line.kept.as_ref().and_then(|kept| kept.due_ms),
        };
        let counted = self.changed.channel(self.channels, &channel);
        counted.step(None, stand);
        if let Some(due) = stand.due(id) {
            self.due.insert(due::key(counted.number, due), ())?;
        }
        if let Some(kept) = line.kept {
            let row = kept.into_row(line.status, channel.clone(), line.wire.is_some());
            self.bytes += insert(&mut self.delivery, id.0, &row.encode())?;
        }
        if let Some(form) = line.wire {
            self.bytes += insert(&mut self.wire, id.0, &wire::encode(&form.into()))?;
        }
        self.numbers.state.counts.step(None, line.status);
        begun.planned.push(Planned {
            route: line.route.into(),
            channel,
        });
        begun.tails.push(Tail {
            place: Place::Delivery(line.status, stand.has_row),
            last: line.last_row,
        });
        Ok(())
    }

    /// Once all deliveries of a message have come.
    pub(super) fn end_message(&mut self, begun: Begun) -> Result<(), Refused> {
        let Begun {
            message,
            standing,
            planned,
            tails,
        } = begun;
        let stands = standing
            .as_ref()
            .map_or(Standing::Unroutable, |line| line.standing);
        let mut part = Vec::with_capacity(chunk::room(&message));
        chunk::encode(&message, &planned, stands, &mut part);
        self.push_message(part)?;
        for (tail, planned) in tails.iter().zip(&planned) {
            self.tails.slot(*tail, Some(&planned.channel));
        }
        if let Some(StandingLine { standing, last_row }) = standing {
            let place = Place::Message(standing);
            let last = last_row;
            self.tails.slot(Tail { place, last }, None);
            self.numbers.state.counts.add_standing(standing);
        }
        self.numbers.state.counts.add_message();
        self.numbers.state.next_seq.0 += 1;
        Ok(())
    }

    /// What stays of a message that was removed.
    pub(super) fn removed(&mut self, line: &RemovedLine) -> Result<(), Refused> {
        let seq = self.numbers.state.next_seq;
        if line.seq != seq {
            let detail = expected("message", line.seq.0, seq.0);
            return Err(Refused::field("removed.seq", detail));
        }
        if (seq >= self.ids.floor()) != line.known.is_some() {
            let detail = "ids are known from header.ids_from on, and no others";
            return Err(Refused::field("removed.known", detail));
        }
        if let Some(known) = &line.known {
            let content = ContentHash(known.content_hash.0);
            let hash = IdHash::from_bytes(known.id_hash.0);
            self.add_id("removed.known.id_hash", hash, Entry { content, seq })?;
        }
        self.push_message(chunk::stub(line.accepted_at_ms, line.deliveries as usize))?;
        self.numbers.state.next_seq.0 += 1;
        Ok(())
    }

    /// Adds a message to the chunk. Its slots are to follow, where it has any.
    fn push_message(&mut self, part: Vec<u8>) -> Result<(), ReadError> {
        if !self.messages.has_room(&part) {
            self.flush_messages()?;
        }
        self.bytes += self.messages.push(part);
        self.tails.message();
        Ok(())
    }

    /// Below the floor an id is as if never seen, and may come again.
    fn id(&mut self, seq: MessageSeq, message: &Message) -> Result<(), Refused> {
        if seq < self.ids.floor() {
            return Ok(());
        }
        let hash = self.ids.hash(&message.id);
        let content = message.content_hash(self.ids.key());
        self.add_id("message.id", hash, Entry { content, seq })
    }

    fn add_id(&mut self, field: &'static str, hash: IdHash, entry: Entry) -> Result<(), Refused> {
        if let Some(Entry { seq, .. }) = self.ids.find(hash)? {
            let detail = format!("message {seq} has it too");
            return Err(Refused::field(field, detail));
        }
        self.ids.add(hash, entry);
        Ok(())
    }

    pub(super) fn row(&mut self, line: RowLine) -> Result<(), Refused> {
        let (found, next) = (line.row.0, self.numbers.state.next_cursor.0);
        if found != next {
            return Err(Refused::field("row.row", expected("row", found, next)));
        }
        self.check_row("row.row", line.row)?;
        if line.subject.message() >= Some(self.numbers.state.next_seq) {
            let detail = "it is about a message that is not there";
            return Err(Refused::field("row.subject", detail));
        }
        let attempt = line.attempt.map(|line| {
            let mut facts = Vec::new();
            attempt::encode(&line.into(), &mut facts);
            facts
        });
        let mut part = Vec::new();
        let draft = Draft {
            previous: line.previous,
            subject: line.subject.into_subject(),
            cause: line.cause,
            at: line.at_ms,
            due: line.due_ms,
            attempt: attempt.as_deref(),
        };
        journal::encode(&draft, &mut part);
        if !self.rows.has_room(&part) {
            self.flush_rows()?;
        }
        self.bytes += self.rows.push(part);
        self.numbers.state.next_cursor.0 += 1;
        Ok(())
    }

    pub(super) fn cursor(&mut self, line: &CursorLine) -> Result<(), Refused> {
        let value = cursor::encode(line.row);
        self.bytes += insert_named(&mut self.cursor, "cursor.name", &line.name, &value)?;
        self.numbers.cursors += 1;
        Ok(())
    }

    pub(super) fn value(&mut self, line: &ValueLine) -> Result<(), Refused> {
        let value = keyed::encode(&line.value.0);
        self.bytes += insert_named(&mut self.keyed, "value.name", &line.name, &value)?;
        self.numbers.values += 1;
        Ok(())
    }

    pub(super) fn parked(&mut self, line: ParkedLine) -> Result<(), Refused> {
        let number = line.number;
        let value = parked::encode(&line.into_parked());
        if self.parked.insert(number, value.as_slice())?.is_some() {
            return Err(Refused::field("parked.number", "it came before"));
        }
        self.bytes += value.len();
        self.numbers.parked += 1;
        Ok(())
    }

    /// What names a row names one that is to come.
    fn check_row(&self, field: &'static str, row: Cursor) -> Result<(), Refused> {
        if row.0 == 0 || row >= self.numbers.next_row {
            let detail = format!("header.next_row leaves no row {row}");
            return Err(Refused::field(field, detail));
        }
        Ok(())
    }

    fn flush_messages(&mut self) -> Result<(), ReadError> {
        let count = self.messages.parts.len() as u64;
        if count == 0 {
            return Ok(());
        }
        let first = self.numbers.state.next_seq.0 - count;
        self.numbers.state.space.message_bytes += self.messages.write(&mut self.chunk, first)?;
        let tails = std::mem::take(&mut self.tails).build();
        if tails.slots_count() == 0 {
            return Ok(());
        }
        let table = if tails.is_open()? {
            &mut self.open
        } else {
            &mut self.closed
        };
        table.insert(first, tails.bytes())?;
        Ok(())
    }

    fn flush_rows(&mut self) -> Result<(), ReadError> {
        let first = self.numbers.state.next_cursor.0 - self.rows.parts.len() as u64;
        self.numbers.state.space.journal_bytes += self.rows.write(&mut self.journal, first)?;
        Ok(())
    }

    /// Writes what was collected, to be committed.
    pub(super) fn finish(mut self) -> Result<Effects, ReadError> {
        self.flush_messages()?;
        self.flush_rows()?;
        let state = &self.numbers.state;
        let ids = self.ids.finish(state.next_seq)?;
        if let Some(manifest) = &ids.manifest {
            self.meta
                .insert(meta::IDS_NAME, manifest.encode().as_slice())?;
        }
        self.changed.write(&mut self.meta)?;
        self.meta
            .insert(meta::STATE_NAME, state.encode().as_slice())?;
        Ok(Effects {
            ids,
            channels: self.changed,
        })
    }
}

impl Parts {
    fn has_room(&self, part: &[u8]) -> bool {
        blob::fits(self.parts.len(), self.bytes, part.len())
    }

    fn push(&mut self, part: Vec<u8>) -> usize {
        let bytes = part.len();
        self.bytes += bytes;
        self.parts.push(part);
        bytes
    }

    /// Writes them as one value under the number of the first; returns its length.
    fn write(&mut self, table: &mut Numbered<'_>, first: u64) -> Result<u64, ReadError> {
        let Self { parts, bytes } = std::mem::take(self);
        if parts.is_empty() {
            return Ok(0);
        }
        let len = blob::len(parts.len(), bytes);
        let mut value = table.insert_reserve(first, len)?;
        blob::write(value.as_mut(), parts.iter().map(Vec::as_slice));
        Ok(len as u64)
    }
}

fn insert(table: &mut Numbered<'_>, number: u64, value: &[u8]) -> Result<usize, ReadError> {
    table.insert(number, value)?;
    Ok(value.len())
}

fn insert_named(
    table: &mut Named<'_>,
    field: &'static str,
    name: &str,
    value: &[u8],
) -> Result<usize, Refused> {
    if table.insert(name, value)?.is_some() {
        return Err(Refused::field(field, "it came before"));
    }
    Ok(name.len() + value.len())
}
