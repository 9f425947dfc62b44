//! Routing again what no route matched, by the routes that are configured now.

use wharf_api::{ChangeResult, ChangedDelivery};
use wharf_core::route::Planned;
use wharf_core::{DeliveryId, MessageId, MessageSeq, Standing, Status};
use wharf_store::{MessageView, Reroute, Rerouted};

use super::App;
use super::problem::{Answer, not_changed};
use crate::clock;
use crate::routing::Plan;

/// An unroutable message that a route matches now.
pub(super) struct Routed {
    pub(super) message: MessageId,
    seq: MessageSeq,
    planned: Vec<Planned>,
}

/// What an unroutable message is planned for now. An error where it is no such message, or is sent nowhere now either, with
/// what a router said.
pub(super) async fn plan(app: &App, found: &MessageView) -> Result<Routed, Option<String>> {
    if found.standing != Some(Standing::Unroutable) {
        return Err(None);
    }
    let Plan { planned, unrouted } = app.live().routing.plan(&found.message).await;
    if planned.is_empty() {
        return Err(unrouted.and_then(|unrouted| unrouted.facts.reason));
    }
    Ok(Routed {
        message: found.message.id.clone(),
        seq: found.seq,
        planned,
    })
}

/// Gives them their deliveries, in one commit. Returns those of each.
pub(super) async fn reroute(
    app: &App,
    routed: &[Routed],
    dry_run: bool,
) -> Result<Vec<Vec<ChangedDelivery>>, Answer> {
    let foretold = (ChangeResult::WouldChange, Standing::Unroutable.as_str());
    if dry_run {
        return Ok(routed.iter().map(|one| one.deliveries(foretold)).collect());
    }
    let at = clock::now();
    let batch = routed.iter().map(|one| Reroute {
        message: one.seq,
        planned: one.planned.clone(),
        at,
    });
    let answers = app.store.reroute(batch.collect()).await;
    let answers = answers.map_err(|e| not_changed(&e))?;
    let answered = routed.iter().zip(answers).map(|(one, answer)| {
        one.deliveries(match answer {
            Rerouted::Recorded(_) => (ChangeResult::Changed, Status::Queued.as_str()),
            // Somebody else was faster.
            Rerouted::Refused => (ChangeResult::Unchanged, Status::Queued.as_str()),
            Rerouted::Unknown | Rerouted::Unreadable => {
                (ChangeResult::Unreadable, Standing::Unroutable.as_str())
            }
        })
    });
    Ok(answered.collect())
}

impl Routed {
    fn deliveries(&self, (result, status): (ChangeResult, &str)) -> Vec<ChangedDelivery> {
        let planned = (0..).zip(&self.planned);
        planned
            .filter(|(_, planned)| planned.after.is_none())
            .map(|(place, planned)| ChangedDelivery {
                delivery: DeliveryId::new(self.seq, place).0,
                channel: planned.channel.to_string(),
                result,
                status: status.to_owned(),
            })
            .collect()
    }
}
