//! Where a delivery stands, as far as that decides how it is found next.

use wharf_core::{DeliveryId, Status, TimeMs};

use crate::table::due::{self, Due};

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stand {
    pub(crate) status: Status,
    /// Whether it has a row of its own.
    pub(crate) has_row: bool,
    /// When it is looked at again.
    pub(crate) due: Option<TimeMs>,
}

impl Stand {
    /// Of a delivery that can be sent, and that no attempt or command has been about.
    pub(crate) const OPEN: Self = Self {
        status: Status::Queued,
        has_row: false,
        due: None,
    };

    /// Whether it is found by the tails of its chunk.
    pub(crate) fn is_open(self) -> bool {
        self.status == Status::Queued && !self.has_row
    }

    /// The place by which it is found among those that are due; none where it is not.
    pub(crate) fn due(self, id: DeliveryId) -> Option<Due> {
        (self.status.is_sendable() && self.has_row).then(|| due::at(self.due, id))
    }
}
