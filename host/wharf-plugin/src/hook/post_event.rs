use std::sync::Arc;

use tokio::time::timeout_at;

use crate::PluginFault;
use crate::bindings::post_event::PostEventOnly;
use crate::bindings::types::Event;
use crate::guest_log::About;
use crate::pool::Pool;

/// A bound `post-event`. Cheap to clone; all clones share one pool.
#[derive(Clone)]
pub struct PostEvent {
    pool: Arc<Pool<PostEventOnly>>,
}

impl PostEvent {
    pub(crate) fn new(pool: Arc<Pool<PostEventOnly>>) -> PostEvent {
        PostEvent { pool }
    }

    /// The name of the plugin behind it.
    pub fn plugin_name(&self) -> &str {
        self.pool.plugin().name()
    }

    /// The SHA-256 of the plugin behind it, in hex.
    pub fn digest(&self) -> &str {
        self.pool.plugin().digest()
    }

    /// Hands over a batch of events. The inner error is the plugin asking for the batch again.
    pub async fn handle(&self, events: &[Event]) -> Result<Result<(), String>, PluginFault> {
        let mut lease = self.pool.lease().await?;
        let (store, guest, deadline) = lease.enter(About::Events(events.len()));
        let run = guest.wharf_delivery_post_event().call_handle(store, events);
        let answer = timeout_at(deadline, run).await;
        lease.settle(answer)
    }
}
