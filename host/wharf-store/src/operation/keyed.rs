//! Small durable values that are known by a name, such as why a channel is paused. Read from memory.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use bytes::Bytes;
use redb::{ReadableTable, ReadableTableMetadata};

use crate::error::{ReadError, SetStateError};
use crate::group::Group;
use crate::limits::{STATE_BYTES_MAX, STATE_COUNT_MAX, STATE_NAME_BYTES_MAX};
use crate::request::Write;
use crate::store::Store;
use crate::table::keyed;

/// The values as of the last commit.
#[derive(Debug)]
pub(crate) struct Keyed(RwLock<BTreeMap<String, Bytes>>);

/// A value to set; none to remove it.
pub(crate) type Set = (String, Option<Bytes>);

/// What the writer says of a value to set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Stands,
    Full,
}

impl Store {
    /// A named value; none where it was never set, or was removed. Nothing is read from the file.
    #[must_use]
    pub fn state(&self, name: &str) -> Option<Bytes> {
        self.shared.keyed.read(|values| values.get(name).cloned())
    }

    /// The named values whose names begin so, by name. Nothing is read from the file.
    #[must_use]
    pub fn states(&self, prefix: &str) -> Vec<(String, Bytes)> {
        self.shared.keyed.read(|values| {
            let from = values.range(prefix.to_owned()..);
            let of_prefix = from.take_while(|(name, _)| name.starts_with(prefix));
            of_prefix
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect()
        })
    }

    /// Sets a named value, or removes it, and returns once that is on disk. From then on it is what is read.
    pub async fn set_state(&self, name: &str, value: Option<Bytes>) -> Result<(), SetStateError> {
        if name.is_empty() || name.len() > STATE_NAME_BYTES_MAX {
            return Err(SetStateError::Name(name.len()));
        }
        let bytes = value.as_ref().map_or(0, Bytes::len);
        if bytes > STATE_BYTES_MAX {
            return Err(SetStateError::TooLarge(bytes));
        }
        let set = (name.to_owned(), value);
        match self.write(set, bytes, Write::SetState).await {
            Ok(Verdict::Stands) => Ok(()),
            Ok(Verdict::Full) => Err(SetStateError::Full),
            Err(cause) => Err(SetStateError::Write(cause)),
        }
    }
}

impl Keyed {
    pub(crate) fn new(values: BTreeMap<String, Bytes>) -> Self {
        Self(RwLock::new(values))
    }

    pub(crate) fn read<T>(&self, use_values: impl FnOnce(&BTreeMap<String, Bytes>) -> T) -> T {
        use_values(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// After the commit.
    pub(crate) fn reflect(&self, sets: Vec<Set>) {
        if sets.is_empty() {
            return;
        }
        let mut values = self.0.write().unwrap_or_else(PoisonError::into_inner);
        for (name, value) in sets {
            match value {
                Some(value) => values.insert(name, value),
                None => values.remove(&name),
            };
        }
    }
}

/// The writer's part. What stands already needs no commit.
pub(crate) fn apply(group: &mut Group<'_>, set: Set) -> Result<Verdict, ReadError> {
    let (name, value) = &set;
    let mut table = group.tx.open_table(keyed::TABLE)?;
    let stands = match table.get(name.as_str())? {
        Some(stands) => Some(Bytes::copy_from_slice(keyed::decode(stands.value())?)),
        None => None,
    };
    if stands == *value {
        return Ok(Verdict::Stands);
    }
    match value {
        Some(_) if stands.is_none() && table.len()? >= STATE_COUNT_MAX => return Ok(Verdict::Full),
        Some(value) => table.insert(name.as_str(), keyed::encode(value).as_slice())?,
        None => table.remove(name.as_str())?,
    }
    drop(table);
    group.set_state(set);
    Ok(Verdict::Stands)
}
