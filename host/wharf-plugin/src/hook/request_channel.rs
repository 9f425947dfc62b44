use super::{bound, check_token};
use crate::PluginFault;
use crate::bindings::request_channel::RequestChannelOnly;
use crate::bindings::types::{Call, NoAnswer, Operation, Response, Step};
use crate::guest_log::About;
use crate::limits;

bound! {
    /// A bound `request-channel`. Cheap to clone; all clones share one pool. No instance is held between the calls of
    /// one attempt.
    RequestChannel, RequestChannelOnly
}

impl RequestChannel {
    /// Begins an attempt or a poll.
    pub async fn start(&self, call: &Call, operation: &Operation) -> Result<Step, PluginFault> {
        let mut lease = self.pool.lease().await?;
        let (store, guest, watch) = lease.enter(About::Delivery(call));
        let run = guest
            .wharf_delivery_request_channel()
            .call_start(store, call, operation);
        let answer = watch.run(run).await;
        self.check(lease.settle(answer)?)
    }

    /// Goes on after the exchange that was asked for with this state.
    pub async fn resume(
        &self,
        call: &Call,
        state: &[u8],
        answer: &Result<Response, NoAnswer>,
    ) -> Result<Step, PluginFault> {
        let mut lease = self.pool.lease().await?;
        let (store, guest, watch) = lease.enter(About::Delivery(call));
        let answer = answer.as_ref();
        let run = guest
            .wharf_delivery_request_channel()
            .call_resume(store, call, state, answer);
        let answer = watch.run(run).await;
        self.check(lease.settle(answer)?)
    }

    /// The fault of a plugin that asks for more exchanges than it may: whoever makes them counts them.
    pub fn too_many_requests(&self, limit: usize) -> PluginFault {
        self.broken(PluginFault::Requests { limit })
    }

    fn check(&self, step: Step) -> Result<Step, PluginFault> {
        match &step {
            Step::Request(request) if request.state.len() > limits::STATE_BYTES_MAX => Err(self
                .broken(PluginFault::State {
                    bytes: request.state.len() as u64,
                    limit_bytes: limits::STATE_BYTES_MAX as u64,
                })),
            Step::Done(Ok(outcome)) => match check_token(outcome) {
                Ok(()) => Ok(step),
                Err(fault) => Err(self.broken(fault)),
            },
            Step::Request(_) | Step::Done(Err(_)) => Ok(step),
        }
    }

    fn broken(&self, fault: PluginFault) -> PluginFault {
        self.plugin().counters().fault(&fault);
        fault
    }
}
