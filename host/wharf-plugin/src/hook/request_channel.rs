use std::sync::Arc;

use tokio::time::timeout_at;

use crate::PluginFault;
use crate::bindings::request_channel::RequestChannelOnly;
use crate::bindings::types::{Call, NoAnswer, Operation, Response, Step};
use crate::guest_log::About;
use crate::pool::Pool;

/// A bound `request-channel`. Cheap to clone; all clones share one pool. No instance is held between the calls of
/// one attempt.
#[derive(Clone)]
pub struct RequestChannel {
    pool: Arc<Pool<RequestChannelOnly>>,
}

impl RequestChannel {
    pub(crate) fn new(pool: Arc<Pool<RequestChannelOnly>>) -> RequestChannel {
        RequestChannel { pool }
    }

    /// The name of the plugin behind it.
    pub fn plugin_name(&self) -> &str {
        self.pool.plugin().name()
    }

    /// The SHA-256 of the plugin behind it, in hex.
    pub fn digest(&self) -> &str {
        self.pool.plugin().digest()
    }

    /// Begins an attempt or a poll.
    pub async fn start(&self, call: &Call, operation: &Operation) -> Result<Step, PluginFault> {
        let mut lease = self.pool.lease().await?;
        let (store, guest, deadline) = lease.enter(About::Delivery(call));
        let run = guest
            .wharf_delivery_request_channel()
            .call_start(store, call, operation);
        let answer = timeout_at(deadline, run).await;
        lease.settle(answer)
    }

    /// Goes on after the exchange that was asked for with this state.
    pub async fn resume(
        &self,
        call: &Call,
        state: &[u8],
        answer: &Result<Response, NoAnswer>,
    ) -> Result<Step, PluginFault> {
        let mut lease = self.pool.lease().await?;
        let (store, guest, deadline) = lease.enter(About::Delivery(call));
        let answer = answer.as_ref();
        let run = guest
            .wharf_delivery_request_channel()
            .call_resume(store, call, state, answer);
        let answer = timeout_at(deadline, run).await;
        lease.settle(answer)
    }
}
