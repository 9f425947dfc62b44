//! Routing again: deliveries for a message that no route matched when it was accepted.
//!
//! The one command that writes a chunk anew: what was planned stands beside the message. It is an operator's, and rare.

use tracing::error;
use wharf_core::journal::Subject;
use wharf_core::limits::DELIVERIES_COUNT_MAX;
use wharf_core::retry::Budget;
use wharf_core::route::Planned;
use wharf_core::{Cause, DeliveryId, MessageSeq, Standing, Status, TimeMs};

use crate::error::{ReadError, WriteError};
use crate::group::{Filed, Group};
use crate::request::Write;
use crate::stand::Stand;
use crate::store::Store;
use crate::table::chunk;
use crate::table::delivery::Row;
use crate::table::journal::Draft;
use crate::table::tails::{Place, Tail};

/// A request to give deliveries to a message that has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reroute {
    /// Which one.
    pub message: MessageSeq,
    /// What was planned for it now.
    pub planned: Vec<Planned>,
    /// When.
    pub at: TimeMs,
}

/// What became of a request to route a message again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rerouted {
    /// It has so many deliveries now, queued.
    Recorded(u16),
    /// It is not unroutable, or nothing was planned. Nothing changed.
    Refused,
    /// There is no such message.
    Unknown,
    /// What is stored of it cannot be read; the log says why. Nothing changed.
    Unreadable,
}

impl Store {
    /// Gives deliveries to messages that no route matched, in one commit, and answers for each, in order, once it is on
    /// disk. Retry budgets begin now.
    pub async fn reroute(&self, batch: Vec<Reroute>) -> Result<Vec<Rerouted>, WriteError> {
        for one in &batch {
            assert!(
                one.planned.len() <= DELIVERIES_COUNT_MAX,
                "a message has too many deliveries"
            );
        }
        let bytes = batch.len() * size_of::<Reroute>();
        self.write(batch, bytes, Write::Reroute).await
    }
}

/// The writer's part. What has no deliveries is nowhere in the index.
pub(crate) fn apply(group: &mut Group<'_>, wanted: &Reroute) -> Result<Rerouted, ReadError> {
    match reroute(group, wanted) {
        Err(ReadError::Malformed(cause)) => {
            error!(message_seq = %wanted.message, error = &cause as &dyn std::error::Error, "a message cannot be read and is not routed again");
            Ok(Rerouted::Unreadable)
        }
        rerouted => rerouted,
    }
}

fn reroute(group: &mut Group<'_>, wanted: &Reroute) -> Result<Rerouted, ReadError> {
    let (seq, planned, at) = (wanted.message, &wanted.planned, wanted.at);
    // A message without deliveries has its slot where its first one would have it.
    let Some((_, before)) = group.tail(DeliveryId::new(seq, 0))? else {
        return Ok(Rerouted::Unknown);
    };
    if before.place != Place::Message(Standing::Unroutable) || planned.is_empty() {
        return Ok(Rerouted::Refused);
    }
    let stored = group.part(seq, chunk::decode)?;
    let mut part = Vec::with_capacity(chunk::room(&stored.message));
    chunk::encode(&stored.message, planned, Standing::Unroutable, &mut part);
    let channels = planned.iter().map(|one| &one.channel);
    // From here on nothing is read that could be malformed.
    let slots = group.replan(seq, part, before.last, channels)?;
    let due = stored.message.deliver_after.filter(|after| *after > at);
    for ((place, planned), slot) in (0..).zip(planned).zip(slots) {
        let id = DeliveryId::new(seq, place);
        let subject = Subject::Delivery {
            id,
            from: None,
            to: Status::Queued,
        };
        let last = group.journal(&Draft {
            // The message's own row: what led here.
            previous: Some(before.last),
            subject,
            cause: Cause::Redriven,
            at,
            due,
            attempt: None,
        })?;
        let row = Row {
            due,
            redriven: Some(Budget {
                attempts_before: 0,
                began_at: at,
            }),
            ..Row::new(Status::Queued, planned.channel.clone())
        };
        debug_assert!(row.is_needed(), "what has a row needs it");
        group.delivery.insert(id.0, row.encode().as_slice())?;
        let place = Place::Delivery(Status::Queued, true);
        group.set_tail(slot, Tail { place, last });
        let stand = Stand {
            has_row: true,
            due,
            ..Stand::OPEN
        };
        group.stands(&planned.channel, id, None, stand)?;
        group.refiled(
            &planned.channel,
            Filed {
                id,
                stand,
                holds_key: false,
            },
        );
    }
    Ok(Rerouted::Recorded(planned.len() as u16))
}
