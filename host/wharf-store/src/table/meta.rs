//! `meta`: what the file is.

use redb::TableDefinition;

use crate::codec::Take;
use crate::error::Malformed;

/// Key: one of the names below, or that of a [`super::channel`]. Value: as said there.
pub(crate) const TABLE: TableDefinition<'static, &'static str, &'static [u8]> =
    TableDefinition::new("meta");

/// Value: the file's [`FORMAT`], u32 LE. Read before anything else, and the one value without a version byte: it is
/// the version.
pub(crate) const FORMAT_NAME: &str = "format";

/// The format that this version writes. What it reads besides: [`crate::migrate`].
///
/// 1 was that of the drafts before the id index had runs, 2 that of those before an attempt kept how long its hooks
/// took, 3 that of those before there were named values, 4 that of those before claims were put on disk after an unclean
/// stop, 6 that of those before a start read neither tails nor rows of deliveries, and before anything was removed, 7 that
/// of those before there was a log, 8 that of those before there were failovers, 9 that of those before deliveries kept an
/// order, 10 that of those before there were status updates.
pub(crate) const FORMAT: u32 = 11;

/// Value: version byte 1, then the 32 bytes that ids are hashed with. Written when the file is created.
pub(crate) const ID_KEY_NAME: &str = "id-key";

/// Value: [`super::state::State`]. Rewritten by every commit.
pub(crate) const STATE_NAME: &str = "state";

/// Value: [`super::id_manifest::Manifest`]. Rewritten by commits that change runs.
pub(crate) const IDS_NAME: &str = "ids";

/// Value: [`crate::wal::Position`]. Rewritten by every commit.
pub(crate) const LOG_NAME: &str = "log";

/// Value: version byte 1. There while the store is closed and was closed cleanly: close writes it last, a start removes
/// it first.
pub(crate) const CLEAN_STOP_NAME: &str = "clean-stop";

/// Value: version byte 1, then the number of the next update, u64 LE. Rewritten by commits that receive some.
pub(crate) const NEXT_UPDATE_NAME: &str = "next-update";

/// Version byte of [`NEXT_UPDATE_NAME`].
pub(crate) const NEXT_UPDATE_VERSION: u8 = 1;

/// Version byte of [`CLEAN_STOP_NAME`].
pub(crate) const CLEAN_STOP_VERSION: u8 = 1;

/// Version byte of [`ID_KEY_NAME`].
pub(crate) const ID_KEY_VERSION: u8 = 1;

pub(crate) fn encode_next_update(number: u64) -> Vec<u8> {
    let mut value = vec![NEXT_UPDATE_VERSION];
    value.extend_from_slice(&number.to_le_bytes());
    value
}

pub(crate) fn decode_next_update(value: &[u8]) -> Result<u64, Malformed> {
    let mut take = Take::versioned(value, NEXT_UPDATE_VERSION)?;
    let number = u64::from_le_bytes(take.array()?);
    take.end()?;
    Ok(number)
}
