//! The store by its commands alone: what is asked, what is answered, what a restart finds. Whatever stands behind
//! the commands has to pass these.
//!
//! # Another engine
//! It stands behind [`wharf_store::Store`] itself, chosen when a store is opened: the commands stay as they are, and so
//! do these tests. `fixture::open` is the one place here that opens a store, and [`fixture::Fixture::left_behind`] the one
//! that knows what a killed process leaves behind: files. These two learn of another engine, and the suite is run once
//! for each. Stores that are closed, killed and opened again have to be found under the same path.
//!
//! Only `own` knows what is behind the commands (redb's tables, its file, the calls that it makes to a disk): no test
//! beside it names redb. It is not run for another engine, which brings its own.

mod everything;
mod fixture;
mod stepped;
mod update;

mod accept;
mod backlog;
mod cancel;
mod careful;
mod claim;
mod cursor;
mod defer;
mod failover;
mod journal;
mod keyed;
mod list;
mod open;
mod order;
mod own;
mod park;
mod prune;
mod redrive;
mod reroute;
mod settle;
mod stats;
mod wait;
