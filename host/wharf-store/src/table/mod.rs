//! The tables, one file each: key layout, value format, codec.
//!
//! Every stored value starts with a version byte. Numbers on disk are pinned and never reused.

pub(crate) mod alias;
pub(crate) mod all;
pub(crate) mod attempt;
pub(crate) mod blob;
pub(crate) mod channel;
pub(crate) mod chunk;
pub(crate) mod claimed;
pub(crate) mod cursor;
pub(crate) mod delivery;
pub(crate) mod due;
pub(crate) mod id_entry;
pub(crate) mod id_filter;
pub(crate) mod id_log;
pub(crate) mod id_manifest;
pub(crate) mod id_run;
pub(crate) mod journal;
pub(crate) mod keyed;
pub(crate) mod meta;
pub(crate) mod order;
pub(crate) mod parked;
pub(crate) mod state;
pub(crate) mod tails;
pub(crate) mod update;
pub(crate) mod wire;

/// A table of values by number: what most of them are.
pub(crate) type Numbered = redb::TableDefinition<'static, u64, &'static [u8]>;
