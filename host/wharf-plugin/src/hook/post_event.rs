use super::bound;
use crate::PluginFault;
use crate::bindings::post_event::PostEventOnly;
use crate::bindings::types::Event;
use crate::guest_log::About;

bound! {
    /// A bound `post-event`. Cheap to clone; all clones share one pool.
    PostEvent, PostEventOnly
}

impl PostEvent {
    /// Hands over a batch of events. The inner error is the plugin asking for the batch again.
    pub async fn handle(&self, events: &[Event]) -> Result<Result<(), String>, PluginFault> {
        let mut lease = self.pool.lease().await?;
        let (store, guest, watch) = lease.enter(About::Events(events.len()));
        let run = guest.wharf_delivery_post_event().call_handle(store, events);
        let answer = watch.run(run).await;
        lease.settle(answer)
    }
}
