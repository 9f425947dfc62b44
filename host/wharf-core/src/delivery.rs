//! What becomes of a delivery when an attempt has ended.

use crate::outcome::{Outcome, Refuser};
use crate::retry;
use crate::status::{Cause, Status};
use crate::time::TimeMs;

/// A step of the status machine, decided and not yet stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The new status.
    pub to: Status,
    /// Why.
    pub cause: Cause,
    /// When it is looked at again: the next attempt of `retrying`, the next poll of `pending`.
    pub due: Option<TimeMs>,
    /// What to poll with.
    pub token: Option<String>,
}

/// What [`conclude`] needs to know of the attempt.
#[derive(Clone, Copy, Debug)]
pub struct Attempt {
    /// Its number, from 1.
    pub number: u32,
    /// When the message was accepted.
    pub accepted_at: TimeMs,
    /// When the attempt ended.
    pub ended_at: TimeMs,
    /// For the jitter, 0..1.
    pub chance: f64,
}

/// Decides what an attempt's outcome makes of its delivery.
#[must_use]
pub fn conclude(outcome: &Outcome, attempt: Attempt, policy: &retry::Policy) -> Transition {
    let plain = |to, cause| Transition {
        to,
        cause,
        due: None,
        token: None,
    };
    match outcome {
        Outcome::Delivered { .. } => plain(Status::Delivered, Cause::Sent),
        Outcome::Provisional { waiting, .. } => Transition {
            due: waiting.poll_after.map(|span| attempt.ended_at.after(span)),
            token: Some(waiting.token.clone()),
            ..plain(Status::Provisional, Cause::Sent)
        },
        Outcome::Pending(waiting) => Transition {
            due: waiting.poll_after.map(|span| attempt.ended_at.after(span)),
            token: Some(waiting.token.clone()),
            ..plain(Status::Pending, Cause::Sent)
        },
        Outcome::Retry(failure) => {
            match policy.next(
                attempt.number,
                attempt.accepted_at,
                attempt.ended_at,
                failure.after,
                attempt.chance,
            ) {
                retry::Next::At(due) => Transition {
                    due: Some(due),
                    ..plain(
                        Status::Retrying,
                        if failure.is_fault {
                            Cause::PluginFault
                        } else {
                            Cause::Failed
                        },
                    )
                },
                retry::Next::Spent(cause) => plain(Status::Dead, cause),
            }
        }
        Outcome::Rejected(refusal) => plain(
            Status::Rejected,
            match refusal.by {
                Refuser::Channel => Cause::Refused,
                Refuser::Converter => Cause::ConversionRefused,
            },
        ),
    }
}
