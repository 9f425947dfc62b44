//! What the answers to operators' changes share.

use wharf_api::{ChangeResult, ChangedDelivery};
use wharf_core::MessageId;
use wharf_store::{DeliveryView, MessageView};

use super::messages::status;

/// What became of a delivery.
pub(super) fn changed(
    delivery: &DeliveryView,
    result: ChangeResult,
    status: String,
) -> ChangedDelivery {
    ChangedDelivery {
        delivery: delivery.id.0,
        channel: delivery.channel.to_string(),
        result,
        status,
    }
}

/// Why nothing of a message could be changed: where its deliveries stand.
pub(super) fn stands(id: &MessageId, found: &MessageView, what: &str) -> String {
    if let Some(standing) = found.standing {
        return format!("{id} is {standing}: it has no delivery to {what}");
    }
    let deliveries = found
        .deliveries
        .iter()
        .map(|one| format!("{} ({})", status(one), one.channel));
    let deliveries = deliveries.collect::<Vec<_>>().join(", ");
    format!("there is nothing to {what} of {id}: {deliveries}")
}

/// Who changed a delivery. What was left as it is, or was only asked about, is not told.
pub(super) fn tell(what: &str, id: &MessageId, one: &ChangedDelivery, by: Option<&str>) {
    match one.result {
        ChangeResult::Changed | ChangeResult::InFlight => tracing::info!(
            message_id = %id,
            delivery = one.delivery,
            channel = one.channel,
            status = one.status,
            by,
            "{what} by an operator"
        ),
        ChangeResult::WouldChange | ChangeResult::Unchanged | ChangeResult::Unreadable => {}
    }
}
