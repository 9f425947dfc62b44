//! Where messages go.

mod explain;

pub use explain::explain;
