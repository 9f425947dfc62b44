//! What is done to a store's file as a whole: looking at it, checking it, copying it, giving space back, and carrying it
//! over into another format.
//!
//! Everything that only reads goes through [`StoreFile`], which changes no byte of the file, whatever state it is in:
//! `untouched` keeps in memory what the engine would write. [`compact`] is the one that writes. The running store can be
//! copied and looked at too: both read one snapshot, and commits go on beside it.
//!
//! # Drawbacks of the choice
//! - While a snapshot is read, the engine cannot use the space again that commits free: the file of a busy store grows by
//!   what is written during a backup, and keeps that as free space.
//! - Sizes of tables are known only to whoever reads all of them: a minute for a file of some ten GiB.

mod backup;
mod compact;
mod file;
mod inspect;
mod progress;
mod transfer;
mod untouched;

pub use backup::BackupError;
pub use compact::{CompactError, Compacted, compact};
pub use file::StoreFile;
pub use inspect::{Inspection, TableBytes, TableSize};
pub use progress::Progress;
pub use transfer::{ExportError, ImportError, ImportStage, import};

pub(crate) use progress::Steps;
