//! Forgetting ids: what retention has removed need not be told from a new message.

use wharf_core::MessageSeq;

use crate::error::WriteError;
use crate::request::Write;
use crate::store::Store;

impl Store {
    /// Forgets the ids of all messages before this one, and returns from where on they are known once that is on disk:
    /// it never goes back, and not past the next message.
    ///
    /// From then on such an id is as if never seen: it finds nothing, and a message that has it is new. The messages,
    /// their deliveries and their journal stay. [`Store::prune`] does so for what it has removed, once its window is over.
    /// The space is given back bit by bit, as later messages come.
    pub async fn forget_ids(&self, before: MessageSeq) -> Result<MessageSeq, WriteError> {
        self.write(before, 0, Write::ForgetIds).await
    }
}
