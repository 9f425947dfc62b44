//! The journal on the wire.

use serde::{Deserialize, Serialize};

/// Rows of the journal, in order: those of one message, or what was searched for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JournalView {
    /// The rows.
    pub rows: Vec<RowView>,
    /// What `after` takes to search on. None: this was the journal's end. A page may be short, or even empty, and have
    /// one: the work of one request is bounded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// Whether rows that came before these were removed by retention.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub earlier_removed: bool,
}

/// One stored transition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RowView {
    /// Its place in the journal.
    pub cursor: u64,
    /// When.
    pub at: String,
    /// The message; none where the row is about the journal itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The delivery; none for a message without deliveries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<u64>,
    /// Its channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// The status before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The status after; `gap` where rows are missing that a reader had yet to read.
    pub to: String,
    /// The rows that are missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap: Option<GapView>,
    /// Why.
    pub cause: String,
    /// When the delivery is looked at again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<String>,
    /// The attempt that led here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<AttemptView>,
}

/// Rows of the journal that were removed before every reader had read them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct GapView {
    /// Cursor of the first of them.
    pub first: u64,
    /// Cursor of the last of them.
    pub last: u64,
}

/// The facts of an attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AttemptView {
    /// Its number, from 1.
    pub number: u32,
    /// When it began.
    pub started_at: String,
    /// How long it took, in milliseconds.
    pub duration_ms: f64,
    /// Code of a failure or refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// One sentence on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether the receiver could have acted: `none` or `unknown`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub effect: Option<String>,
    /// The receiver's own name for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// SHA-256 of the body that was sent, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_sha256: Option<String>,
    /// The hooks that ran, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<HookView>,
    /// What they noted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<(String, String)>,
}

/// One hook's part in an attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HookView {
    /// Its place and the plugin's name, such as `converter json-map`.
    pub hook: String,
    /// SHA-256 of the plugin's file, in hex.
    pub digest: String,
    /// How long its calls took, in milliseconds. The exchanges that the host made for a request-channel are not part
    /// of it.
    pub duration_ms: f64,
}
