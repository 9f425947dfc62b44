//! What operators look at and change: deliveries, dead letters, channels.

use serde::{Deserialize, Serialize};

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
    /// Its status, or where the message stands.
    pub status: String,
    /// Attempts made.
    pub attempts: u32,
    /// When the message was accepted.
    pub accepted_at: String,
    /// When it got this status.
    pub changed_at: String,
    /// Why it got this status.
    pub cause: String,
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

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListView {
    /// In the order of acceptance.
    pub entries: Vec<ListedView>,
    /// What `after` takes for the next page. None: this was the last one. A page may be short and have one: the work
    /// of one request is bounded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// What is to be changed of a message's deliveries, and how.
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
    /// `changed`, `in-flight` (the attempt that runs decides), or `unchanged`.
    pub result: String,
    /// Its status now.
    pub status: String,
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
    /// `running`, `paused`, or `unavailable` where a plugin is missing.
    pub status: String,
    /// Why it does not run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Since when it is paused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Deliveries that can be sent now.
    pub ready: u64,
    /// Deliveries that are being sent.
    pub in_flight: u64,
    /// Attempts at the same time, at most.
    pub parallelism: u64,
}

/// Why a channel is paused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PauseInput {
    /// One sentence, for whoever finds it paused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}
