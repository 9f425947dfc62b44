//! What becomes of a delivery when an attempt has ended.

use crate::failover::Failover;
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
    /// What its number and time are held against.
    pub budget: retry::Budget,
    /// Where it can go on instead; none where its route has no further channel.
    pub failover: Option<Failover>,
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
    let is_possible = |effect| attempt.failover.is_some_and(|f| f.is_possible(effect));
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
        Outcome::Retry(failure) if attempt.failover.is_some_and(|f| f.is_due(failure.effect)) => {
            plain(Status::Superseded, Cause::FailedOver)
        }
        Outcome::Retry(failure) => {
            match policy.next(
                attempt
                    .number
                    .saturating_sub(attempt.budget.attempts_before),
                attempt.budget.began_at,
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
                retry::Next::Spent(_) if is_possible(Some(failure.effect)) => {
                    plain(Status::Superseded, Cause::FailedOver)
                }
                retry::Next::Spent(cause) => plain(Status::Dead, cause),
            }
        }
        Outcome::Rejected(_) if is_possible(None) => plain(Status::Superseded, Cause::FailedOver),
        Outcome::Rejected(refusal) => plain(
            Status::Rejected,
            match refusal.by {
                Refuser::Channel => Cause::Refused,
                Refuser::Converter => Cause::ConversionRefused,
            },
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::time::Duration;

    use super::*;
    use crate::failover::Failures;
    use crate::outcome::{Effect, Failure, Refusal, Scope};

    const T0: TimeMs = TimeMs(1_000_000);

    /// After a redrive neither the attempts nor the time before it count.
    #[test]
    fn a_budget_counts_from_where_it_began() {
        let policy = retry::Policy {
            attempts_max: Some(2),
            age_max: Some(Duration::from_secs(60)),
            jitter: 0.0,
            ..retry::Policy::default()
        };
        let failure = Outcome::Retry(Failure {
            code: "http-503".to_owned(),
            reason: String::new(),
            effect: Effect::Unknown,
            scope: Scope::Message,
            pause: false,
            after: None,
            notes: Vec::new(),
            is_fault: false,
        });
        let check = |number, budget_of: (u32, u64), expected| {
            let budget = retry::Budget {
                attempts_before: budget_of.0,
                began_at: T0.after(Duration::from_secs(budget_of.1)),
            };
            let attempt = Attempt {
                number,
                budget,
                failover: None,
                ended_at: T0.after(Duration::from_secs(100)),
                chance: 0.5,
            };
            let transition = conclude(&failure, attempt, &policy);
            assert_eq!((transition.to, transition.cause), expected);
        };
        let (dead, retrying) = (Status::Dead, (Status::Retrying, Cause::Failed));
        check(1, (0, 90), retrying);
        check(2, (0, 90), (dead, Cause::AttemptsSpent));
        check(3, (2, 90), retrying);
        check(4, (2, 90), (dead, Cause::AttemptsSpent));
        check(3, (2, 0), (dead, Cause::AgeSpent));
    }

    /// Goal: what gives a delivery up goes on to the next channel instead, but never from what may have arrived.
    #[test]
    fn what_would_end_goes_on_to_the_next_channel() {
        let policy = retry::Policy {
            attempts_max: Some(2),
            ..retry::Policy::default()
        };
        let check = |number, after, failures, outcome: &Outcome, expected| {
            let attempt = Attempt {
                number,
                budget: retry::Budget {
                    attempts_before: 0,
                    began_at: T0,
                },
                failover: NonZeroU32::new(after).map(|after| Failover { after, failures }),
                ended_at: T0,
                chance: 0.5,
            };
            let transition = conclude(outcome, attempt, &policy);
            assert_eq!((transition.to, transition.cause), expected);
        };
        let failed = |effect| {
            Outcome::Retry(Failure {
                code: "c".to_owned(),
                reason: String::new(),
                effect,
                scope: Scope::Message,
                pause: false,
                after: None,
                notes: Vec::new(),
                is_fault: false,
            })
        };
        let refused = Outcome::Rejected(Refusal {
            by: Refuser::Channel,
            code: "c".to_owned(),
            reason: String::new(),
            notes: Vec::new(),
        });
        let (definite, ambiguous) = (failed(Effect::None), failed(Effect::Unknown));
        let none = Failures::default();
        let unclear = none.and(Some(Effect::Unknown));
        let superseded = (Status::Superseded, Cause::FailedOver);
        let retrying = (Status::Retrying, Cause::Failed);
        let dead = (Status::Dead, Cause::AttemptsSpent);
        let rejected = (Status::Rejected, Cause::Refused);
        check(1, 1, none, &definite, superseded);
        check(1, 2, none, &definite, retrying);
        check(1, 1, none, &ambiguous, retrying);
        check(1, 1, none, &refused, superseded);
        // Its budget is spent before its failures are as many as it takes.
        check(2, 9, none, &definite, superseded);
        check(2, 9, none, &ambiguous, dead);
        check(2, 1, unclear, &definite, dead);
        check(2, 1, unclear, &refused, rejected);
        // There is no next channel.
        check(1, 0, none, &definite, retrying);
        check(2, 0, none, &definite, dead);
        check(1, 0, none, &refused, rejected);
    }
}
