//! Looking a message up.

use std::sync::Arc;

use wharf_core::retry::Budget;
use wharf_core::route::Planned;
use wharf_core::{
    ChannelName, Cursor, DeliveryId, Message, MessageId, MessageSeq, Standing, Status, TimeMs,
    WireForm,
};

use crate::error::{Malformed, ReadError};
use crate::index::SharedIndex;
use crate::read::{Journal, Rows, Snapshot};
use crate::store::Store;
use crate::table::chunk;
use crate::table::delivery::Row;
use crate::table::tails::{Place, Tail};

/// A message, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageView {
    /// Its number.
    pub seq: MessageSeq,
    /// The message.
    pub message: Arc<Message>,
    /// Where it stands, if it has no deliveries.
    pub standing: Option<Standing>,
    /// Its deliveries, by their place.
    pub deliveries: Vec<DeliveryView>,
    /// What was planned and not made: each stands in for the delivery before it.
    pub in_reserve: Vec<(DeliveryId, Planned)>,
}

/// A delivery, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryView {
    /// Its number.
    pub id: DeliveryId,
    /// Its channel.
    pub channel: ChannelName,
    /// The route that asked for it.
    pub route: Arc<str>,
    /// Its stored status.
    pub status: Status,
    /// Whether it is being attempted: `sending`, which is never stored.
    pub is_leased: bool,
    /// Whether its claim is on disk. After an unclean stop: it is being attempted, or it was when the process ended and
    /// waits to be tried alone.
    pub is_claimed: bool,
    /// Attempts made so far. 0 where only a removed row of the journal said how many.
    pub attempts_count: u32,
    /// When it is looked at again.
    pub due: Option<TimeMs>,
    /// What to poll with.
    pub token: Option<String>,
    /// Someone asked to cancel it while it was being attempted: it is not tried again.
    pub is_cancelled: bool,
    /// How often it was redriven under a new idempotency key.
    pub key_generation: u32,
    /// Where its budget began, if that is not its message's acceptance: its last redrive, or the failover that made it.
    pub redriven: Option<Budget>,
    /// Its last journal row.
    pub last: Cursor,
}

impl Store {
    /// A message by its number, which a list has told; none where it is not, or not any more.
    pub fn get_numbered(&self, seq: MessageSeq) -> Result<Option<MessageView>, ReadError> {
        self.read(|snapshot| view(snapshot, self.index(), seq))
    }

    /// A message by its id; none where it is unknown, or was removed, which [`Store::remains`] tells apart.
    pub fn get(&self, id: &MessageId) -> Result<Option<MessageView>, ReadError> {
        let view = self.read_id(id, |snapshot, entry| {
            view(snapshot, self.index(), entry.seq)
        })?;
        Ok(view.flatten())
    }
}

impl Store {
    /// What of a delivery is stored to be sent; none where nothing is.
    pub fn wire(&self, id: DeliveryId) -> Result<Option<WireForm>, ReadError> {
        self.read(|snapshot| {
            let (tails, place) = snapshot.tails(id.message())?;
            let slot = tails.slots(place).nth(usize::from(id.place()));
            let Some(slot) = slot else {
                return Ok(None);
            };
            let Place::Delivery(_, true) = tails.tail(slot)?.place else {
                return Ok(None);
            };
            let rows = snapshot.rows()?;
            let has_wire = rows.row(id)?.has_wire;
            has_wire.then(|| rows.wire(id)).transpose()
        })
    }
}

fn view(
    snapshot: &Snapshot,
    index: &SharedIndex,
    seq: MessageSeq,
) -> Result<Option<MessageView>, ReadError> {
    let stored = snapshot.chunks()?.find(seq, |part| {
        let is_stub = chunk::is_stub(part);
        (!is_stub).then(|| chunk::decode(part)).transpose()
    })?;
    let Some(stored) = stored.flatten() else {
        return Ok(None);
    };
    let (tails, place) = snapshot.tails(seq)?;
    let (rows, mut journal) = (snapshot.rows()?, snapshot.journal()?);
    let mut deliveries = Vec::with_capacity(stored.planned.len());
    let mut in_reserve = Vec::new();
    for ((place, planned), slot) in (0..).zip(stored.planned).zip(tails.slots(place)) {
        let (id, tail) = (DeliveryId::new(seq, place), tails.tail(slot)?);
        if tail.place == Place::Reserve {
            in_reserve.push((id, planned));
            continue;
        }
        let view = DeliveryView::read(&rows, &mut journal, index, planned, id, tail)?;
        deliveries.push(view);
    }
    Ok(Some(MessageView {
        seq,
        message: Arc::new(stored.message),
        standing: stored.standing,
        deliveries,
        in_reserve,
    }))
}

impl DeliveryView {
    /// What tail, row and plan say of a delivery. Where it has no row, its journal says how many attempts it took.
    pub(crate) fn read(
        rows: &Rows,
        journal: &mut Journal,
        index: &SharedIndex,
        planned: Planned,
        id: DeliveryId,
        tail: Tail,
    ) -> Result<Self, ReadError> {
        let Planned { channel, route, .. } = planned;
        let Place::Delivery(status, has_row) = tail.place else {
            return Err(Malformed("a delivery's slot says that its message has none").into());
        };
        let row = if has_row {
            rows.row(id)?
        } else {
            let last = journal.find(tail.last)?;
            let attempt = last.and_then(|row| row.attempt);
            Row {
                attempts_count: attempt.map_or(0, |attempt| attempt.number),
                ..Row::new(status, channel.clone())
            }
        };
        let (is_leased, is_claimed) = {
            let index = index.lock();
            (index.is_leased(id), index.claimed().contains(&id))
        };
        Ok(Self {
            id,
            channel,
            route,
            status,
            is_leased,
            is_claimed,
            attempts_count: row.attempts_count,
            due: row.due,
            token: row.token,
            is_cancelled: row.is_cancelled,
            key_generation: row.key_generation,
            redriven: row.redriven,
            last: tail.last,
        })
    }
}
