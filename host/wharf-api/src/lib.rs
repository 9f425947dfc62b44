//! The HTTP API: its wire types, its problem codes, and a thin client.
//!
//! The server and the command line share these types; nothing here knows how the host works. Field names are the
//! JSON names. Times are RFC 3339 in UTC.

#[cfg(feature = "client")]
mod client;
mod journal;
mod message;
mod operate;
mod parked;
mod plugin;
mod problem;
mod route;
mod store;
mod update;

#[cfg(feature = "client")]
pub use client::{BackupError, Client, ClientError};
pub use journal::{AttemptView, GapView, HookView, JournalView, RowView};
pub use message::{
    BatchLine, DeliveryView, Health, MessageInput, MessageView, Named, Priority, ReserveView,
    SendAnswer,
};
pub use operate::{
    ChangeResult, ChangedDelivery, ChangedEntry, ChangedView, ChannelStatus, ChannelView,
    ChannelsView, LaneStatus, LaneView, ListView, ListedView, PauseInput, RedriveInput,
    RedriveListInput, RedrivenView, ResumeInput,
};
pub use parked::{ParkedContent, ParkedListView, ParkedView};
pub use plugin::{
    ImportMet, ImportView, PluginCheckView, PluginState, PluginView, PluginsView, SettingView,
};
#[cfg(feature = "pages")]
pub use problem::PROBLEM_INDEX;
pub use problem::{PROBLEM_PAGES, Problem, ProblemCode};
pub use route::{
    ConditionView, PlannedView, ReloadView, RouteExplainView, RouteVerdict, RouteVerdictView,
    RouteView, RouterView, RoutesView,
};
pub use store::{StoreStop, StoreView, TableView};
pub use update::{UpdateInput, UpdatesView};

/// Media type of one message in the JSON form.
pub const JSON: &str = "application/json";
/// Media type of a batch: one JSON form a line.
pub const NDJSON: &str = "application/x-ndjson";
/// Media type of a CloudEvent in structured mode.
pub const CLOUDEVENT_JSON: &str = "application/cloudevents+json";
/// Header of a batch that is a piece of something longer: the number of its first line.
pub const FIRST_LINE: &str = "wharf-first-line";
/// Media type of an error (RFC 9457).
pub const PROBLEM_JSON: &str = "application/problem+json";
/// Header of a copy of the store: the digest of its bytes (RFC 9530), as [`repr_digest`] writes it.
pub const REPR_DIGEST: &str = "repr-digest";

/// A SHA-256 as the value of [`REPR_DIGEST`].
#[must_use]
pub fn repr_digest(sha256: &[u8]) -> String {
    use base64::Engine as _;
    let digest = base64::engine::general_purpose::STANDARD.encode(sha256);
    format!("sha-256=:{digest}:")
}
