//! What partners report about deliveries.

use serde::{Deserialize, Serialize};

/// Body of `POST /v1/updates`; without `channel` of `POST /v1/channels/{name}/receipts`, where the channel has no receiver
/// of its own. The delivery is found by the first of these that is there: `id`, `token`, `sender` with `sender_ref`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UpdateInput {
    /// The channel that the delivery goes to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// The message's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What the channel knows the delivery by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// The message's attribute `sender`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sender: Option<String>,
    /// The message's attribute `sender_ref`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sender_ref: Option<String>,
    /// Where it stands: `delivered`, `provisional`, `pending` or `rejected`. Required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// A short, stable word for a refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// One sentence on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The receiver's own name for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// For the journal, in pairs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<(String, String)>,
}

/// Answer to both: the updates are on disk, and are applied one after the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdatesView {
    /// Their numbers, in order.
    pub updates: Vec<u64>,
}
