//! The store as a whole: what is in its file, and copies of it.

mod backup;
mod show;

pub(super) use backup::backup;
pub(super) use show::show;
