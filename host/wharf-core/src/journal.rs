//! The journal: one row for every stored transition. It is also what post-event hooks read.

use std::sync::Arc;

use crate::id::{Cursor, DeliveryId, MessageSeq};
use crate::message::Pairs;
use crate::outcome::Effect;
use crate::status::{Cause, Standing, Status};
use crate::time::TimeMs;

/// What a row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A delivery's step.
    Delivery {
        /// Which one.
        id: DeliveryId,
        /// The status before; none for its first row.
        from: Option<Status>,
        /// The status after.
        to: Status,
    },
    /// A message that has no deliveries.
    Message {
        /// Which one.
        seq: MessageSeq,
        /// Where it stands.
        standing: Standing,
    },
    /// The journal itself: rows were removed that a reader had yet to read.
    Gap {
        /// The first of them.
        first: Cursor,
        /// The last of them.
        last: Cursor,
    },
}

impl Subject {
    /// The message that the row is about; none where it is about the journal.
    #[must_use]
    pub fn message(self) -> Option<MessageSeq> {
        match self {
            Self::Delivery { id, .. } => Some(id.message()),
            Self::Message { seq, .. } => Some(seq),
            Self::Gap { .. } => None,
        }
    }
}

/// One hook's part in an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookRun {
    /// The hook's place and the plugin's name, such as `converter json-map`. Shared by all attempts of a channel.
    pub hook: Arc<str>,
    /// SHA-256 of the plugin's file.
    pub digest: [u8; 32],
    /// How long its calls took, in microseconds: waiting for an instance is part of it, the exchanges that the host
    /// makes for a request-channel are not.
    pub duration_us: u64,
}

/// The facts of one attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attempt {
    /// Its number, from 1. Numbers rise, and can repeat after a crash. 0: nothing was sent, a router was asked.
    pub number: u32,
    /// When it began.
    pub started_at: TimeMs,
    /// How long it took, in microseconds.
    pub duration_us: u64,
    /// The hooks that ran, in order.
    pub hooks: Vec<HookRun>,
    /// A short, stable word for a failure or refusal.
    pub code: Option<String>,
    /// One sentence on it.
    pub reason: Option<String>,
    /// Could the receiver have acted on the failure?
    pub effect: Option<Effect>,
    /// The receiver's own name for it.
    pub reference: Option<String>,
    /// SHA-256 of the body that was sent, where conversion got that far.
    pub body_sha256: Option<[u8; 32]>,
    /// What plugins noted.
    pub notes: Pairs,
}

/// One stored transition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its place in the journal.
    pub cursor: Cursor,
    /// The row before it of the same subject.
    pub previous: Option<Cursor>,
    /// What it is about.
    pub subject: Subject,
    /// Why it happened.
    pub cause: Cause,
    /// When.
    pub at: TimeMs,
    /// When the delivery is looked at again.
    pub due: Option<TimeMs>,
    /// The attempt that led here; none where none did. Of a message that a router sent nowhere: what it said, as attempt 0.
    pub attempt: Option<Box<Attempt>>,
}
