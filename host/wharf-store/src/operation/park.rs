//! What could not be used (an event that a hook never takes, an element of a queue that cannot be read) is put aside,
//! so that what comes after it can go on. It is kept as it came.

use redb::{ReadableTable, ReadableTableMetadata};
use wharf_core::{Cursor, TimeMs};

use crate::error::{ReadError, WriteError};
use crate::group::Group;
use crate::request::Write;
use crate::store::Store;
use crate::table::parked;

/// Something that could not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parked {
    /// Where it came from, such as `post-event/audit`.
    pub source: String,
    /// Why it could not be used.
    pub reason: String,
    /// When it was parked.
    pub at: TimeMs,
    /// The media type of `content`.
    pub content_type: String,
    /// What it is, as it came.
    pub content: Vec<u8>,
}

/// What to park, and the reader that is then done with it.
pub(crate) struct Park {
    parked: Parked,
    reader: Option<(String, Cursor)>,
}

impl Park {
    /// Of what comes from no reader of the journal.
    pub(crate) fn new(parked: Parked) -> Self {
        Self {
            parked,
            reader: None,
        }
    }

    /// About how much it writes.
    pub(crate) fn bytes(&self) -> usize {
        let Parked {
            source,
            reason,
            content_type,
            content,
            ..
        } = &self.parked;
        source.len() + reason.len() + content_type.len() + content.len()
    }
}

impl Store {
    /// Parks something and, in the same commit, moves the named cursor of the reader that it came from. Returns its
    /// number once that is on disk.
    pub async fn park(
        &self,
        parked: Parked,
        reader: Option<(&str, Cursor)>,
    ) -> Result<u64, WriteError> {
        let reader = reader.map(|(name, to)| (name.to_owned(), to));
        let park = Park { parked, reader };
        let bytes = park.bytes();
        self.write(park, bytes, Write::Park).await
    }

    /// How much is parked.
    pub fn parked_count(&self) -> Result<u64, ReadError> {
        self.read(|snapshot| Ok(snapshot.tx().open_table(parked::TABLE)?.len()?))
    }

    /// What is parked, with its number, the oldest first; `after` a number, at most `most`.
    pub fn parked(&self, after: u64, most: usize) -> Result<Vec<(u64, Parked)>, ReadError> {
        self.read(|snapshot| {
            let table = snapshot.tx().open_table(parked::TABLE)?;
            let Some(first) = after.checked_add(1) else {
                return Ok(Vec::new());
            };
            let mut found = Vec::new();
            for entry in table.range(first..)?.take(most) {
                let (number, value) = entry?;
                found.push((number.value(), parked::decode(value.value())?));
            }
            Ok(found)
        })
    }
}

/// The writer's part.
pub(crate) fn apply(group: &mut Group<'_>, park: &Park) -> Result<u64, ReadError> {
    let mut table = group.tx.open_table(parked::TABLE)?;
    let last = table.last()?.map_or(0, |(number, _)| number.value());
    let number = last + 1;
    table.insert(number, parked::encode(&park.parked).as_slice())?;
    drop(table);
    group.changed();
    if let Some((name, to)) = &park.reader {
        super::cursor::apply(group, name, *to)?;
    }
    Ok(number)
}
