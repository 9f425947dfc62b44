//! What the shipped components share. A library, no component: it exports no hook.
//!
//! - [`types`]: the values of the contract, generated once.
//! - [`setting`]: one setting of the binding, and the failure that a wrong one is.
//! - [`refusal`]: a final no.
//! - [`request`]: what the channels that make HTTP requests have in common before one is made.
//! - [`answer`]: what an HTTP answer, or its absence, means for the delivery.
//! - [`header`]: what header fields are made of, and which of them are never passed on.
//! - [`time`]: times as people write them.
//!
//! A component takes the types from here instead of generating its own, so that what is built here
//! is what its hook returns:
//!
//! ```text
//! wit_bindgen::generate!({
//!     …
//!     with: { "wharf:delivery/types@0.1.0-draft.4": wharf_plugin_common::types },
//! });
//! ```
//!
//! # Limits of the choice
//!
//! Only what a world imports can be shared so. An interface that a component exports is generated
//! in that component, and its own records with it: `response` and `no-answer` of a request-channel,
//! all of `plugin`. What is here takes their parts as plain values.

mod bindings;

pub mod answer;
pub mod header;
pub mod refusal;
pub mod request;
pub mod setting;
pub mod time;

pub use bindings::wharf::delivery::types;
