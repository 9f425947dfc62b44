//! `wharf parked`

use wharf_api::{ParkedContent, ParkedView};

use crate::arguments::ListParked;
use crate::command::client;
use crate::failure::Failure;
use crate::output;

pub(crate) fn list(arguments: &ListParked) -> Result<(), Failure> {
    let limit = arguments.limit.to_string();
    let after = arguments.after.iter().map(|after| ("after", &**after));
    let query: Vec<_> = after.chain([("limit", &*limit)]).collect();
    let page = client(&arguments.host).parked(&query)?;
    if arguments.json {
        return output::json(&page);
    }
    let rows: Vec<_> = page
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
    if let Some(next) = &page.next {
        eprintln!("there may be more: --after {next}");
    }
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
