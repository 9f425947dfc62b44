//! Calling in what is in reserve: the part of a settle that makes a failover's next delivery.
//!
//! Its slot and its plan were written with its message, so it costs a row and a tail, and finds itself after a restart.

use wharf_core::journal::Subject;
use wharf_core::retry::Budget;
use wharf_core::{Cause, ChannelName, Cursor, DeliveryId, Status, TimeMs};

use crate::error::{Malformed, ReadError};
use crate::group::{Filed, Group, SlotAt};
use crate::stand::Stand;
use crate::table::delivery::Row;
use crate::table::journal::Draft;
use crate::table::tails::{Place, Tail};

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

    /// Makes it. `superseded` is the row that led here; its budget begins now. It gets a row of its own: what is new has
    /// none, but has a number behind those that are known to wait.
    pub(crate) fn call_in(
        self,
        group: &mut Group<'_>,
        superseded: Cursor,
        at: TimeMs,
    ) -> Result<(), ReadError> {
        let Self { id, slot, channel } = self;
        let subject = Subject::Delivery {
            id,
            from: None,
            to: Status::Queued,
        };
        let last = group.journal(&Draft {
            previous: Some(superseded),
            subject,
            cause: Cause::FailedOver,
            at,
            due: None,
            attempt: None,
        })?;
        let row = Row {
            redriven: Some(Budget {
                attempts_before: 0,
                began_at: at,
            }),
            ..Row::new(Status::Queued, channel.clone())
        };
        debug_assert!(row.is_needed(), "what has a row needs it");
        group.delivery.insert(id.0, row.encode().as_slice())?;
        let place = Place::Delivery(Status::Queued, true);
        group.set_tail(slot, Tail { place, last });
        let stand = Stand {
            has_row: true,
            ..Stand::OPEN
        };
        group.stands(&channel, id, None, stand)?;
        group.refiled(&channel, Filed { id, stand });
        Ok(())
    }
}
