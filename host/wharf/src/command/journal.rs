//! `wharf journal`

use wharf_api::{JournalView, RowView};

use super::message::step;
use crate::arguments::Journal;
use crate::command::{client, page};
use crate::failure::Failure;
use crate::output;

pub(crate) fn journal(arguments: &Journal) -> Result<(), Failure> {
    let client = client(&arguments.host);
    let Some(id) = &arguments.id else {
        let note = arguments.note.as_deref().unwrap_or_default();
        let mut earlier_removed = false;
        let (rows, next) = page::gather(&arguments.page, |query| {
            let query: Vec<_> = query.iter().copied().chain([("note", note)]).collect();
            let page = client.search_journal(&query)?;
            earlier_removed |= page.earlier_removed;
            Ok((page.rows, page.next))
        })?;
        let journal = JournalView {
            rows,
            next,
            earlier_removed,
        };
        return tell(&journal, true, arguments.json);
    };
    if arguments.page.limit.is_some() || arguments.page.after.is_some() {
        return Err(Failure::usage("--limit and --after are for a search")
            .hint("the journal of one message is shown whole; search with --note"));
    }
    tell(&client.journal(id)?, false, arguments.json)
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
    if journal.earlier_removed {
        eprintln!("earlier rows were removed by retention");
    }
    page::tell_next(journal.next.as_ref());
    Ok(())
}

fn cells(row: &RowView, has_message: bool) -> Vec<String> {
    let attempt = row.attempt.as_ref();
    let mut cells = vec![row.cursor.to_string(), row.at.clone()];
    if has_message {
        cells.push(row.message.clone().unwrap_or_else(|| "-".to_owned()));
    }
    cells.extend([
        row.channel.clone().unwrap_or_else(|| "-".to_owned()),
        step(row),
        row.cause.clone(),
        attempt
            .filter(|a| a.number > 0)
            .map_or_else(String::new, |a| format!("#{}", a.number)),
        attempt.map_or_else(String::new, |a| format!("{:.1} ms", a.duration_ms)),
        attempt.and_then(|a| a.reason.clone()).unwrap_or_default(),
    ]);
    cells
}
