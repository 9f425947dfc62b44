//! Holding a receiver's answers back until a test has seen what it wants to see meanwhile.

use std::sync::Arc;

use tokio::sync::watch;

/// What answers wait behind until it is opened: their requests stay in flight for as long as the
/// test needs it, and no longer.
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<watch::Sender<bool>>);

impl Gate {
    /// Lets everything through, from now on.
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    /// Waits until it is open.
    pub(crate) async fn opened(&self) {
        // It is closed for ever only where its last owner is gone, and this is one.
        let _ = self.0.subscribe().wait_for(|is_open| *is_open).await;
    }
}
