//! Pausing what a channel's plugin wants to have paused.

use wharf_core::lane::Paused;

use super::attempt::Wish;
use super::channel::Channel;
use super::lanes::LaneName;
use crate::limits::PAUSE_REASON_BYTES_MAX;
use crate::pauses::Pauses;

/// Pauses the lane, or the whole channel where there is none that could be paused alone. Where that cannot be put on disk
/// nothing is paused: what is sent there goes on to fail, as it would without the wish.
pub(super) async fn pause(pauses: &Pauses, channel: &Channel, lane: &LaneName, wish: &Wish) {
    let name = lane.to_string();
    let of_lane = match wish.paused {
        Paused::Lane if lane.is_named() => Some(name.as_str()),
        Paused::Lane | Paused::Channel => None,
    };
    let by = format!("plugin {}", channel.sender.plugin());
    let end = wish.reason.floor_char_boundary(PAUSE_REASON_BYTES_MAX);
    let reason = wish.reason[..end].to_owned();
    let paused = pauses.pause(&channel.name, of_lane, Some(reason.clone()), Some(by));
    match paused.await {
        Ok(()) => {
            tracing::warn!(channel = %channel.name, lane = of_lane, plugin = channel.sender.plugin(), reason, "paused by the channel's plugin");
        }
        Err(error) => {
            let error = &error as &dyn std::error::Error;
            tracing::error!(channel = %channel.name, lane = of_lane, error, "what the channel's plugin wants to have paused is not");
        }
    }
}
