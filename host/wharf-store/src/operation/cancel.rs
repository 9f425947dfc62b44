//! Cancelling: what was not sent yet is not sent any more.

use tracing::error;
use wharf_core::operator::{self, Cancellation};
use wharf_core::{Cause, Cursor, DeliveryId, MessageId, MessageSeq, Status, TimeMs};

use crate::error::{CancelError, ReadError};
use crate::group::Group;
use crate::index::{SharedIndex, Sought};
use crate::request::Write;
use crate::step::{Current, Found, Step};
use crate::store::Store;
use crate::table::delivery::Row;

/// A request to cancel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cancel {
    /// What.
    pub target: Target,
    /// When.
    pub at: TimeMs,
}

/// What is to be cancelled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// One delivery.
    Delivery(DeliveryId),
    /// Every delivery of a message.
    Message(MessageId),
}

/// What became of a request to cancel a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancelled {
    /// It is cancelled, with this journal row.
    Recorded(Cursor),
    /// It is being attempted. Any outcome but a retry wins; it is not tried again.
    Flagged,
    /// The receiver has it, and it has this status: too late. Nothing changed.
    Refused(Status),
    /// It had ended, with this status, which may be `cancelled`. Nothing changed.
    Ended(Status),
    /// There is no such delivery.
    Unknown,
    /// What is stored of it cannot be read; the log says why. Nothing changed.
    Unreadable,
}

/// A request whose message id was looked up.
pub(crate) struct Asked {
    what: Numbered,
    at: TimeMs,
}

enum Numbered {
    Delivery(DeliveryId),
    Message(MessageSeq),
    Nothing,
}

/// The answer to one request: its deliveries, and what became of each.
type Answer = Vec<(DeliveryId, Cancelled)>;

impl Store {
    /// Cancels deliveries in one commit, and answers for each request, in order, with its deliveries and what became
    /// of each, once it is on disk. A message that is unknown, or has no deliveries, has none in its answer.
    pub async fn cancel(&self, batch: Vec<Cancel>) -> Result<Vec<Answer>, CancelError> {
        let asked = batch.into_iter().map(|cancel| self.look_up(cancel));
        let asked: Vec<_> = asked.collect::<Result<_, _>>().map_err(CancelError::Find)?;
        let bytes = asked.len() * size_of::<Asked>();
        let cancelled = self.write(asked, bytes, Write::Cancel).await;
        cancelled.map_err(CancelError::Write)
    }

    fn look_up(&self, Cancel { target, at }: Cancel) -> Result<Asked, ReadError> {
        let what = match target {
            Target::Delivery(id) => Numbered::Delivery(id),
            Target::Message(id) => self
                .read_id(&id, |_, entry| Ok(entry.seq))?
                .map_or(Numbered::Nothing, Numbered::Message),
        };
        Ok(Asked { what, at })
    }
}

/// The writer's part.
pub(crate) fn apply(
    group: &mut Group<'_>,
    index: &SharedIndex,
    batch: Vec<Asked>,
) -> Result<Vec<Answer>, ReadError> {
    let mut targets = Vec::with_capacity(batch.len());
    for Asked { what, at } in batch {
        let ids = match what {
            Numbered::Delivery(id) => vec![id],
            Numbered::Message(seq) => match group.deliveries(seq) {
                // The first one stands for all of them, and is answered as unreadable.
                Err(ReadError::Malformed(_)) => vec![DeliveryId::new(seq, 0)],
                ids => ids?,
            },
            Numbered::Nothing => Vec::new(),
        };
        targets.push((ids, at));
    }
    let mut waiting = Vec::new();
    for id in targets.iter().flat_map(|(ids, _)| ids) {
        if let Found::Current(current) = Current::find(group, *id)?
            && operator::cancel(current.row.status, false) == Cancellation::Now
        {
            waiting.push(Sought::of(&current));
        }
    }
    // From here to the commit nobody can claim them, and those that are being attempted stay so.
    let leased = index.lock().seize(&waiting);
    let mut answers = Vec::with_capacity(targets.len());
    for (ids, at) in targets {
        let mut answer = Vec::with_capacity(ids.len());
        for id in ids {
            answer.push((id, cancel(group, index, id, leased.contains(&id), at)?));
        }
        answers.push(answer);
    }
    Ok(answers)
}

fn cancel(
    group: &mut Group<'_>,
    index: &SharedIndex,
    id: DeliveryId,
    is_leased: bool,
    at: TimeMs,
) -> Result<Cancelled, ReadError> {
    let mut current = match Current::find(group, id)? {
        Found::Current(current) => current,
        Found::Unknown => return Ok(Cancelled::Unknown),
        Found::Unreadable(cause) => {
            error!(delivery = %id, error = &cause as &dyn std::error::Error, "a delivery cannot be read and is not cancelled");
            return Ok(Cancelled::Unreadable);
        }
    };
    let status = current.row.status;
    match operator::cancel(status, is_leased) {
        Cancellation::Now => {
            let row = Row {
                status: Status::Cancelled,
                due: None,
                has_wire: false,
                is_cancelled: false,
                ..current.row.clone()
            };
            let step = Step {
                row,
                cause: Cause::Cancelled,
                at,
                attempt: None,
                wire: None,
            };
            let (last, filed) = current.step(group, &step)?;
            if index.lock().unclaim(id) {
                group.unclaim(id)?;
            }
            if status.is_sendable() {
                group.settled(filed);
            } else {
                // What is held nobody could claim.
                group.refiled(&current.row.channel, filed);
            }
            Ok(Cancelled::Recorded(last))
        }
        Cancellation::Flag => {
            // It has a row from now on, by which its key is known.
            current.ordered = index.lock().ordered(id);
            current.flag(group)?;
            group.marked(id);
            Ok(Cancelled::Flagged)
        }
        Cancellation::Refused => Ok(Cancelled::Refused(status)),
        Cancellation::Ended => Ok(Cancelled::Ended(status)),
    }
}
