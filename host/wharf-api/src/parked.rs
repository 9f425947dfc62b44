//! What could not be used and was put aside.

use serde::{Deserialize, Serialize};

/// A page of what is parked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParkedListView {
    /// The oldest first.
    pub parked: Vec<ParkedView>,
    /// What `after` takes for the next page. None: this was the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Something that could not be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParkedView {
    /// Its number, from 1, in the order of parking.
    pub number: u64,
    /// Where it came from: `post-event/NAME`, an event that this hook never took.
    pub source: String,
    /// Why it could not be used.
    pub reason: String,
    /// When it was parked.
    pub at: String,
    /// The media type of what it is.
    pub content_type: String,
    /// What it is.
    #[serde(flatten)]
    pub content: ParkedContent,
}

/// What is parked, as it came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ParkedContent {
    /// It is JSON.
    #[serde(rename = "content")]
    Json(serde_json::Value),
    /// It is something else: its bytes in base64.
    #[serde(rename = "content_base64")]
    Base64(String),
}
