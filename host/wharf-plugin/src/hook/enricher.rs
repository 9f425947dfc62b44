use super::bound;
use crate::PluginFault;
use crate::bindings::enricher::EnricherOnly;
use crate::bindings::types::{Call, Enrichment, Wire};
use crate::guest_log::About;

bound! {
    /// A bound `enricher`. Cheap to clone; all clones share one pool.
    Enricher, EnricherOnly
}

impl Enricher {
    /// Asks what is to be added to a message. The inner error is the plugin saying why it cannot.
    pub async fn enrich(
        &self,
        call: &Call,
        message: &Wire,
    ) -> Result<Result<Enrichment, String>, PluginFault> {
        let mut lease = self.pool.lease().await?;
        let (store, guest, watch) = lease.enter(About::Delivery(call));
        let run = guest
            .wharf_delivery_enricher()
            .call_enrich(store, call, message);
        let answer = watch.run(run).await;
        lease.settle(answer)
    }
}
