//! The real host under load, killed again and again: is everything still there that it answered for?
//!
//! One folder, and one file in it, live through all cycles. In a cycle the host is started, takes messages, operators'
//! commands and receivers' answers for a while, and is killed (`kill -9`), or now and then stopped; some starts are killed
//! too. At the end all of it is drained and held against what was answered: `verify` says what has to be true.
//!
//! # Limits
//! - Only the process dies, not the machine: what it wrote is in the file, synced or not. `tests/sim` cuts the power.
//! - A seed decides what is sent and when the host is killed, not how far it is then: no two runs are the same.
//! - What was being sent at a kill arrives twice. That is what is promised, so it is counted; only more than could have
//!   been in flight is an error.

mod ledger;
mod life;
mod load;
mod message;
mod operator;
mod receivers;
mod report;
mod verify;

pub use life::{Plan, Planted, run};
pub use report::Report;
