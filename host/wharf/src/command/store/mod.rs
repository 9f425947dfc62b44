//! `wharf store`: what is done to a store's file as a whole.

mod backup;
mod bar;
mod check;
mod compact;
mod export;
mod import;
mod open;
mod out;
mod stat;

use crate::arguments::Store;
use crate::failure::Failure;

pub(super) use open::hint;

pub(super) fn run(arguments: Store) -> Result<(), Failure> {
    match arguments {
        Store::Stat(arguments) => stat::run(&arguments),
        Store::Check(arguments) => check::run(&arguments),
        Store::Compact(arguments) => compact::run(&arguments),
        Store::Backup(arguments) => backup::run(&arguments),
        Store::Export(arguments) => export::run(&arguments),
        Store::Import(arguments) => import::run(&arguments),
    }
}
