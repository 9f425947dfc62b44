use super::bound;
use crate::PluginFault;
use crate::bindings::receiver::ReceiverOnly;
use crate::bindings::types::{ReceiptRequest, Update};
use crate::guest_log::About;

bound! {
    /// A bound `receiver`. Cheap to clone; all clones share one pool.
    Receiver, ReceiverOnly
}

impl Receiver {
    /// Reads what a partner reports. The inner error is the plugin saying why it cannot be read.
    pub async fn interpret(
        &self,
        request: &ReceiptRequest,
    ) -> Result<Result<Vec<Update>, String>, PluginFault> {
        let mut lease = self.pool.lease().await?;
        // It is about no delivery yet.
        let (store, guest, watch) = lease.enter(About::Events(0));
        let run = guest
            .wharf_delivery_receiver()
            .call_interpret(store, request);
        let answer = watch.run(run).await;
        lease.settle(answer)
    }
}
