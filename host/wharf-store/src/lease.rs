//! The right to attempt a delivery.

use wharf_core::{ChannelName, DeliveryId, Fence, Status};

use crate::index::{SharedIndex, Taken};
use crate::step::Ordered;

/// The right to attempt a delivery, once. In memory only: a crash ends it.
///
/// A drop guard: dropped unsettled, the delivery is ready again, at the front of its queue.
#[derive(Debug)]
#[must_use = "dropping a lease makes its delivery ready again"]
pub struct Lease {
    index: SharedIndex,
    delivery: DeliveryId,
    fence: Fence,
    channel: ChannelName,
    pub(crate) status: Status,
    pub(crate) has_wire: bool,
    /// Whether another delivery stands in for it.
    pub(crate) has_reserve: bool,
    pub(crate) ordered: Option<Ordered>,
    is_settled: bool,
}

impl Lease {
    pub(crate) fn new(index: &SharedIndex, taken: &Taken, channel: &ChannelName) -> Self {
        Self {
            index: index.clone(),
            delivery: taken.id,
            fence: taken.fence,
            channel: channel.clone(),
            status: Status::Queued,
            has_wire: false,
            has_reserve: false,
            ordered: None,
            is_settled: false,
        }
    }

    /// The delivery.
    #[must_use]
    pub fn delivery(&self) -> DeliveryId {
        self.delivery
    }

    /// The lease's number, by which a stale settle is known.
    #[must_use]
    pub fn fence(&self) -> Fence {
        self.fence
    }

    /// The channel that it was claimed for.
    #[must_use]
    pub fn channel(&self) -> &ChannelName {
        &self.channel
    }

    /// The delivery's stored status; it cannot change under the lease.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status
    }

    /// Ends it because its delivery cannot be read, and keeps that one from being claimed again.
    pub(crate) fn stick(mut self) {
        self.is_settled = true;
        self.index.lock().stick(self.delivery, self.fence);
    }

    /// The commit has ended it.
    pub(crate) fn settled(&mut self) {
        self.is_settled = true;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.is_settled {
            return;
        }
        // A poisoned index belongs to a store that is going down; there is nobody to be ready for.
        let wake = self.index.try_lock().map(|mut index| {
            index.release(self.delivery, Some(self.fence));
            index.wake()
        });
        if let Some(wake) = wake {
            wake.all();
        }
    }
}
