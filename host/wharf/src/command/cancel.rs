//! `wharf cancel`

use wharf_api::ChangedView;

use crate::arguments::ById;
use crate::command::client;
use crate::failure::Failure;
use crate::output;

pub(crate) fn run(arguments: &ById) -> Result<(), Failure> {
    let changed = client(&arguments.host).cancel(&arguments.id)?;
    if arguments.json {
        return output::json(&changed);
    }
    tell(&changed)
}

/// What became of each delivery, in columns.
pub(super) fn tell(changed: &ChangedView) -> Result<(), Failure> {
    let rows: Vec<Vec<String>> = changed
        .deliveries
        .iter()
        .map(|delivery| {
            vec![
                delivery.channel.clone(),
                delivery.result.as_str().to_owned(),
                delivery.status.clone(),
            ]
        })
        .collect();
    output::text(&output::table(&["CHANNEL", "RESULT", "STATUS"], &rows))
}
