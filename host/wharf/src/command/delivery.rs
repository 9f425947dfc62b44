//! `wharf delivery`

use wharf_api::ListView;

use crate::arguments::List;
use crate::command::client;
use crate::failure::Failure;
use crate::output;

pub(crate) fn list(arguments: &List) -> Result<(), Failure> {
    let limit = arguments.limit.to_string();
    let query: Vec<_> = query(arguments, &limit).collect();
    let page = client(&arguments.host).deliveries(&query)?;
    tell(&page, arguments.json)
}

/// What a page is asked for with.
pub(super) fn query<'a>(
    list: &'a List,
    limit: &'a str,
) -> impl Iterator<Item = (&'static str, &'a str)> {
    let status = list.status.as_deref().map(|status| ("status", status));
    let channel = list.channel.as_deref().map(|name| ("channel", name));
    let after = list.after.as_deref().map(|after| ("after", after));
    [status, channel, after, Some(("limit", limit))]
        .into_iter()
        .flatten()
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
