use std::sync::Arc;

use tokio::time::timeout_at;

use crate::PluginFault;
use crate::bindings::enricher::EnricherOnly;
use crate::bindings::types::{Call, Enrichment, Wire};
use crate::guest_log::About;
use crate::pool::Pool;

/// A bound `enricher`. Cheap to clone; all clones share one pool.
#[derive(Clone)]
pub struct Enricher {
    pool: Arc<Pool<EnricherOnly>>,
}

impl Enricher {
    pub(crate) fn new(pool: Arc<Pool<EnricherOnly>>) -> Enricher {
        Enricher { pool }
    }

    /// The name of the plugin behind it.
    pub fn plugin_name(&self) -> &str {
        self.pool.plugin().name()
    }

    /// The SHA-256 of the plugin behind it, in hex.
    pub fn digest(&self) -> &str {
        self.pool.plugin().digest()
    }

    /// Asks what is to be added to a message. The inner error is the plugin saying why it cannot.
    pub async fn enrich(
        &self,
        call: &Call,
        message: &Wire,
    ) -> Result<Result<Enrichment, String>, PluginFault> {
        let mut lease = self.pool.lease().await?;
        let (store, guest, deadline) = lease.enter(About::Delivery(call));
        let run = guest
            .wharf_delivery_enricher()
            .call_enrich(store, call, message);
        let answer = timeout_at(deadline, run).await;
        lease.settle(answer)
    }
}
