//! What operators look at and change: deliveries, dead letters, channels.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListView {
    /// In the order of acceptance.
    pub entries: Vec<ListedView>,
    /// What is damaged in the store, and left out; the host's log says what.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unreadable: u64,
    /// What `after` takes for the next page. None: this was the last one. A page may be short, or even empty, and have
    /// one: the work of one request is bounded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A delivery in a list, or a message that has none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedView {
    /// The message's id.
    pub message: String,
    /// The delivery's number. None: no route matched the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<u64>,
    /// Its channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// The route that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// Its status, `sending` while an attempt runs; or where the message stands.
    pub status: String,
    /// Attempts made.
    pub attempts: u32,
    /// When the message was accepted.
    pub accepted_at: String,
    /// When it got its stored status. None: the row that says so was removed from the journal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_at: Option<String>,
    /// Why it got that; none likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// When it is looked at again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<String>,
    /// What the last attempt failed with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// One sentence on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// How a message's dead letters are to be sent again. A message that no route matched is routed again; there the rest
/// says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedriveInput {
    /// Only the delivery of this channel. Default: all that can be redriven.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// Enrich and convert it again, instead of sending what was stored.
    #[serde(default)]
    pub reconvert: bool,
    /// Give it a new idempotency key, so that a receiver that dropped it as a repeat takes it.
    #[serde(default)]
    pub new_key: bool,
    /// Say what would change, and change nothing.
    #[serde(default)]
    pub dry_run: bool,
}

/// Which dead letters are to be sent again, and how: those of one page of the list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RedriveListInput {
    /// Only these statuses, with commas between: `dead`, `rejected`, `shed`, `unroutable`. Default: all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// Only this channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// Deliveries at most; 100 where it does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// Where the answer before ended: its `next`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// As in [`RedriveInput`].
    #[serde(default)]
    pub reconvert: bool,
    /// As in [`RedriveInput`].
    #[serde(default)]
    pub new_key: bool,
    /// As in [`RedriveInput`].
    #[serde(default)]
    pub dry_run: bool,
}

/// What became of a page of dead letters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RedrivenView {
    /// In the order of acceptance.
    pub deliveries: Vec<ChangedEntry>,
    /// Messages that no route matches now either.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unroutable: u64,
    /// As in [`ListView`].
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unreadable: u64,
    /// As in [`ListView`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// What became of a delivery of some message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedEntry {
    /// The message's id.
    pub message: String,
    /// The delivery.
    #[serde(flatten)]
    pub changed: ChangedDelivery,
}

/// What became of a message's deliveries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedView {
    /// The message's id.
    pub message: String,
    /// Its deliveries, those that were asked for.
    pub deliveries: Vec<ChangedDelivery>,
}

/// What became of one delivery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedDelivery {
    /// Its number.
    pub delivery: u64,
    /// Its channel.
    pub channel: String,
    /// What became of it.
    pub result: ChangeResult,
    /// Its status now.
    pub status: String,
}

/// What a request to change a delivery came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeResult {
    /// It is done.
    Changed,
    /// It would be done: nothing was changed.
    WouldChange,
    /// An attempt is running. It is not tried again; what this attempt comes to counts.
    InFlight,
    /// Its status does not allow it, or has it already.
    Unchanged,
    /// What is stored of it cannot be read; the host's log says why.
    Unreadable,
}

impl ChangeResult {
    /// Its name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::WouldChange => "would-change",
            Self::InFlight => "in-flight",
            Self::Unchanged => "unchanged",
            Self::Unreadable => "unreadable",
        }
    }
}

/// The channels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelsView {
    /// In the order of the configuration.
    pub channels: Vec<ChannelView>,
}

/// A channel and how it is doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelView {
    /// Its name.
    pub name: String,
    /// The plugin that delivers.
    pub plugin: String,
    /// Whether it sends.
    pub status: ChannelStatus,
    /// Why it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Since when it is paused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// The API token that paused it, where that has a name, or the plugin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Attempts at the same time, at most.
    pub parallelism: u64,
    /// Deliveries that can be sent now.
    pub ready: u64,
    /// Deliveries that are being sent, or wait to be recorded.
    pub in_flight: u64,
    /// When the message was accepted that is sent next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind_since: Option<String>,
    /// Deliveries by their stored status, where there are any. Delivered ones are not counted by channel.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub deliveries: BTreeMap<String, u64>,
    /// Until when it begins no attempt, by its own breaker or its rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_until: Option<String>,
    /// Its lanes that send or are held up, the latter first; a hundred at most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lanes: Vec<LaneView>,
}

/// A lane: what of a channel goes to one scheme and authority.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneView {
    /// Scheme, host and port; `-` where nobody says where something goes.
    pub lane: String,
    /// Whether it takes something.
    pub status: LaneStatus,
    /// Why it is paused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Since when it is paused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// The API token that paused it, where that has a name, or the plugin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Until when its breaker is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Attempts that run.
    pub in_flight: u64,
    /// Deliveries that wait in memory for one of them to end.
    pub in_line: u64,
}

/// Whether a lane takes something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LaneStatus {
    /// It does.
    Running,
    /// It was paused, by an operator or because its receiver wanted it.
    Paused,
    /// It failed again and again, and is left alone for a while.
    Open,
    /// After that it is tried by a few.
    HalfOpen,
}

impl LaneStatus {
    /// Its name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
        }
    }
}

/// Whether a channel sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChannelStatus {
    /// It does.
    Running,
    /// It was paused, by an operator or because its plugin wanted it: what is accepted waits.
    Paused,
    /// A plugin of it is missing or cannot be bound: what is accepted waits.
    Unavailable,
}

impl ChannelStatus {
    /// Its name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Unavailable => "unavailable",
        }
    }
}

/// Why a channel is to be paused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PauseInput {
    /// One sentence, for whoever finds it paused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Only what goes there: an `http` or `https` URL, of which scheme, host and port count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lane: Option<String>,
}

/// What is to be resumed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResumeInput {
    /// Only what goes there, as in [`PauseInput`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lane: Option<String>,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks for a reference"
)]
fn is_zero(count: &u64) -> bool {
    *count == 0
}
