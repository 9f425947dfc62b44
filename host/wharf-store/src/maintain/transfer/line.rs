//! What a line of an export says.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};
use wharf_core::failover::Failures;
use wharf_core::journal::{self, HookRun};
use wharf_core::message::Priority;
use wharf_core::outcome::Effect;
use wharf_core::retry;
use wharf_core::update::{Report, Target};
use wharf_core::{
    Cause, ChannelName, Cursor, DeliveryId, Message, MessageId, MessageSeq, Pairs, Standing,
    Status, TimeMs, Update, WireForm,
};

use super::content::{Content, Hex};
use crate::operation::park;
use crate::operation::updates::Place;
use crate::table::delivery::Row;

/// [`Header::format`] of every export.
pub(super) const FORMAT: &str = "wharf-export";

/// The version that is written, and the only one that is read. A field that is added without another number is optional.
pub(super) const VERSION: u32 = 1;

/// One line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub(super) enum Line {
    /// The first one.
    Header(Header),
    /// A message. As many deliveries follow as it says, those in reserve among them.
    Message(Box<MessageLine>),
    /// What stays of a message that retention has removed.
    Removed(RemovedLine),
    /// A delivery of the message before it.
    Delivery(Box<DeliveryLine>),
    /// A delivery of it that was planned and not made: it stands in for the one before it.
    Reserve(ReserveLine),
    /// A row of the journal.
    Row(Box<RowLine>),
    /// How far a reader of the journal has come.
    Cursor(CursorLine),
    /// A named value.
    Value(ValueLine),
    /// Something that could not be used.
    Parked(ParkedLine),
    /// A status update that is not applied yet.
    Update(Box<UpdateLine>),
}

/// What it is, and how much of it there is.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Header {
    pub(super) format: String,
    pub(super) version: u32,
    /// The version of wharf that wrote it. For people.
    pub(super) written_by: String,
    /// The secret that ids and contents are hashed with: those of removed messages are known by it alone.
    pub(super) ids_secret: Hex<32>,
    /// The number of the first message, removed or not, and of the next one.
    pub(super) first_message: MessageSeq,
    pub(super) next_message: MessageSeq,
    /// The number of the first journal row, and of the next one.
    pub(super) first_row: Cursor,
    pub(super) next_row: Cursor,
    /// Messages before this one were accepted in rows that are not kept.
    pub(super) rows_from_message: MessageSeq,
    /// Ids of messages before this one are as if never seen.
    pub(super) ids_from: MessageSeq,
    /// What retention has removed since the store was made.
    pub(super) pruned: PrunedLine,
    pub(super) messages: u64,
    pub(super) deliveries: u64,
    pub(super) rows: u64,
    pub(super) cursors: u64,
    pub(super) values: u64,
    pub(super) parked: u64,
    /// None in exports of before there were any.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) updates: u64,
    /// The number of the next one.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) next_update: u64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PrunedLine {
    pub(super) messages: u64,
    pub(super) deliveries: u64,
    pub(super) rows: u64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RemovedLine {
    pub(super) seq: MessageSeq,
    pub(super) accepted_at_ms: TimeMs,
    /// How many it had.
    pub(super) deliveries: u32,
    /// What its id is known by, where it is not forgotten.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) known: Option<KnownLine>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KnownLine {
    pub(super) id_hash: Hex<16>,
    pub(super) content_hash: Hex<16>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MessageLine {
    pub(super) seq: MessageSeq,
    pub(super) id: MessageId,
    pub(super) accepted_at_ms: TimeMs,
    pub(super) attributes: Pairs,
    pub(super) headers: Pairs,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) ordering_key: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) sequence_global: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) sequence_key: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) deliver_after_ms: Option<TimeMs>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) expires_at_ms: Option<TimeMs>,
    pub(super) priority: Priority,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) traceparent: Option<String>,
    pub(super) payload: Content,
    /// How many deliveries follow.
    pub(super) deliveries: u16,
    /// Where it stands if there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) standing: Option<StandingLine>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StandingLine {
    pub(super) standing: Standing,
    /// The last journal row about it.
    pub(super) last_row: Cursor,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DeliveryLine {
    pub(super) message: MessageSeq,
    /// Its place among the message's deliveries, from 0.
    pub(super) place: u16,
    pub(super) route: String,
    pub(super) channel: String,
    /// Definite failures of the one before it that called it in; none where it was made at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) after: Option<NonZeroU32>,
    pub(super) status: Status,
    /// The last journal row about it.
    pub(super) last_row: Cursor,
    /// Where more is kept of it than its status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) kept: Option<KeptLine>,
    /// What later attempts send again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) wire: Option<WireLine>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReserveLine {
    pub(super) message: MessageSeq,
    pub(super) place: u16,
    pub(super) route: String,
    pub(super) channel: String,
    /// Definite failures of the one before it that call it in.
    pub(super) after: NonZeroU32,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeptLine {
    pub(super) attempts: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) due_ms: Option<TimeMs>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) token: Option<String>,
    pub(super) is_cancelled: bool,
    pub(super) key_generation: u32,
    /// Where its budget began, if that is not its message's acceptance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) redriven: Option<BudgetLine>,
    /// Definite failures, since it was made or redriven.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) definite_failures: u32,
    /// Whether one of its failures was ambiguous.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) is_ambiguous: bool,
}

fn is_zero<N: Default + PartialEq>(number: &N) -> bool {
    *number == N::default()
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BudgetLine {
    pub(super) attempts_before: u32,
    pub(super) began_at_ms: TimeMs,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WireLine {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) endpoint: Option<String>,
    pub(super) headers: Pairs,
    pub(super) body: Content,
    /// The attempt that it was made for, where that is not in the journal yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) begun: Option<Box<AttemptLine>>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RowLine {
    pub(super) row: Cursor,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) previous: Option<Cursor>,
    pub(super) subject: SubjectLine,
    pub(super) cause: Cause,
    pub(super) at_ms: TimeMs,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) due_ms: Option<TimeMs>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) attempt: Option<AttemptLine>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub(super) enum SubjectLine {
    Delivery {
        message: MessageSeq,
        place: u16,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<Status>,
        to: Status,
    },
    Message {
        message: MessageSeq,
        standing: Standing,
    },
    /// Rows that a reader missed.
    Gap { first: Cursor, last: Cursor },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AttemptLine {
    pub(super) number: u32,
    pub(super) started_at_ms: TimeMs,
    pub(super) duration_us: u64,
    pub(super) hooks: Vec<HookLine>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) code: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) effect: Option<Effect>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) reference: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) body_sha256: Option<Hex<32>>,
    pub(super) notes: Pairs,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HookLine {
    pub(super) hook: String,
    pub(super) digest: Hex<32>,
    pub(super) duration_us: u64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CursorLine {
    pub(super) name: String,
    pub(super) row: Cursor,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ValueLine {
    pub(super) name: String,
    pub(super) value: Content,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ParkedLine {
    pub(super) number: u64,
    pub(super) source: String,
    pub(super) reason: String,
    pub(super) at_ms: TimeMs,
    pub(super) content_type: String,
    pub(super) content: Content,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UpdateLine {
    pub(super) number: u64,
    /// When it is looked at again.
    pub(super) due_ms: TimeMs,
    /// How often it could not be applied.
    pub(super) tries: u32,
    pub(super) channel: String,
    pub(super) target: Target,
    pub(super) report: Report,
    pub(super) received_at_ms: TimeMs,
}

impl UpdateLine {
    pub(super) fn new(place: Place, (update, tries): (Update, u32)) -> Self {
        Self {
            number: place.number,
            due_ms: place.due,
            tries,
            channel: update.channel.as_str().to_owned(),
            target: update.target,
            report: update.report,
            received_at_ms: update.received_at,
        }
    }

    pub(super) fn into_update(self) -> (Place, Update, u32) {
        let place = Place {
            due: self.due_ms,
            number: self.number,
        };
        let update = Update {
            channel: ChannelName::new(&self.channel),
            target: self.target,
            report: self.report,
            received_at: self.received_at_ms,
        };
        (place, update, self.tries)
    }
}

impl MessageLine {
    pub(super) fn new(
        seq: MessageSeq,
        message: Message,
        deliveries: u16,
        standing: Option<StandingLine>,
    ) -> Self {
        Self {
            seq,
            id: message.id,
            accepted_at_ms: message.accepted_at,
            attributes: message.attributes,
            headers: message.headers,
            ordering_key: message.ordering_key,
            sequence_global: message.sequence_global,
            sequence_key: message.sequence_key,
            deliver_after_ms: message.deliver_after,
            expires_at_ms: message.expires_at,
            priority: message.priority,
            traceparent: message.traceparent,
            payload: Content(message.payload.to_vec()),
            deliveries,
            standing,
        }
    }

    pub(super) fn into_message(self) -> Message {
        Message {
            id: self.id,
            accepted_at: self.accepted_at_ms,
            attributes: self.attributes,
            headers: self.headers,
            payload: self.payload.0.into(),
            ordering_key: self.ordering_key,
            sequence_global: self.sequence_global,
            sequence_key: self.sequence_key,
            deliver_after: self.deliver_after_ms,
            expires_at: self.expires_at_ms,
            priority: self.priority,
            traceparent: self.traceparent,
        }
    }
}

impl KeptLine {
    pub(super) fn new(row: Row) -> Self {
        Self {
            attempts: row.attempts_count,
            due_ms: row.due,
            token: row.token,
            is_cancelled: row.is_cancelled,
            key_generation: row.key_generation,
            redriven: row.redriven.map(|budget| BudgetLine {
                attempts_before: budget.attempts_before,
                began_at_ms: budget.began_at,
            }),
            definite_failures: row.failures.definite_count,
            is_ambiguous: row.failures.is_ambiguous,
        }
    }

    pub(super) fn into_row(self, status: Status, channel: ChannelName, has_wire: bool) -> Row {
        Row {
            status,
            channel,
            attempts_count: self.attempts,
            due: self.due_ms,
            token: self.token,
            has_wire,
            is_cancelled: self.is_cancelled,
            key_generation: self.key_generation,
            redriven: self.redriven.map(|budget| retry::Budget {
                attempts_before: budget.attempts_before,
                began_at: budget.began_at_ms,
            }),
            failures: Failures {
                definite_count: self.definite_failures,
                is_ambiguous: self.is_ambiguous,
            },
        }
    }
}

impl From<WireForm> for WireLine {
    fn from(wire: WireForm) -> Self {
        Self {
            endpoint: wire.endpoint,
            headers: wire.headers,
            body: Content(wire.body),
            begun: wire.begun.map(|begun| Box::new((*begun).into())),
        }
    }
}

impl From<WireLine> for WireForm {
    fn from(line: WireLine) -> Self {
        Self {
            endpoint: line.endpoint,
            headers: line.headers,
            body: line.body.0,
            begun: line.begun.map(|begun| Box::new((*begun).into())),
        }
    }
}

impl From<journal::Row> for RowLine {
    fn from(row: journal::Row) -> Self {
        Self {
            row: row.cursor,
            previous: row.previous,
            subject: match row.subject {
                journal::Subject::Delivery { id, from, to } => SubjectLine::Delivery {
                    message: id.message(),
                    place: id.place(),
                    from,
                    to,
                },
                journal::Subject::Message { seq, standing } => SubjectLine::Message {
                    message: seq,
                    standing,
                },
                journal::Subject::Gap { first, last } => SubjectLine::Gap { first, last },
            },
            cause: row.cause,
            at_ms: row.at,
            due_ms: row.due,
            attempt: row.attempt.map(|attempt| AttemptLine::from(*attempt)),
        }
    }
}

impl SubjectLine {
    /// The message that it is about; none of a gap.
    pub(super) fn message(&self) -> Option<MessageSeq> {
        match self {
            Self::Delivery { message, .. } | Self::Message { message, .. } => Some(*message),
            Self::Gap { .. } => None,
        }
    }

    pub(super) fn into_subject(self) -> journal::Subject {
        match self {
            Self::Delivery {
                message,
                place,
                from,
                to,
            } => journal::Subject::Delivery {
                id: DeliveryId::new(message, place),
                from,
                to,
            },
            Self::Message { message, standing } => journal::Subject::Message {
                seq: message,
                standing,
            },
            Self::Gap { first, last } => journal::Subject::Gap { first, last },
        }
    }
}

impl From<journal::Attempt> for AttemptLine {
    fn from(attempt: journal::Attempt) -> Self {
        let hooks = attempt.hooks.into_iter().map(|run| HookLine {
            hook: run.hook.to_string(),
            digest: Hex(run.digest),
            duration_us: run.duration_us,
        });
        Self {
            number: attempt.number,
            started_at_ms: attempt.started_at,
            duration_us: attempt.duration_us,
            hooks: hooks.collect(),
            code: attempt.code,
            reason: attempt.reason,
            effect: attempt.effect,
            reference: attempt.reference,
            body_sha256: attempt.body_sha256.map(Hex),
            notes: attempt.notes,
        }
    }
}

impl From<AttemptLine> for journal::Attempt {
    fn from(line: AttemptLine) -> Self {
        let hooks = line.hooks.into_iter().map(|run| HookRun {
            hook: run.hook.into(),
            digest: run.digest.0,
            duration_us: run.duration_us,
        });
        Self {
            number: line.number,
            started_at: line.started_at_ms,
            duration_us: line.duration_us,
            hooks: hooks.collect(),
            code: line.code,
            reason: line.reason,
            effect: line.effect,
            reference: line.reference,
            body_sha256: line.body_sha256.map(|digest| digest.0),
            notes: line.notes,
        }
    }
}

impl ParkedLine {
    pub(super) fn new(number: u64, parked: park::Parked) -> Self {
        Self {
            number,
            source: parked.source,
            reason: parked.reason,
            at_ms: parked.at,
            content_type: parked.content_type,
            content: Content(parked.content),
        }
    }

    pub(super) fn into_parked(self) -> park::Parked {
        park::Parked {
            source: self.source,
            reason: self.reason,
            at: self.at_ms,
            content_type: self.content_type,
            content: self.content.0,
        }
    }
}
