use super::bound;
use crate::PluginFault;
use crate::bindings::annotator::AnnotatorOnly;
use crate::bindings::types::{Call, Outcome, Pairs, Wire};
use crate::guest_log::About;

bound! {
    /// A bound `annotator`. Cheap to clone; all clones share one pool.
    Annotator, AnnotatorOnly
}

impl Annotator {
    /// Asks what is to be noted of an attempt. The inner error is the plugin saying why it cannot.
    pub async fn annotate(
        &self,
        call: &Call,
        sent: &Wire,
        ended: &Outcome,
    ) -> Result<Result<Pairs, String>, PluginFault> {
        let mut lease = self.pool.lease().await?;
        let (store, guest, watch) = lease.enter(About::Delivery(call));
        let run = guest
            .wharf_delivery_annotator()
            .call_annotate(store, call, sent, ended);
        let answer = watch.run(run).await;
        lease.settle(answer)
    }
}
