//! A disk whose power can be cut at any call, and that can fail with the power on.
//!
//! It has the two files of a store. What was synced of a file survives. Of what was not, a cut keeps none, all, a beginning, a subset of the writes, or a
//! subset of the 512-byte sectors of each write (a torn write). Changes of length count as writes.
//!
//! With the power on, [`Fault`]s are what an operating system reports: no space, a sync, a write or a read that fails.
//!
//! Not modelled: bit rot, writes that a disk reports as synced and loses later, and reads that give other bytes than
//! were written.

mod change;
mod disk;
mod fault;
mod plug;
#[cfg(test)]
mod tests;

pub use disk::PowerCut;
pub use fault::Fault;
