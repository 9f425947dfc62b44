//! What was removed.

use wharf_core::{ChannelName, Status};

use super::Index;

impl Index {
    /// A delivery was removed that had ended: its channel counts it no more. It was nowhere else.
    pub(crate) fn pruned(&mut self, channel: &ChannelName, status: Status) {
        debug_assert!(status.is_final(), "only what has ended is removed");
        let at = self.queue(channel);
        // Delivered ones are not counted.
        self.count(at, Some(status), Status::Delivered);
    }
}
