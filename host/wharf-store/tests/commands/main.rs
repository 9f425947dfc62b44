//! The store by its commands alone: what is asked, what is answered, what a restart finds. Whatever stands behind
//! the commands has to pass these.

mod fixture;
mod stepped;

mod accept;
mod backlog;
mod cancel;
mod careful;
mod claim;
mod cursor;
mod damage;
mod failure;
mod hang;
mod ids;
mod journal;
mod keyed;
mod list;
mod open;
mod park;
mod prune;
mod redrive;
mod reroute;
mod settle;
mod stats;
mod throughput;
mod wait;
