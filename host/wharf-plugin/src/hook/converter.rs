use super::bound;
use crate::PluginFault;
use crate::bindings::converter::ConverterOnly;
use crate::bindings::types::{Call, Fault, Wire};
use crate::guest_log::About;

bound! {
    /// A bound `converter`. Cheap to clone; all clones share one pool.
    Converter, ConverterOnly
}

impl Converter {
    /// Turns a message into its wire form. The inner error is the plugin saying no; the outer one is its fault.
    pub async fn convert(
        &self,
        call: &Call,
        message: &Wire,
    ) -> Result<Result<Wire, Fault>, PluginFault> {
        let mut lease = self.pool.lease().await?;
        let (store, guest, watch) = lease.enter(About::Delivery(call));
        let run = guest
            .wharf_delivery_converter()
            .call_convert(store, call, message);
        let answer = watch.run(run).await;
        lease.settle(answer)
    }
}
