//! Calling in what is in reserve: the part of a settle that makes a failover's next delivery.
//!
//! Its slot and its plan were written with its message, so it costs a row and a tail, and finds itself after a restart.

use wharf_core::{Cause, ChannelName, Cursor, DeliveryId, TimeMs};

use crate::error::{Malformed, ReadError};
use crate::group::{Group, SlotAt};
use crate::step::Made;
use crate::table::tails::Place;

/// A delivery that was planned and not made.
pub(crate) struct Reserve {
    id: DeliveryId,
    slot: SlotAt,
    channel: ChannelName,
}

impl Reserve {
    /// The one that stands in for a delivery: planned behind it.
    pub(crate) fn behind(group: &mut Group<'_>, id: DeliveryId) -> Result<Self, ReadError> {
        const NONE: Malformed = Malformed("a delivery is superseded, and none is in reserve");
        let id = DeliveryId::new(id.message(), id.place().checked_add(1).ok_or(NONE)?);
        let (slot, tail) = group.tail(id)?.ok_or(NONE)?;
        if tail.place != Place::Reserve {
            return Err(NONE.into());
        }
        let channel = group.channel(slot)?;
        Ok(Self { id, slot, channel })
    }

    /// Makes it. `superseded` is the row that led here.
    pub(crate) fn call_in(
        self,
        group: &mut Group<'_>,
        superseded: Cursor,
        at: TimeMs,
    ) -> Result<(), ReadError> {
        let Self { id, slot, channel } = self;
        let made = Made {
            id,
            slot,
            channel: &channel,
            previous: superseded,
            cause: Cause::FailedOver,
            at,
            due: None,
        };
        made.write(group)
    }
}
