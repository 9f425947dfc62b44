//! What tests, demo and benches need around the host: the real binary as a process, a receiver that
//! does as it is told, and plugins that misbehave.

mod guests;
pub mod backend;
pub mod clock;
pub mod process;
pub mod random;
pub mod sink;

pub use guests::guest;
