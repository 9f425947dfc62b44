//! Making a store of an export.
//!
//! The file is made under another name and checked as a whole before it gets its own: what is no consistent store never
//! looks like one. Everything keeps its number.

use std::io::{self, BufRead, Read as _};
use std::path::{Path, PathBuf};

use redb::Database;

use super::line::{self, Header, Line};
use super::write::{Target, Writer};
use crate::check::Report;
use crate::error::{CheckError, FileError, OpenError, ReadError};
use crate::limits::{IMPORT_COMMIT_BYTES, IMPORT_LINE_BYTES_MAX};
use crate::maintain::StoreFile;
use crate::maintain::progress::Progress;
use crate::open;
use crate::options::Options;
use crate::transaction::Transaction;

/// Why an export was not imported. No file is left of it.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The new file is there already.
    #[error("{} is there already: name a file that is not", .0.display())]
    Exists(PathBuf),
    /// The input could not be read.
    #[error("the export could not be read after line {line}")]
    Input {
        /// The last line that was read.
        line: u64,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A line is not what it should be.
    #[error("line {line}: {}{detail}", .field.as_ref().map(|field| format!("{field}: ")).unwrap_or_default())]
    Line {
        /// Its number, from 1.
        line: u64,
        /// The field that is wrong, where it is about one.
        field: Option<String>,
        /// What is wrong with it.
        detail: String,
    },
    /// The new file could not be made.
    #[error("cannot make the new store")]
    Create(#[from] OpenError),
    /// The new file could not be written.
    #[error("the new store could not be written")]
    Write(#[source] FileError),
    /// What was read makes no consistent store.
    #[error("what the export says does not fit together")]
    Check(#[from] CheckError),
}

/// Where an import is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportStage {
    /// So many bytes of the input were read.
    Reading(u64),
    /// The new file is checked.
    Checking(Progress),
}

/// Makes a store in a new file of what an export says, and checks it.
pub fn import(
    input: &mut dyn BufRead,
    path: &Path,
    options: &Options,
    told: &mut dyn FnMut(ImportStage),
) -> Result<Report, ImportError> {
    let in_path = |source| OpenError::Io {
        path: path.to_owned(),
        source,
    };
    if path.try_exists().map_err(in_path)? {
        return Err(ImportError::Exists(path.to_owned()));
    }
    let mut lines = Lines::new(input);
    let header = header(&mut lines)?;
    let options = &Options {
        id_key: header.ids_secret.0,
        ..options.clone()
    };
    let mut report = None;
    let is_new = open::create_as(path, |temporary| {
        open::make(temporary, path, options)?;
        let database = open::builder(options.cache_bytes, |_| {})
            .open(temporary)
            .map_err(|cause| open::open_error(cause, path))?;
        read_into(&mut lines, &header, &database, options, told)?;
        database.close().map_err(write)?;
        let file = StoreFile::open(temporary, options.cache_bytes, false, |_| {})?;
        let checked = file.check(options.id_filter_bytes_max, &mut |progress| {
            told(ImportStage::Checking(progress));
        })?;
        report = Some(checked);
        Ok::<(), ImportError>(())
    })?;
    // Another process was faster.
    let report = report.filter(|_| is_new);
    report.ok_or_else(|| ImportError::Exists(path.to_owned()))
}

fn read_into(
    lines: &mut Lines<'_>,
    header: &Header,
    database: &Database,
    options: &Options,
    told: &mut dyn FnMut(ImportStage),
) -> Result<(), ImportError> {
    let mut target = Target::new(database, options, header).map_err(stored)?;
    let mut is_through = false;
    while !is_through {
        let tx = Transaction::checkpoint(database).map_err(stored)?;
        let mut writer = Writer::begin(&tx, &mut target).map_err(stored)?;
        while writer.bytes() < IMPORT_COMMIT_BYTES {
            let Some(line) = lines.next()? else {
                is_through = true;
                break;
            };
            take(&mut writer, line, lines)?;
        }
        let effects = writer.finish().map_err(stored)?;
        tx.commit_without_log().map_err(stored)?;
        target.reflect(effects);
        told(ImportStage::Reading(lines.bytes));
    }
    let missing = target.missing(header);
    missing.map_or(Ok(()), |detail| Err(lines.wrong(None, detail)))
}

fn header(lines: &mut Lines<'_>) -> Result<Header, ImportError> {
    let header = match lines.next()? {
        Some(Line::Header(header)) if header.format == line::FORMAT => header,
        _ => {
            return Err(lines.wrong(None, "it is no header of a wharf export".to_owned()));
        }
    };
    if header.version != line::VERSION {
        let detail = format!(
            "it is {}, written by {}; this version of wharf reads {}",
            header.version,
            header.written_by,
            line::VERSION
        );
        return Err(lines.wrong(Some("header.version"), detail));
    }
    // What tails and delivery numbers have room for.
    let limits = [
        ("header.next_message", header.next_message.0, 1 << 48),
        (
            "header.first_message",
            header.first_message.0,
            header.next_message.0 + 1,
        ),
        ("header.next_row", header.next_row.0, 1 << 56),
        (
            "header.first_row",
            header.first_row.0,
            header.next_row.0 + 1,
        ),
    ];
    for (field, number, end) in limits {
        if !(1..end).contains(&number) {
            let detail = format!("it is {number}; it takes 1 to {}", end - 1);
            return Err(lines.wrong(Some(field), detail));
        }
    }
    Ok(header)
}

/// One line, with the deliveries of a message.
fn take(writer: &mut Writer<'_>, line: Line, lines: &mut Lines<'_>) -> Result<(), ImportError> {
    let taken = match line {
        Line::Message(message) => {
            let count = message.deliveries;
            let mut begun = writer
                .message(*message)
                .map_err(|cause| lines.refused(cause))?;
            while begun.place() < count {
                let Some(Line::Delivery(delivery)) = lines.next()? else {
                    let detail = format!("delivery {} of a message should be here", begun.place());
                    return Err(lines.wrong(None, detail));
                };
                let taken = writer.delivery(&mut begun, *delivery);
                taken.map_err(|cause| lines.refused(cause))?;
            }
            writer.end_message(begun)
        }
        Line::Removed(removed) => writer.removed(&removed),
        Line::Row(row) => writer.row(*row),
        Line::Cursor(cursor) => writer.cursor(&cursor),
        Line::Value(value) => writer.value(&value),
        Line::Parked(parked) => writer.parked(parked),
        Line::Header(_) => Err(Refused::field("header", "it comes once, in the first line")),
        Line::Delivery(_) => Err(Refused::field(
            "delivery",
            "it belongs behind its message, which has as many as it says already",
        )),
    };
    taken.map_err(|cause| lines.refused(cause))
}

/// Why a line was not taken.
pub(super) enum Refused {
    /// Something that it says.
    Field(&'static str, String),
    /// The file did not take it.
    Store(ReadError),
}

impl Refused {
    pub(super) fn field(field: &'static str, detail: impl Into<String>) -> Self {
        Self::Field(field, detail.into())
    }
}

impl<E: Into<ReadError>> From<E> for Refused {
    fn from(cause: E) -> Self {
        Self::Store(cause.into())
    }
}

fn write(cause: impl Into<FileError>) -> ImportError {
    ImportError::Write(cause.into())
}

/// What cannot be read of a file that is being written was written wrongly.
fn stored(cause: ReadError) -> ImportError {
    match cause {
        ReadError::File(cause) => ImportError::Write(cause),
        cause @ (ReadError::Closed | ReadError::Malformed(_)) => {
            ImportError::Check(CheckError::Read(cause))
        }
    }
}

/// The input, line by line.
struct Lines<'a> {
    input: &'a mut dyn BufRead,
    text: Vec<u8>,
    /// The last line that was read, from 1.
    number: u64,
    bytes: u64,
}

impl<'a> Lines<'a> {
    fn new(input: &'a mut dyn BufRead) -> Self {
        Self {
            input,
            text: Vec::new(),
            number: 0,
            bytes: 0,
        }
    }

    /// The next line; none at the end.
    fn next(&mut self) -> Result<Option<Line>, ImportError> {
        self.text.clear();
        let read = (&mut *self.input)
            .take(IMPORT_LINE_BYTES_MAX)
            .read_until(b'\n', &mut self.text);
        let count = read.map_err(|source| ImportError::Input {
            line: self.number,
            source,
        })?;
        if count == 0 {
            return Ok(None);
        }
        self.number += 1;
        self.bytes += count as u64;
        if self.text.last() != Some(&b'\n') {
            let detail = if count as u64 == IMPORT_LINE_BYTES_MAX {
                format!("it has more than {IMPORT_LINE_BYTES_MAX} bytes")
            } else {
                "it is cut off".to_owned()
            };
            return Err(self.wrong(None, detail));
        }
        let mut json = serde_json::Deserializer::from_slice(&self.text);
        let line = serde_path_to_error::deserialize(&mut json);
        line.map(Some).map_err(|cause| {
            let path = cause.path().to_string();
            let field = Some(path).filter(|path| path != "." && path != "?");
            ImportError::Line {
                line: self.number,
                field,
                detail: cause.into_inner().to_string(),
            }
        })
    }

    fn wrong(&self, field: Option<&str>, detail: String) -> ImportError {
        ImportError::Line {
            line: self.number,
            field: field.map(str::to_owned),
            detail,
        }
    }

    fn refused(&self, cause: Refused) -> ImportError {
        match cause {
            Refused::Field(field, detail) => self.wrong(Some(field), detail),
            Refused::Store(cause) => stored(cause),
        }
    }
}

/// What is expected next, for errors.
pub(super) fn expected(what: &str, found: u64, expected: u64) -> String {
    format!("it is {what} {found}, {expected} should be next")
}
