//! Closing: everything that waits is committed, then the file is put in order.

use tokio::sync::oneshot;

use crate::error::CloseError;
use crate::request::Request;
use crate::store::Store;

impl Store {
    /// Commits what was asked before, closes the file cleanly, and ends the writer. Every handle is closed with
    /// it: what is asked later is refused.
    pub async fn close(&self) -> Result<(), CloseError> {
        let (answer, answered) = oneshot::channel();
        let sent = self.send(Request::Close(answer)).await;
        sent.map_err(|_| CloseError::AlreadyClosed)?;
        let closed = answered.await.unwrap_or(Err(CloseError::AlreadyClosed));
        if let Some(writer) = self.shared.take_writer() {
            // It has answered, or is gone: nothing is left for it to do.
            let _ = writer.join();
        }
        closed
    }
}
