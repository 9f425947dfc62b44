//! `wharf delivery`

use wharf_api::{ClientError, ListView};

use crate::arguments::List;
use crate::command::{client, page};
use crate::failure::Failure;
use crate::output;

pub(crate) fn list(arguments: &List) -> Result<(), Failure> {
    let client = client(&arguments.host);
    let found = gather(arguments, |query| client.deliveries(query))?;
    tell(&found, arguments.json)
}

/// What a list has of the statuses and the channel that were asked for.
pub(super) fn gather(
    list: &List,
    ask: impl Fn(&[(&str, &str)]) -> Result<ListView, ClientError>,
) -> Result<ListView, Failure> {
    let status = list.status.as_deref().map(|status| ("status", status));
    let channel = list.channel.as_deref().map(|name| ("channel", name));
    let mut unreadable = 0;
    let (entries, next) = page::gather(&list.page, |query| {
        let narrowed = status.into_iter().chain(channel);
        let page = ask(&narrowed.chain(query.iter().copied()).collect::<Vec<_>>())?;
        unreadable += page.unreadable;
        Ok((page.entries, page.next))
    })?;
    Ok(ListView {
        entries,
        unreadable,
        next,
    })
}

/// A list, in columns.
pub(super) fn tell(list: &ListView, json: bool) -> Result<(), Failure> {
    if json {
        return output::json(list);
    }
    let dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let rows: Vec<Vec<String>> = list
        .entries
        .iter()
        .map(|entry| {
            vec![
                entry.message.clone(),
                dash(&entry.channel),
                entry.status.clone(),
                entry.attempts.to_string(),
                dash(&entry.changed_at),
                dash(&entry.cause),
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
    if list.unreadable > 0 {
        eprintln!(
            "{} damaged and left out; the host's log says what",
            list.unreadable
        );
    }
    if list.entries.is_empty() && list.next.is_none() {
        eprintln!("there are none");
    }
    page::tell_next(list.next.as_ref());
    Ok(())
}
