//! What is in the store's file.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What is in the store's file, as of one commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreView {
    /// The file's format.
    pub format: u32,
    /// Whether a host runs on it, was closed cleanly, or was not.
    pub stop: StoreStop,
    /// Messages.
    pub messages: u64,
    /// Deliveries by their stored status.
    pub deliveries: BTreeMap<String, u64>,
    /// Messages without deliveries, by where they stand.
    pub standings: BTreeMap<String, u64>,
    /// The number of the next message.
    pub next_message: u64,
    /// Chunks of messages.
    pub chunks: u64,
    /// Those of them with a delivery that waits for its first attempt.
    pub open_chunks: u64,
    /// The journal's first row; none where it has no rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_row: Option<u64>,
    /// Its last row; 0 before the first.
    pub last_row: u64,
    /// From which message on ids are known.
    pub ids_from: u64,
    /// Sorted runs of ids.
    pub id_runs: u64,
    /// Claims that are on disk.
    pub claimed: u64,
    /// What could not be used.
    pub parked: u64,
    /// The file's length.
    pub file_bytes: u64,
    /// What of that is used again before the file grows, where sizes were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub free_bytes: Option<u64>,
    /// Every table.
    pub tables: Vec<TableView>,
}

/// How the store was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StoreStop {
    /// A host runs on it.
    Running,
    /// It was closed in order.
    Clean,
    /// The process ended without closing it.
    Unclean,
}

impl StoreStop {
    /// Its name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Clean => "clean",
            Self::Unclean => "unclean",
        }
    }
}

/// A table of the store's file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableView {
    /// Its name.
    pub name: String,
    /// Its rows. One can hold many messages, or many rows of the journal.
    pub rows: u64,
    /// Bytes of its keys and values, where sizes were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored_bytes: Option<u64>,
    /// What it takes of the file beside them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overhead_bytes: Option<u64>,
}
