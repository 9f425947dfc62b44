//! Status updates: what others report about deliveries that they have, and what that makes of them.
//!
//! An update names its channel, and the delivery by what its sender knows: the message's id, the token that the channel
//! got for it, or the reference that the message carried. It is never refused for what it says: what cannot be applied yet is
//! tried again, what never can be is parked.
//!
//! A final status stays. The opposite of it is a conflict; what is only late (that it is pending, once it was delivered)
//! says nothing new. What nobody sent yet cannot have been received: an update of it waits until its attempt has been
//! committed, which is also what a callback meets that is faster than our commit.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::delivery::Transition;
use crate::id::{ChannelName, MessageId};
use crate::limits::{UPDATE_WAIT_MAX, UPDATE_WAIT_MIN};
use crate::message::{Message, Pairs};
use crate::status::{Cause, Status};
use crate::time::TimeMs;

/// The attribute that says who sent a message, for those whose updates come back under its reference.
pub const SENDER_ATTRIBUTE: &str = "sender";

/// The attribute by which its sender refers to a message.
pub const SENDER_REF_ATTRIBUTE: &str = "sender_ref";

/// What somebody reports about a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// The channel that it came from, or is about.
    pub channel: ChannelName,
    /// Which delivery of the channel's.
    pub target: Target,
    /// What became of it.
    pub report: Report,
    /// When it came.
    pub received_at: TimeMs,
}

/// What a delivery is known by. As it came: it may be too little to find anything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The message's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<MessageId>,
    /// What the channel knows the delivery by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// Who sent the message, with `sender_ref`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender: Option<String>,
    /// How its sender refers to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender_ref: Option<String>,
}

/// How a delivery is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known<'a> {
    /// By its message's id.
    Id(&'a MessageId),
    /// By its channel's token.
    Token(&'a str),
    /// By its message's `sender` and `sender_ref`.
    Reference(&'a str, &'a str),
}

/// What is claimed of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Claim {
    /// The receiver has it.
    Delivered,
    /// The receiver has it and may change its mind.
    Provisional,
    /// The receiver will tell.
    Pending,
    /// The receiver does not want it.
    Rejected,
}

/// What became of a delivery, as somebody says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Where it stands.
    pub status: Claim,
    /// A short, stable word for a refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// One sentence on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The receiver's own name for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// For the journal.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Pairs,
}

impl Target {
    /// What it is looked up by: the surest of what there is. None where there is too little.
    #[must_use]
    pub fn known(&self) -> Option<Known<'_>> {
        match self {
            Self { id: Some(id), .. } => Some(Known::Id(id)),
            Self {
                token: Some(token), ..
            } => Some(Known::Token(token)),
            Self {
                sender: Some(sender),
                sender_ref: Some(sender_ref),
                ..
            } => Some(Known::Reference(sender, sender_ref)),
            _ => None,
        }
    }
}

/// What a message is found by beside its id; none where it does not carry both attributes.
#[must_use]
pub fn reference(message: &Message) -> Option<(&str, &str)> {
    let sender = message.attribute(SENDER_ATTRIBUTE)?;
    Some((sender, message.attribute(SENDER_REF_ATTRIBUTE)?))
}

impl Claim {
    /// The status that it claims.
    #[must_use]
    pub fn status(self) -> Status {
        match self {
            Self::Delivered => Status::Delivered,
            Self::Provisional => Status::Provisional,
            Self::Pending => Status::Pending,
            Self::Rejected => Status::Rejected,
        }
    }

    /// The code of the journal row of a conflict.
    #[must_use]
    pub fn conflict_code(self) -> &'static str {
        match self {
            Self::Delivered => "reported-delivered",
            Self::Provisional => "reported-provisional",
            Self::Pending => "reported-pending",
            Self::Rejected => "reported-rejected",
        }
    }
}

/// A delivery, as far as it decides what an update makes of it.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Its status.
    pub status: Status,
    /// Attempts made so far.
    pub attempts_count: u32,
    /// When it is looked at again.
    pub due: Option<TimeMs>,
    /// What it is polled with.
    pub token: Option<&'a str>,
}

/// What an update makes of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// This step.
    Step(Transition),
    /// Nothing: that is how it stands, or stood before it went on.
    Known,
    /// It has ended otherwise, and stays so.
    Conflict,
    /// Nothing yet: it was not sent, as far as is recorded.
    Unsent,
}

/// Decides what a claim makes of a delivery that nobody holds.
#[must_use]
pub fn judge(claim: Claim, subject: Subject<'_>) -> Verdict {
    let to = claim.status();
    let step = |cause| {
        let is_waiting = !to.is_final();
        Verdict::Step(Transition {
            to,
            cause,
            due: subject.due.filter(|_| is_waiting),
            token: subject.token.filter(|_| is_waiting).map(str::to_owned),
        })
    };
    match subject.status {
        status if status == to => Verdict::Known,
        Status::Held => Verdict::Unsent,
        Status::Queued | Status::Retrying if subject.attempts_count == 0 => Verdict::Unsent,
        Status::Queued | Status::Retrying | Status::Pending => step(Cause::Reported),
        Status::Provisional => step(match claim {
            Claim::Delivered => Cause::Reported,
            Claim::Provisional | Claim::Pending | Claim::Rejected => Cause::Reverted,
        }),
        Status::Delivered
        | Status::Rejected
        | Status::Dead
        | Status::Expired
        | Status::Cancelled
        | Status::Shed
        | Status::Superseded => {
            if to.is_final() {
                Verdict::Conflict
            } else {
                Verdict::Known
            }
        }
    }
}

/// When an update is tried again that cannot be applied at `now`; none where it has waited for as long as it may.
#[must_use]
pub fn again(received_at: TimeMs, tries: u32, grace: Duration, now: TimeMs) -> Option<TimeMs> {
    let end = received_at.after(grace);
    let wait = UPDATE_WAIT_MIN.saturating_mul(1 << tries.min(16));
    // The last look is at the very end.
    let next = now.after(wait.min(UPDATE_WAIT_MAX)).min(end);
    (now < end).then_some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLAIMS: [Claim; 4] = [
        Claim::Delivered,
        Claim::Provisional,
        Claim::Pending,
        Claim::Rejected,
    ];

    /// Goal: whatever is claimed of whatever delivery, a step is one of the machine's, and none leaves a final status.
    #[test]
    fn steps_are_of_the_machine_and_what_has_ended_stays() {
        for status in Status::ALL.iter().copied() {
            for claim in CLAIMS {
                for attempts_count in [0, 1] {
                    let subject = Subject {
                        status,
                        attempts_count,
                        due: Some(TimeMs(7)),
                        token: Some("job"),
                    };
                    let verdict = judge(claim, subject);
                    let name = format!("{claim:?} of {status} after {attempts_count}");
                    match &verdict {
                        Verdict::Step(step) => {
                            assert!(Status::allows(Some(status), step.to), "{name}");
                            assert!(!status.is_final(), "{name}");
                            assert_eq!(step.token.is_some(), !step.to.is_final(), "{name}");
                            let is_back =
                                status == Status::Provisional && claim != Claim::Delivered;
                            assert_eq!(step.cause == Cause::Reverted, is_back, "{name}");
                        }
                        Verdict::Known => {
                            assert!(status == claim.status() || status.is_final(), "{name}")
                        }
                        Verdict::Conflict => {
                            let is_opposite = claim.status().is_final() && claim.status() != status;
                            assert!(status.is_final() && is_opposite, "{name}");
                        }
                        Verdict::Unsent => assert!(
                            !status.is_final() && (attempts_count == 0 || status == Status::Held),
                            "{name}"
                        ),
                    }
                }
            }
        }
    }

    #[test]
    fn it_waits_longer_each_time_and_looks_once_more_at_the_end() {
        let came = TimeMs(1_000);
        let grace = Duration::from_secs(100);
        let (mut now, mut waits) = (came, Vec::new());
        for tries in 0.. {
            let Some(next) = again(came, tries, grace, now) else {
                break;
            };
            waits.push((next.0 - now.0) / 1_000);
            now = next;
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 37]);
        assert_eq!(now, came.after(grace));
    }

    #[test]
    fn the_surest_name_counts_and_half_a_reference_is_none() {
        let target = Target {
            sender: Some("SG".to_owned()),
            sender_ref: Some("7".to_owned()),
            ..Target::default()
        };
        assert_eq!(target.known(), Some(Known::Reference("SG", "7")));
        let half = Target {
            sender: None,
            ..target.clone()
        };
        assert_eq!(half.known(), None);
        let token = Target {
            token: Some("job".to_owned()),
            ..target
        };
        assert_eq!(token.known(), Some(Known::Token("job")));
    }
}
