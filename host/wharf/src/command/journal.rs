//! `wharf journal`

use wharf_api::{Client, JournalView, RowView};

use super::message::step;
use crate::arguments::Journal;
use crate::command::client;
use crate::failure::Failure;
use crate::output;

/// Rows that the host gives at once.
const PAGE_ROWS_MAX: usize = 1000;

pub(crate) fn journal(arguments: &Journal) -> Result<(), Failure> {
    let client = client(&arguments.host);
    match (&arguments.id, &arguments.note) {
        (Some(id), _) => tell(&client.journal(id)?, false, arguments.json),
        (None, note) => {
            let note = note.as_deref().unwrap_or_default();
            tell(&search(&client, note, arguments)?, true, arguments.json)
        }
    }
}

/// Asks for page after page until there are as many rows as were asked for: a page may be short, or even empty, and not
/// be the last one.
fn search(client: &Client, note: &str, arguments: &Journal) -> Result<JournalView, Failure> {
    let wanted = arguments.limit as usize;
    let mut found = JournalView {
        rows: Vec::new(),
        next: arguments.after.clone(),
    };
    loop {
        let limit = wanted.saturating_sub(found.rows.len()).min(PAGE_ROWS_MAX);
        let limit = limit.to_string();
        let after = found.next.take();
        let after = after.iter().map(|after| ("after", &**after));
        let query: Vec<_> = after.chain([("note", note), ("limit", &*limit)]).collect();
        let page = client.search_journal(&query)?;
        found.rows.extend(page.rows);
        found.next = page.next;
        if found.next.is_none() || found.rows.len() >= wanted {
            return Ok(found);
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
