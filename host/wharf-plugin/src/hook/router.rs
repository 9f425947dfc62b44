use super::bound;
use crate::PluginFault;
use crate::bindings::router::RouterOnly;
use crate::bindings::types::{RoutedMessage, RouterDecision};
use crate::guest_log::About;

bound! {
    /// A bound `router`. Cheap to clone; all clones share one pool.
    Router, RouterOnly
}

impl Router {
    /// Asks where a message goes. The inner error is the plugin saying why it cannot tell.
    pub async fn route(
        &self,
        message: &RoutedMessage,
    ) -> Result<Result<RouterDecision, String>, PluginFault> {
        let mut lease = self.pool.lease().await?;
        let (store, guest, watch) = lease.enter(About::Message(&message.message_id));
        let run = guest.wharf_delivery_router().call_route(store, message);
        let answer = watch.run(run).await;
        lease.settle(answer)
    }
}
