//! `wharf store export`

use std::io::{BufWriter, Write};
use std::path::Path;

use wharf_server::store_file::{ExportError, StoreFile};

use super::bar::Bar;
use super::open;
use super::out::Out;
use crate::arguments::StoreExport;
use crate::failure::Failure;

/// How much is gathered before it is written.
const PIECE_BYTES: usize = 256 << 10;

pub(super) fn run(arguments: &StoreExport) -> Result<(), Failure> {
    let path = open::path(&arguments.file)?;
    let file = open::file(&path, true)?;
    if arguments.out == Path::new("-") {
        return export(&file, std::io::stdout().lock());
    }
    let out = Out::create(&arguments.out)?;
    export(&file, out.file()?)?;
    out.finish()
}

fn export(file: &StoreFile, out: impl Write) -> Result<(), Failure> {
    let bar = Bar::new("exporting");
    let mut out = BufWriter::with_capacity(PIECE_BYTES, out);
    let exported = file.export(&mut out, &mut |progress| bar.tell(progress));
    bar.clear();
    exported.map_err(|cause| match cause {
        ExportError::Write(cause) => Failure::output(cause),
        cause @ (ExportError::Read(_) | ExportError::Unreadable { .. }) => Failure::failed(cause)
            .context(format!("{} is damaged", file.path().display()))
            .hint("`wharf store check` says all that is wrong; export a backup"),
    })
}
