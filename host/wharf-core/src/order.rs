//! Order per key: which deliveries of a channel keep the later ones of their ordering key back.
//!
//! A delivery *takes part* if its message has an ordering key, was not to be delayed (`deliver-after`), and the delivery was
//! never redriven. Of those that take part none is sent before the one before it, of the same channel and key, has let it
//! go: [`holds`] says when. All others neither keep anyone back nor are kept back.

use crate::message::Message;
use crate::retry::Budget;
use crate::status::Status;

/// How a channel keeps its order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// How far a delivery has to come until the next one is sent.
    pub until: Until,
    /// What becomes of the next one where one was given up.
    pub on_dead: OnDead,
}

/// How far a delivery has to come until the next one is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Until {
    /// The receiver has it.
    #[default]
    Delivered,
    /// The receiver has taken it and will tell: pending and provisional are far enough.
    Accepted,
}

/// What becomes of the next one where one was given up: it is dead, rejected or shed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDead {
    /// It is sent.
    #[default]
    Continue,
    /// It waits until the one before it was redriven, which takes that out of the order, or was removed.
    Block,
}

/// How a delivery keeps the later ones of its key back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// Until it has come further.
    Waits,
    /// Until someone does something about it.
    Dead,
}

/// Whether a delivery with this status keeps the later ones of its key back.
#[must_use]
pub fn holds(status: Status, policy: Policy) -> Option<Hold> {
    match status {
        Status::Queued | Status::Held | Status::Retrying => Some(Hold::Waits),
        Status::Pending | Status::Provisional => match policy.until {
            Until::Delivered => Some(Hold::Waits),
            Until::Accepted => None,
        },
        Status::Dead | Status::Rejected | Status::Shed => match policy.on_dead {
            OnDead::Continue => None,
            OnDead::Block => Some(Hold::Dead),
        },
        Status::Delivered | Status::Expired | Status::Cancelled | Status::Superseded => None,
    }
}

/// The key by which a delivery takes part in its channel's order; none where it does not. `redriven` is where its last
/// redrive began its budget.
#[must_use]
pub fn key_of(message: &Message, redriven: Option<Budget>) -> Option<&str> {
    let is_delayed = message
        .deliver_after
        .is_some_and(|after| after > message.accepted_at);
    let takes_part = !is_delayed && redriven.is_none();
    message.ordering_key.as_deref().filter(|_| takes_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What has not ended holds the others back, but for what the policy lets go; what has ended well never does.
    #[test]
    fn a_policy_decides_about_what_is_taken_and_what_is_dead() {
        for status in Status::ALL {
            let strict = Policy {
                until: Until::Delivered,
                on_dead: OnDead::Block,
            };
            let is_dead = matches!(status, Status::Dead | Status::Rejected | Status::Shed);
            let expected = match (status.is_final(), is_dead) {
                (false, _) => Some(Hold::Waits),
                (true, true) => Some(Hold::Dead),
                (true, false) => None,
            };
            assert_eq!(holds(*status, strict), expected, "{status}");
            let lax = Policy {
                until: Until::Accepted,
                on_dead: OnDead::Continue,
            };
            let expected = (status.is_sendable() || *status == Status::Held).then_some(Hold::Waits);
            assert_eq!(holds(*status, lax), expected, "{status}");
        }
    }
}
