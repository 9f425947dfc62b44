//! `wharf get` and `wharf journal`

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

pub(crate) fn journal(arguments: &ById) -> Result<(), Failure> {
    let journal = client(&arguments.host).journal(&arguments.id)?;
    if arguments.json {
        return output::json(&journal);
    }
    let rows: Vec<Vec<String>> = journal
        .rows
        .iter()
        .map(|row| {
            vec![
                row.cursor.to_string(),
                row.at.clone(),
                row.channel.clone().unwrap_or_else(|| "-".to_owned()),
                step(row),
                row.cause.clone(),
                row.attempt
                    .as_ref()
                    .map_or_else(String::new, |a| format!("#{}", a.number)),
                row.attempt
                    .as_ref()
                    .map_or_else(String::new, |a| format!("{:.1} ms", a.duration_ms)),
                row.attempt
                    .as_ref()
                    .and_then(|a| a.reason.clone())
                    .unwrap_or_default(),
            ]
        })
        .collect();
    output::text(&output::table(
        &[
            "CURSOR", "AT", "CHANNEL", "STEP", "CAUSE", "ATTEMPT", "TOOK", "REASON",
        ],
        &rows,
    ))
}

/// `queued → delivered`, or only the status where there was none before.
pub(super) fn step(row: &RowView) -> String {
    match &row.from {
        Some(from) => format!("{from} → {}", row.to),
        None => row.to.clone(),
    }
}
