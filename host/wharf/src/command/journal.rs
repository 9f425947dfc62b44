//! `wharf journal`

use wharf_api::{JournalView, RowView};

use super::message::step;
use crate::arguments::Journal;
use crate::command::client;
use crate::failure::Failure;
use crate::output;

pub(crate) fn journal(arguments: &Journal) -> Result<(), Failure> {
    let client = client(&arguments.host);
    match (&arguments.id, &arguments.note) {
        (Some(id), _) => tell(&client.journal(id)?, false, arguments.json),
        (None, note) => {
            let limit = arguments.limit.to_string();
            let note = note.iter().map(|note| ("note", &**note));
            let after = arguments.after.iter().map(|after| ("after", &**after));
            let query: Vec<_> = note.chain(after).chain([("limit", &*limit)]).collect();
            tell(&client.search_journal(&query)?, true, arguments.json)
        }
    }
}

fn tell(journal: &JournalView, has_message: bool, json: bool) -> Result<(), Failure> {
    if json {
        return output::json(journal);
    }
    let mut head = vec!["CURSOR", "AT"];
    if has_message {
        head.push("MESSAGE");
    }
    head.extend(["CHANNEL", "STEP", "CAUSE", "ATTEMPT", "TOOK", "REASON"]);
    let rows: Vec<_> = journal
        .rows
        .iter()
        .map(|row| cells(row, has_message))
        .collect();
    output::text(&output::table(&head, &rows))?;
    if let Some(next) = &journal.next {
        eprintln!("there may be more: --after {next}");
    }
    Ok(())
}

fn cells(row: &RowView, has_message: bool) -> Vec<String> {
    let attempt = row.attempt.as_ref();
    let mut cells = vec![row.cursor.to_string(), row.at.clone()];
    if has_message {
        cells.push(row.message.clone());
    }
    cells.extend([
        row.channel.clone().unwrap_or_else(|| "-".to_owned()),
        step(row),
        row.cause.clone(),
        attempt.map_or_else(String::new, |a| format!("#{}", a.number)),
        attempt.map_or_else(String::new, |a| format!("{:.1} ms", a.duration_ms)),
        attempt.and_then(|a| a.reason.clone()).unwrap_or_default(),
    ]);
    cells
}
