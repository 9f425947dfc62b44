//! `wharf store backup`

use std::io::BufWriter;

use wharf_api::BackupError;

use super::bar::Bar;
use super::open::{self, Store};
use super::out::Out;
use crate::arguments::StoreBackup;
use crate::failure::Failure;

pub(super) fn run(arguments: &StoreBackup) -> Result<(), Failure> {
    let store = open::anywhere(&arguments.place, true)?;
    let out = Out::create(&arguments.out)?;
    match store {
        Store::File(file) => {
            let bar = Bar::new("copying");
            let copied = file.backup(out.file()?, &mut |progress| bar.tell(progress));
            bar.clear();
            copied.map_err(|cause| {
                Failure::failed(cause)
                    .context("no copy was made")
                    .hint("`wharf store check` says what of the store is wrong; a full disk is said above")
            })?;
        }
        Store::Host(client) => {
            let bar = Bar::of_bytes("the host makes a copy", None);
            let mut into = BufWriter::new(out.file()?);
            let fetched = client.backup(&mut into, |came, length| {
                bar.now("fetching");
                bar.tell_bytes_of(came, length);
            });
            bar.clear();
            fetched.map_err(failed)?;
            std::io::Write::flush(&mut into).map_err(|cause| failed(BackupError::Write(cause)))?;
        }
    }
    out.finish()?;
    eprintln!("{} is a whole copy", arguments.out.display());
    Ok(())
}

fn failed(cause: BackupError) -> Failure {
    let hint = match cause {
        BackupError::Client(cause) => return Failure::from(cause),
        BackupError::CutOff { .. } => "the host's log says whether it ended; try it again",
        BackupError::Mangled => {
            "try it again; something between the host and here changes what is sent"
        }
        BackupError::Write(_) => "make room on the disk, or name a file on another one",
    };
    Failure::failed(cause).hint(hint)
}
