//! What plugins are granted, how it ends where the grant ends, and what is counted of it.

mod channel;
mod counts;
mod folders;
mod http;
#[path = "../support/mod.rs"]
mod support;

/// Longer than any test.
const LONG: std::time::Duration = std::time::Duration::from_secs(3600);
