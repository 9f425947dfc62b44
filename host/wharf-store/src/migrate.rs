//! Files of older formats.
//!
//! A step takes a file from its format to the next one. It is one commit, with the number: cut off, it is not there, and
//! the next start makes it. A file of several formats ago goes through all of them in turn. A step is kept for as long as
//! files of its format are about, with a file of that format among the golden ones.
//!
//! What is in a file's log is of the file's own format, and is applied before the first step.
//!
//! What is older than the first of them is a draft, and is refused. `wharf store export` of the version that wrote it, and
//! `import` of this one, bring over what has no step.

use redb::{Database, ReadableTable, WriteTransaction};
use wharf_core::HashKey;

use crate::error::{Malformed, OpenError, ReadError};
use crate::open;
use crate::recover;
use crate::table::alias::{self, Alias};
use crate::table::delivery::{self, Row};
use crate::table::{meta, order, update};
use crate::wal::Position;

/// From one format to the next.
#[derive(Clone, Copy)]
pub(crate) struct Step {
    /// The format that it takes.
    pub(crate) from: u32,
    pub(crate) apply: fn(&WriteTransaction) -> Result<(), ReadError>,
}

/// In the order of their formats, without a gap, up to the one before [`meta::FORMAT`].
const STEPS: &[Step] = &[
    Step {
        from: 7,
        apply: add_log,
    },
    Step {
        from: 8,
        // What has nothing in reserve is written as before, and rows of deliveries of before are read.
        apply: |_| Ok(()),
    },
    Step {
        from: 9,
        apply: add_order,
    },
    Step {
        from: 10,
        apply: add_aliases,
    },
];

/// From 7: until then there was no log.
fn add_log(tx: &WriteTransaction) -> Result<(), ReadError> {
    tx.open_table(meta::TABLE)?
        .insert(meta::LOG_NAME, Position::default().encode().as_slice())?;
    Ok(())
}

/// From 9: until then no delivery kept another one back.
fn add_order(tx: &WriteTransaction) -> Result<(), ReadError> {
    tx.open_table(order::TABLE)?;
    tx.open_table(order::OF)?;
    Ok(())
}

/// From 10: until then nothing was found by a token. What was accepted is found by its id alone, not by its reference: all
/// messages would have to be read.
fn add_aliases(tx: &WriteTransaction) -> Result<(), ReadError> {
    tx.open_table(update::TABLE)?;
    let meta = tx.open_table(meta::TABLE)?;
    let key = meta.get(meta::ID_KEY_NAME)?;
    let key = key.ok_or(Malformed("the id key is missing"))?;
    let key = HashKey::new(recover::secret(key.value())?);
    let (mut by_alias, mut by_number) = (tx.open_table(alias::TABLE)?, tx.open_table(alias::OF)?);
    for entry in tx.open_table(delivery::TABLE)?.iter()? {
        let (id, value) = entry?;
        let row = Row::decode(value.value())?;
        if let Some(token) = &row.token {
            let alias = Alias::token(&key, &row.channel, token);
            by_alias.insert((alias.0, id.value()), ())?;
            by_number.insert((id.value(), alias.0), ())?;
        }
    }
    Ok(())
}

/// Whether a file of this format can be brought to the one that is read.
pub(crate) fn is_known(found: u32) -> bool {
    found == meta::FORMAT || STEPS.iter().any(|step| step.from == found)
}

/// Brings a file to the format that is read.
pub(crate) fn run(database: &Database) -> Result<(), OpenError> {
    apply(database, STEPS)
}

fn apply(database: &Database, steps: &[Step]) -> Result<(), OpenError> {
    let found = open::format(database)?;
    for step in steps.iter().filter(|step| step.from >= found) {
        make(database, *step).map_err(OpenError::Read)?;
    }
    Ok(())
}

fn make(database: &Database, step: Step) -> Result<(), ReadError> {
    let mut tx = database.begin_write()?;
    tx.set_quick_repair(true);
    (step.apply)(&tx)?;
    let format = (step.from + 1).to_le_bytes();
    tx.open_table(meta::TABLE)?
        .insert(meta::FORMAT_NAME, format.as_slice())?;
    tx.commit()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use redb::backends::InMemoryBackend;
    use redb::{Builder, ReadableDatabase};

    use super::*;
    use crate::table::cursor;

    fn database(format: u32) -> Database {
        let backend = InMemoryBackend::new();
        let database = Builder::new().create_with_backend(backend).unwrap();
        let tx = database.begin_write().unwrap();
        tx.open_table(meta::TABLE)
            .unwrap()
            .insert(meta::FORMAT_NAME, format.to_le_bytes().as_slice())
            .unwrap();
        tx.open_table(cursor::TABLE).unwrap();
        tx.commit().unwrap();
        database
    }

    fn note(tx: &WriteTransaction, name: &'static str) -> Result<(), ReadError> {
        let mut table = tx.open_table(cursor::TABLE)?;
        table.insert(name, [1].as_slice())?;
        Ok(())
    }

    fn noted(database: &Database) -> Vec<String> {
        let tx = database.begin_read().unwrap();
        let table = tx.open_table(cursor::TABLE).unwrap();
        let names = table.iter().unwrap();
        names
            .map(|entry| entry.unwrap().0.value().to_owned())
            .collect()
    }

    const TWO: &[Step] = &[
        Step {
            from: 1,
            apply: |tx| note(tx, "from 1"),
        },
        Step {
            from: 2,
            apply: |tx| note(tx, "from 2"),
        },
    ];

    #[test]
    fn a_file_goes_through_the_steps_from_its_own_format_on() {
        for (found, expected) in [(1, &["from 1", "from 2"][..]), (2, &["from 2"]), (3, &[])] {
            let database = database(found);
            apply(&database, TWO).unwrap();
            assert_eq!(open::format(&database).unwrap(), 3);
            assert_eq!(noted(&database), expected);
        }
    }

    /// What was done before it stays, with its number, and is not done again.
    #[test]
    fn a_step_that_fails_changes_nothing() {
        let failing = [
            TWO[0],
            Step {
                from: 2,
                apply: |tx| {
                    note(tx, "half")?;
                    Err(Malformed("it cannot be read").into())
                },
            },
        ];
        let database = database(1);
        assert!(apply(&database, &failing).is_err());
        assert_eq!(open::format(&database).unwrap(), 2);
        assert_eq!(noted(&database), ["from 1"]);
        apply(&database, TWO).unwrap();
        assert_eq!(noted(&database), ["from 1", "from 2"]);
    }

    #[test]
    fn steps_lead_to_the_format_that_is_read() {
        let formats: Vec<_> = STEPS.iter().map(|step| step.from).collect();
        let first = formats.first().copied().unwrap_or(meta::FORMAT);
        assert_eq!(formats, (first..meta::FORMAT).collect::<Vec<_>>());
    }
}
