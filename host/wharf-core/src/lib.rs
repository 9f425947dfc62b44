//! Values and decisions of wharf: what a message is, which statuses a delivery passes through, when it is
//! tried again, where it is routed.
//!
//! Everything here is synchronous and pure: no I/O, no clock, no randomness, no tokio, no redb, no wasmtime.
//! Time and chance come in as arguments, so every decision can be replayed.

pub mod breaker;
pub mod delivery;
pub mod egress;
pub mod failover;
pub mod grant;
pub mod hash;
pub mod id;
pub mod invariant;
pub mod journal;
pub mod lane;
pub mod limits;
pub mod message;
pub mod operator;
pub mod order;
pub mod outcome;
pub mod rate;
pub mod retry;
pub mod route;
pub mod status;
pub mod time;
pub mod update;

pub use hash::HashKey;
pub use id::{ChannelName, Cursor, DeliveryId, Fence, MessageId, MessageSeq};
pub use message::{Message, Pairs, WireForm};
pub use outcome::Outcome;
pub use status::{Cause, Standing, Status};
pub use time::TimeMs;
pub use update::Update;
