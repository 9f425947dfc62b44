//! What tests, demo and benches need around the host: the real binary as a process, a receiver that
//! does as it is told, and plugins that misbehave.

pub mod backend;
pub mod clock;
mod gate;
#[cfg(feature = "guests")]
mod guests;
pub mod process;
pub mod random;
pub mod sink;

#[cfg(feature = "guests")]
pub use guests::guest;
