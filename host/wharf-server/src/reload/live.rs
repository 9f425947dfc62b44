//! What a request sees of the configuration: one value, swapped as a whole.

use wharf_core::route::Table;

use crate::http::Shown;
use crate::routing::Routing;

/// The channels and routes that run.
pub(crate) struct Live {
    /// In the order of the configuration.
    pub(crate) channels: Vec<Shown>,
    pub(crate) routing: Routing,
    /// As configured. None of them where a router decides.
    pub(crate) routes: Table,
}
