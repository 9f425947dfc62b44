//! How an attempt ended, as the channel and the host see it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::message::Pairs;

/// Could the receiver have acted on a failed attempt?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// Certainly not.
    None,
    /// Perhaps.
    Unknown,
}

/// Whose fault a failure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// This message only.
    Message,
    /// Everything on its way to the same place.
    Destination,
    /// The channel as a whole.
    Channel,
}

/// What to ask again with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// What the channel knows the delivery by.
    pub token: String,
    /// Not to be asked before this span.
    pub poll_after: Option<Duration>,
    /// For the journal.
    pub notes: Pairs,
}

/// A failure that may pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Short and stable.
    pub code: String,
    /// One sentence.
    pub reason: String,
    /// Could the receiver have acted?
    pub effect: Effect,
    /// Whose fault?
    pub scope: Scope,
    /// Stop sending there until someone resumes it.
    pub pause: bool,
    /// The receiver's wish for the next attempt.
    pub after: Option<Duration>,
    /// For the journal.
    pub notes: Pairs,
    /// Whether a plugin trapped or broke a limit, rather than answered.
    pub is_fault: bool,
}

/// Who said a final no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refuser {
    /// The channel.
    Channel,
    /// A converter, before anything was sent.
    Converter,
}

/// A final no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Who said it.
    pub by: Refuser,
    /// Short and stable.
    pub code: String,
    /// One sentence.
    pub reason: String,
    /// For the journal.
    pub notes: Pairs,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver has it.
    Delivered {
        /// The receiver's name for it.
        reference: Option<String>,
        /// For the journal.
        notes: Pairs,
    },
    /// The receiver has it and may change its mind.
    Provisional {
        /// The receiver's name for it.
        reference: Option<String>,
        /// What to ask again with.
        waiting: Waiting,
    },
    /// The receiver will tell.
    Pending(Waiting),
    /// Not this time.
    Retry(Failure),
    /// Never.
    Rejected(Refusal),
}
