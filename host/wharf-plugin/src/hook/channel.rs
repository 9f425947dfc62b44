use super::{bound, check_token};
use crate::PluginFault;
use crate::bindings::channel::ChannelOnly;
use crate::bindings::types::{Call, Failure, Outcome, Pairs, Wire};
use crate::guest_log::About;

bound! {
    /// A bound `channel`. Cheap to clone; all clones share one pool. A call holds an instance for as long as its I/O
    /// takes.
    Channel, ChannelOnly
}

impl Channel {
    /// Delivers a wire form. What became of HTTP calls that the plugin made and that failed is added to the notes of
    /// the outcome: what the plugin itself is told is only a code.
    pub async fn send(&self, call: &Call, message: &Wire) -> Result<Outcome, PluginFault> {
        let mut lease = self.pool.lease().await?;
        let (store, guest, watch) = lease.enter(About::Delivery(call));
        let run = guest
            .wharf_delivery_channel()
            .call_send(store, call, message);
        let answer = watch.run(run).await;
        let failures = lease.http_failures();
        let mut outcome = lease.settle(answer)?;
        self.check(&outcome)?;
        let notes = failures.into_iter().map(|text| ("http".to_owned(), text));
        notes_of(&mut outcome).extend(notes);
        Ok(outcome)
    }

    /// Asks what became of a delivery. The inner error says that the question failed.
    pub async fn poll(
        &self,
        call: &Call,
        token: &str,
    ) -> Result<Result<Outcome, Failure>, PluginFault> {
        let mut lease = self.pool.lease().await?;
        let (store, guest, watch) = lease.enter(About::Delivery(call));
        let run = guest.wharf_delivery_channel().call_poll(store, call, token);
        let answer = watch.run(run).await;
        let answer = lease.settle(answer)?;
        if let Ok(outcome) = &answer {
            self.check(outcome)?;
        }
        Ok(answer)
    }

    fn check(&self, outcome: &Outcome) -> Result<(), PluginFault> {
        check_token(outcome).inspect_err(|fault| self.plugin().counters().fault(fault))
    }
}

fn notes_of(outcome: &mut Outcome) -> &mut Pairs {
    match outcome {
        Outcome::Delivered(receipt) | Outcome::Provisional((receipt, _)) => &mut receipt.notes,
        Outcome::Pending(waiting) => &mut waiting.notes,
        Outcome::Retry(failure) => &mut failure.notes,
        Outcome::Rejected(refusal) => &mut refusal.notes,
    }
}
