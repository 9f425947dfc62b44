//! What an operator's command makes of a delivery.

use crate::delivery::Transition;
use crate::status::{Cause, Status};

/// What a request to cancel makes of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancellation {
    /// It is cancelled now.
    Now,
    /// It is being attempted, and is flagged: any outcome but a retry wins.
    Flag,
    /// The receiver has it: too late.
    Refused,
    /// It has ended: nothing changes.
    Ended,
}

/// Decides a request to cancel.
#[must_use]
pub fn cancel(status: Status, is_leased: bool) -> Cancellation {
    match status {
        Status::Queued | Status::Held | Status::Retrying if is_leased => Cancellation::Flag,
        Status::Queued | Status::Held | Status::Retrying => Cancellation::Now,
        Status::Pending | Status::Provisional => Cancellation::Refused,
        Status::Delivered
        | Status::Rejected
        | Status::Dead
        | Status::Expired
        | Status::Cancelled
        | Status::Shed
        | Status::Superseded => Cancellation::Ended,
    }
}

/// What a flagged delivery's transition becomes: a retry is cancelled, also one for which there is no budget, and one on
/// another channel; anything else stays.
///
/// From where the machine has no such step (a pending delivery that is to be sent again) the retry stays too: the
/// flag meets it at its next claim.
#[must_use]
pub fn cancelled_instead(from: Status, transition: Transition) -> Transition {
    let is_retry = match transition.to {
        Status::Retrying | Status::Superseded => true,
        Status::Dead => matches!(transition.cause, Cause::AttemptsSpent | Cause::AgeSpent),
        _ => false,
    };
    if is_retry && Status::allows(Some(from), Status::Cancelled) {
        Transition {
            to: Status::Cancelled,
            cause: Cause::Cancelled,
            due: None,
            token: None,
        }
    } else {
        transition
    }
}

/// Where a redrive leads; none where there is no way out. `can_poll` says that the channel can still be asked: it
/// took the delivery and nobody knows what became of it, so it is asked first, and nothing is sent twice.
#[must_use]
pub fn redrive(status: Status, can_poll: bool) -> Option<Status> {
    match status {
        Status::Dead if can_poll => Some(Status::Pending),
        Status::Dead | Status::Rejected | Status::Shed => Some(Status::Queued),
        Status::Queued
        | Status::Held
        | Status::Retrying
        | Status::Pending
        | Status::Provisional
        | Status::Delivered
        | Status::Expired
        | Status::Cancelled
        | Status::Superseded => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever is decided is a step of the machine, and every way out of a final status is found.
    #[test]
    fn decisions_are_steps_of_the_machine() {
        for status in Status::ALL {
            let can_cancel = Status::allows(Some(*status), Status::Cancelled);
            let decision = match (status.is_final(), can_cancel) {
                (true, _) => Cancellation::Ended,
                (false, true) => Cancellation::Now,
                (false, false) => Cancellation::Refused,
            };
            assert_eq!(cancel(*status, false), decision, "{status}");
            let flagged = cancel(*status, true);
            assert_eq!(flagged == Cancellation::Flag, can_cancel, "{status}");
            for can_poll in [false, true] {
                let to = redrive(*status, can_poll);
                assert!(to.is_none_or(|to| Status::allows(Some(*status), to)));
                let has_way_out = status.is_final()
                    && Status::ALL
                        .iter()
                        .any(|to| Status::allows(Some(*status), *to));
                assert_eq!(to.is_some(), has_way_out, "{status}");
            }
        }
        assert_eq!(redrive(Status::Dead, true), Some(Status::Pending));
        assert_eq!(redrive(Status::Dead, false), Some(Status::Queued));
    }

    #[test]
    fn a_flag_turns_a_retry_alone() {
        let transition = |to| Transition {
            to,
            cause: Cause::Failed,
            due: None,
            token: None,
        };
        for from in [Status::Queued, Status::Retrying, Status::Pending] {
            for to in Status::ALL {
                let is_retry = matches!(to, Status::Retrying | Status::Superseded);
                let expected = if is_retry && from != Status::Pending {
                    Status::Cancelled
                } else {
                    *to
                };
                assert_eq!(cancelled_instead(from, transition(*to)).to, expected);
            }
        }
        for (cause, expected) in [
            (Cause::AttemptsSpent, Status::Cancelled),
            (Cause::AgeSpent, Status::Cancelled),
            (Cause::OutcomeUnknown, Status::Dead),
        ] {
            let spent = Transition {
                cause,
                ..transition(Status::Dead)
            };
            assert_eq!(cancelled_instead(Status::Queued, spent).to, expected);
        }
    }
}
