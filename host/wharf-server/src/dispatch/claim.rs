//! Claiming: what is ready, put on disk first where an attempt of it may have ended the process.

use wharf_core::ChannelName;
use wharf_store::{Claim, Claims, ReadError, Store, WriteError};

use crate::clock;

/// Why nothing could be claimed.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClaimError {
    #[error("what is ready cannot be read")]
    Read(#[from] ReadError),
    #[error("what was claimed cannot be put on disk")]
    Persist(#[from] WriteError),
}

/// Up to `max` ready deliveries of a channel. After an unclean stop they are on disk as claimed before anybody has
/// them, until what was ready at the start was tried once: the next start sees what was being attempted when the
/// process ended, tries that alone, and gives it up where that ended the process again.
pub(super) async fn claim(
    store: &Store,
    channel: &ChannelName,
    max: usize,
) -> Result<Vec<Claim>, ClaimError> {
    match store.claim(channel, max, clock::now())? {
        Claims::Ready(claims) => Ok(claims),
        Claims::Careful(claims) => Ok(store.persist_claims(claims).await?),
    }
}
