//! `wharf dead-letter`

use wharf_api::{ChangedDelivery, ChangedView, RedriveInput};

use super::{cancel, delivery};
use crate::arguments::{List, Redrive};
use crate::command::client;
use crate::failure::Failure;
use crate::output;

/// What can be sent again. The server decides; a dry run foretells it.
const REDRIVABLE: [&str; 3] = ["dead", "rejected", "shed"];

pub(crate) fn list(arguments: &List) -> Result<(), Failure> {
    let limit = arguments.limit.to_string();
    let query: Vec<_> = delivery::query(arguments, &limit).collect();
    let page = client(&arguments.host).dead_letters(&query)?;
    delivery::tell(&page, arguments.json)
}

pub(crate) fn redrive(arguments: &Redrive) -> Result<(), Failure> {
    let client = client(&arguments.host);
    let changed = if arguments.dry_run {
        let message = client.message(&arguments.id)?;
        let wanted = |name: &str| arguments.channel.as_deref().is_none_or(|only| only == name);
        ChangedView {
            message: message.id,
            deliveries: message
                .deliveries
                .into_iter()
                .filter(|delivery| wanted(&delivery.channel))
                .map(|delivery| ChangedDelivery {
                    delivery: delivery.id,
                    result: match REDRIVABLE.contains(&delivery.status.as_str()) {
                        true => "would-change".to_owned(),
                        false => "unchanged".to_owned(),
                    },
                    channel: delivery.channel,
                    status: delivery.status,
                })
                .collect(),
        }
    } else {
        let input = RedriveInput {
            channel: arguments.channel.clone(),
            reconvert: arguments.reconvert,
            new_key: arguments.new_key,
        };
        client.redrive(&arguments.id, &input)?
    };
    if arguments.json {
        return output::json(&changed);
    }
    cancel::tell(&changed)
}
