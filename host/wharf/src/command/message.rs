//! `wharf get`

use wharf_api::RowView;

use crate::arguments::ById;
use crate::command::client;
use crate::failure::Failure;
use crate::output;

pub(crate) fn get(arguments: &ById) -> Result<(), Failure> {
    let message = client(&arguments.host).message(&arguments.id)?;
    if arguments.json {
        return output::json(&message);
    }
    let mut text = format!(
        "{}  {}\naccepted  {}\npayload   {} bytes\n",
        message.id, message.status, message.accepted_at, message.payload_bytes
    );
    for (key, value) in &message.attributes {
        text.push_str(&format!("attribute {key} = {value}\n"));
    }
    for (name, value) in &message.headers {
        text.push_str(&format!("header    {name}: {value}\n"));
    }
    let rows: Vec<Vec<String>> = message
        .deliveries
        .iter()
        .map(|delivery| {
            vec![
                delivery.channel.clone(),
                delivery.status.clone(),
                delivery.attempts.to_string(),
                delivery.due.clone().unwrap_or_else(|| "-".to_owned()),
                delivery.route.clone(),
            ]
        })
        .collect();
    if !rows.is_empty() {
        text.push('\n');
        text.push_str(&output::table(
            &["CHANNEL", "STATUS", "ATTEMPTS", "DUE", "ROUTE"],
            &rows,
        ));
    }
    output::text(&text)
}

/// `queued → delivered`, or only the status where there was none before.
pub(super) fn step(row: &RowView) -> String {
    match &row.from {
        Some(from) => format!("{from} → {}", row.to),
        None => row.to.clone(),
    }
}
