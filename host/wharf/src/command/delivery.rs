//! `wharf delivery`

use wharf_api::{ClientError, ListView};

use crate::arguments::List;
use crate::command::client;
use crate::failure::Failure;
use crate::output;

/// Entries that the host gives at once.
const PAGE_ENTRIES_MAX: usize = 1000;

pub(crate) fn list(arguments: &List) -> Result<(), Failure> {
    let client = client(&arguments.host);
    let found = gather(arguments, |query| client.deliveries(query))?;
    tell(&found, arguments.json)
}

/// Asks for page after page until there are as many entries as were asked for: a page may be short, or even empty, and
/// not be the last one.
pub(super) fn gather(
    list: &List,
    ask: impl Fn(&[(&str, &str)]) -> Result<ListView, ClientError>,
) -> Result<ListView, Failure> {
    let wanted = list.limit as usize;
    let mut found = ListView {
        entries: Vec::new(),
        unreadable: 0,
        next: list.after.clone(),
    };
    loop {
        let limit = wanted
            .saturating_sub(found.entries.len())
            .min(PAGE_ENTRIES_MAX);
        let limit = limit.to_string();
        let after = found.next.take();
        let status = list.status.as_deref().map(|status| ("status", status));
        let channel = list.channel.as_deref().map(|name| ("channel", name));
        let after = after.as_deref().map(|after| ("after", after));
        let query = [status, channel, after, Some(("limit", &*limit))];
        let page = ask(&query.into_iter().flatten().collect::<Vec<_>>())?;
        found.entries.extend(page.entries);
        found.unreadable += page.unreadable;
        found.next = page.next;
        if found.next.is_none() || found.entries.len() >= wanted {
            return Ok(found);
        }
    }
}

/// A page, in columns.
pub(super) fn tell(page: &ListView, json: bool) -> Result<(), Failure> {
    if json {
        return output::json(page);
    }
    let dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let rows: Vec<Vec<String>> = page
        .entries
        .iter()
        .map(|entry| {
            vec![
                entry.message.clone(),
                dash(&entry.channel),
                entry.status.clone(),
                entry.attempts.to_string(),
                entry.changed_at.clone(),
                entry.cause.clone(),
                dash(&entry.due),
                match (&entry.code, &entry.reason) {
                    (Some(code), Some(reason)) => format!("{code}: {reason}"),
                    (Some(text), None) | (None, Some(text)) => text.clone(),
                    (None, None) => String::new(),
                },
            ]
        })
        .collect();
    output::text(&output::table(
        &[
            "MESSAGE", "CHANNEL", "STATUS", "ATTEMPTS", "SINCE", "CAUSE", "DUE", "WHY",
        ],
        &rows,
    ))?;
    if page.unreadable > 0 {
        eprintln!(
            "{} damaged and left out; the host's log says what",
            page.unreadable
        );
    }
    if let Some(next) = &page.next {
        eprintln!("there may be more: --after {next}");
    }
    Ok(())
}
