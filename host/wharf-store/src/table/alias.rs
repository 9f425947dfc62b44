//! `alias`, `alias_of`: what others know deliveries and messages by, for the updates that they send.
//!
//! A token is known for as long as its message is kept, not only while it is polled with: a callback that comes late is told
//! from one that nobody knows. A delivery has one at a time.
//!
//! The keys are as random as hashes are, which costs a commit a page an alias. Only messages that carry a reference and
//! deliveries that are waited for have any.

use redb::TableDefinition;
use wharf_core::{ChannelName, HashKey};

/// Key: [`Alias`], then the number of the delivery; of a message that of its first one, whether it has any or not. Several
/// may share one alias.
pub(crate) const TABLE: TableDefinition<'static, (u128, u64), ()> = TableDefinition::new("alias");

/// Key: the same, the other way round: how those of a removed message are found.
pub(crate) const OF: TableDefinition<'static, (u64, u128), ()> = TableDefinition::new("alias_of");

/// 128 bits of what something is known by, under the store's own key: nobody outside can find two that collide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Alias(pub(crate) u128);

impl Alias {
    /// A delivery's, by what its channel got for it.
    pub(crate) fn token(key: &HashKey, channel: &ChannelName, token: &str) -> Self {
        Self::new(
            key,
            &[b"token", channel.as_str().as_bytes(), token.as_bytes()],
        )
    }

    /// A message's, by what its sender calls it.
    pub(crate) fn reference(key: &HashKey, (sender, sender_ref): (&str, &str)) -> Self {
        Self::new(
            key,
            &[b"reference", sender.as_bytes(), sender_ref.as_bytes()],
        )
    }

    fn new(key: &HashKey, parts: &[&[u8]]) -> Self {
        Self(u128::from_be_bytes(key.hash_parts(parts)))
    }
}
