use std::sync::Arc;

use tokio::time::timeout_at;

use crate::PluginFault;
use crate::bindings::converter::ConverterOnly;
use crate::bindings::types::{Call, Fault, Wire};
use crate::guest_log::About;
use crate::pool::Pool;

/// A bound `converter`. Cheap to clone; all clones share one pool.
#[derive(Clone)]
pub struct Converter {
    pool: Arc<Pool<ConverterOnly>>,
}

impl Converter {
    pub(crate) fn new(pool: Arc<Pool<ConverterOnly>>) -> Converter {
        Converter { pool }
    }

    /// The name of the plugin behind it.
    pub fn plugin_name(&self) -> &str {
        self.pool.plugin().name()
    }

    /// The SHA-256 of the plugin behind it, in hex.
    pub fn digest(&self) -> &str {
        self.pool.plugin().digest()
    }

    /// Turns a message into its wire form. The inner error is the plugin saying no; the outer one is its fault.
    pub async fn convert(
        &self,
        call: &Call,
        message: &Wire,
    ) -> Result<Result<Wire, Fault>, PluginFault> {
        let mut lease = self.pool.lease().await?;
        let (store, guest, deadline) = lease.enter(About::Delivery(call));
        let run = guest
            .wharf_delivery_converter()
            .call_convert(store, call, message);
        let answer = timeout_at(deadline, run).await;
        lease.settle(answer)
    }
}
