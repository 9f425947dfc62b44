//! Carrying a store over as text: an export has all of it, an import makes a store of it that is the same to everyone who
//! asks. It outlasts formats: written by the version that reads a file, it is read by the version that is to use it.
//!
//! # The format
//! UTF-8, one JSON object a line, each with one member that says what it is: [`line::Line`] has them all. The first line is
//! [`line::Header`], with how many of each follow. Then come the messages in the order of acceptance, each with its
//! deliveries behind it, and what stays of removed ones, then the rows of the journal, cursors, named values, and what is parked. Times are milliseconds
//! since the Unix epoch: nothing is rounded. Bytes are text where they are UTF-8, base64 otherwise.
//!
//! What is not in it belongs to the file, not to the store: how messages are grouped into chunks, and claims on disk. An
//! export of an import is the same, byte for byte.
//!
//! # Drawbacks of the choice
//! - It takes two to three times the space of the file, and some 20 µs a message each way.
//! - It has the secret that ids are hashed with: whoever reads it could choose ids that collide.
//! - What cannot be read ends an export: a store with a hole in it would be no store.

mod content;
mod export;
mod import;
mod known;
mod line;
mod write;

pub use export::ExportError;
pub use import::{ImportError, ImportStage, import};
