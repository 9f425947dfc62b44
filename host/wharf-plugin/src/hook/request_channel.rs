use std::sync::Arc;

use tokio::time::timeout_at;

use crate::PluginFault;
use crate::bindings::request_channel::RequestChannelOnly;
use crate::bindings::types::{Call, NoAnswer, Operation, Response, Step};
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
        let (store, guest, deadline) = lease.enter(Some(call));
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
        let (store, guest, deadline) = lease.enter(Some(call));
        let answer = answer.as_ref();
        let run = guest
            .wharf_delivery_request_channel()
            .call_resume(store, call, state, answer);
        let answer = timeout_at(deadline, run).await;
        lease.settle(answer)
    }
}
impl RequestChannel {
    pub async fn bench(&self, call: &Call, op: &Operation) {
        for _ in 0..4 {
        let t = std::time::Instant::now();
        for _ in 0..100_000 {
            let mut lease = self.pool.lease().await.unwrap();
            let (_s, _g, _d) = lease.enter(Some(call));
            lease.settle(Ok(Ok(()))).unwrap();
        }
        println!("lease only {:?}", t.elapsed() / 100_000);
        let mut lease = self.pool.lease().await.unwrap();
        let (store, guest, _d) = lease.enter(Some(call));
        let t = std::time::Instant::now();
        for _ in 0..100_000 {
            store.set_epoch_deadline(1000);
            guest.wharf_delivery_request_channel().call_start(&mut *store, call, op).await.unwrap();
        }
        println!("raw call {:?}", t.elapsed() / 100_000);
        let t = std::time::Instant::now();
        for _ in 0..100_000 {
            let d = tokio::time::Instant::now() + std::time::Duration::from_secs(5);
            timeout_at(d, std::future::ready(())).await.unwrap();
        }
        println!("timeout {:?}", t.elapsed() / 100_000);
        }
    }
}
