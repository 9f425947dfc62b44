//! The commands, one file each: what a handle asks, and what the writer does about it.

pub(crate) mod accept;
pub(crate) mod begin;
pub(crate) mod cancel;
pub(crate) mod claim;
pub(crate) mod close;
pub(crate) mod cursor;
pub(crate) mod defer;
pub(crate) mod forget;
pub(crate) mod get;
pub(crate) mod journal;
pub(crate) mod keyed;
pub(crate) mod list;
pub(crate) mod load;
pub(crate) mod order;
pub(crate) mod park;
pub(crate) mod persist;
pub(crate) mod promote;
pub(crate) mod prune;
pub(crate) mod redrive;
pub(crate) mod reroute;
pub(crate) mod reserve;
pub(crate) mod settle;
pub(crate) mod stats;
pub(crate) mod watch;
