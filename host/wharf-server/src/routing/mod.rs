//! Where messages go: by the rules of `[[route]]`, or by a router plugin in their place.
//!
//! Either decides on the message's content alone, before the message is accepted; what it decides is stored with the
//! message. A router is code of someone else's: what it cannot decide, for whatever reason, is accepted as unroutable with
//! that reason, so that nothing is lost by it and nothing waits for it.

mod explain;
mod router;
mod view;

use wharf_core::Message;
use wharf_core::route::{Planned, Table};
use wharf_store::Unrouted;

pub use explain::{ExplainError, explain};
pub(crate) use router::{BoundRouter, Router};
pub(crate) use view::view;

/// What decides.
pub(crate) enum Routing {
    Rules(Table),
    Plugin(Router),
}

/// What a message is planned for.
pub(crate) struct Plan {
    pub(crate) planned: Vec<Planned>,
    /// Why there is nothing, where a router says so.
    pub(crate) unrouted: Option<Box<Unrouted>>,
}

impl Routing {
    /// Decides where a message goes.
    pub(crate) async fn plan(&self, message: &Message) -> Plan {
        match self {
            Self::Rules(table) => Plan {
                planned: table.plan(message),
                unrouted: None,
            },
            Self::Plugin(router) => router.plan(message).await,
        }
    }
}
