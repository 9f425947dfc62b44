//! `wharf dead-letter`

use wharf_api::RedriveInput;

use super::{cancel, delivery};
use crate::arguments::{List, Redrive};
use crate::command::client;
use crate::failure::Failure;
use crate::output;

pub(crate) fn list(arguments: &List) -> Result<(), Failure> {
    let limit = arguments.limit.to_string();
    let query: Vec<_> = delivery::query(arguments, &limit).collect();
    let page = client(&arguments.host).dead_letters(&query)?;
    delivery::tell(&page, arguments.json)
}

pub(crate) fn redrive(arguments: &Redrive) -> Result<(), Failure> {
    let input = RedriveInput {
        channel: arguments.channel.clone(),
        reconvert: arguments.reconvert,
        new_key: arguments.new_key,
        dry_run: arguments.dry_run,
    };
    let changed = client(&arguments.host).redrive(&arguments.id, &input)?;
    if arguments.json {
        return output::json(&changed);
    }
    cancel::tell(&changed)
}
