//! The forms that a message comes in.

mod check;
pub(super) mod json;

use wharf_api::Problem;
use wharf_core::{MessageId, TimeMs};

use super::identity::Identity;

/// What a form is read with.
pub(super) struct Reading<'a> {
    pub(super) identity: &'a Identity<'a>,
    /// The line that it is within a batch.
    pub(super) line: Option<u64>,
    pub(super) now: TimeMs,
    pub(super) payload_bytes_max: usize,
}

impl Reading<'_> {
    /// See [`Identity::own`].
    fn own_id(&self, id: MessageId, field: &str) -> Result<MessageId, Problem> {
        self.identity.own(id, field, self.line)
    }

    /// See [`Identity::given`].
    fn given_id(&self) -> Result<MessageId, Problem> {
        self.identity.given(self.line)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::http::identity::MessageIds;

    /// Reads one message as a request without an idempotency key has it, on a server that takes 1 KiB.
    pub(super) fn read_alone<T>(read: impl FnOnce(&Reading<'_>) -> T) -> T {
        read(&Reading {
            identity: &Identity::without_key(&MessageIds::new()),
            line: None,
            now: TimeMs(1),
            payload_bytes_max: 1 << 10,
        })
    }
}
