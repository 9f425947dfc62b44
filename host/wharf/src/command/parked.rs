//! `wharf parked`

use wharf_api::{ParkedContent, ParkedListView, ParkedView};

use crate::arguments::ListParked;
use crate::command::{client, page};
use crate::failure::Failure;
use crate::output;

pub(crate) fn list(arguments: &ListParked) -> Result<(), Failure> {
    let client = client(&arguments.host);
    let (parked, next) = page::gather(&arguments.page, |query| {
        let page = client.parked(query)?;
        Ok((page.parked, page.next))
    })?;
    let found = ParkedListView { parked, next };
    if arguments.json {
        return output::json(&found);
    }
    let rows: Vec<_> = found
        .parked
        .iter()
        .map(|one| {
            vec![
                one.number.to_string(),
                one.at.clone(),
                one.source.clone(),
                about(one),
                one.reason.lines().next().unwrap_or_default().to_owned(),
            ]
        })
        .collect();
    let head = ["NUMBER", "AT", "SOURCE", "WHAT", "REASON"];
    output::text(&output::table(&head, &rows))?;
    page::tell_next(found.next.as_ref());
    Ok(())
}

/// What it is, in a few words.
fn about(parked: &ParkedView) -> String {
    match &parked.content {
        ParkedContent::Json(event) if event["message_id"].is_string() => {
            let text = |key: &str| event[key].as_str().unwrap_or_default().to_owned();
            format!("{} {}", text("message_id"), text("to_status"))
        }
        ParkedContent::Json(_) | ParkedContent::Base64(_) => parked.content_type.clone(),
    }
}
