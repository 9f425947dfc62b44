//! Durable named cursors: how far readers of the journal have come.

use redb::ReadableTable;
use wharf_core::Cursor;

use crate::error::{ReadError, WriteError};
use crate::group::Group;
use crate::request::Write;
use crate::store::Store;
use crate::table::cursor;

impl Store {
    /// A named cursor; none where it was never set.
    pub fn cursor(&self, name: &str) -> Result<Option<Cursor>, ReadError> {
        self.read(|snapshot| snapshot.cursor(name))
    }

    /// Moves a named cursor forward, and returns where it stands once that is on disk. It never goes back: a
    /// smaller one changes nothing.
    pub async fn set_cursor(&self, name: &str, to: Cursor) -> Result<Cursor, WriteError> {
        self.write((name.to_owned(), to), 0, Write::SetCursor).await
    }
}

/// The writer's part.
pub(crate) fn apply(group: &mut Group<'_>, name: &str, to: Cursor) -> Result<Cursor, ReadError> {
    let stands = match group.cursor.get(name)? {
        Some(value) => Some(cursor::decode(value.value())?),
        None => None,
    };
    match stands {
        Some(stands) if stands >= to => Ok(stands),
        _ => {
            group.cursor.insert(name, cursor::encode(to).as_slice())?;
            group.changed();
            Ok(to)
        }
    }
}
