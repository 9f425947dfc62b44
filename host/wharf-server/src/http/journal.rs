//! Showing the journal: of one message, or all of it, searched for what plugins noted.

use std::sync::Arc;

use axum::Json;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use wharf_api::{AttemptView, GapView, HookView, JournalView, RowView};
use wharf_core::{Cursor, DeliveryId, MessageId, journal};
use wharf_store::{JournalEntry, MessageView, ReadError, Store};

use super::App;
use super::input::{LIST_ENTRIES_DEFAULT, invalid, limit};
use super::messages::{known_id, no_message};
use super::problem::{Answer, read};
use crate::limits::{EVENTS_BYTES_MAX, JOURNAL_ROWS_SEARCHED_MAX};

/// Rows that are read at once.
const ROWS_PER_PAGE: usize = 1024;

/// `GET /v1/messages/{id}/journal`
pub(super) async fn of_message(
    State(app): State<Arc<App>>,
    id: Result<Path<String>, PathRejection>,
) -> Result<Json<JournalView>, Answer> {
    let id = known_id(id)?;
    let wanted = id.clone();
    let store = app.store.clone();
    let (view, rows) = read(move || {
        let view = store.get(&wanted);
        view.and_then(|view| Ok((view, store.journal_of(&wanted)?)))
    })
    .await?;
    let Some(view) = view else {
        return Err(no_message(&app, &id).await);
    };
    let earlier_removed = is_cut(&view, &rows);
    let channel_of = |delivery: DeliveryId| {
        view.deliveries
            .iter()
            .find(|d| d.id == delivery)
            .map(|d| d.channel.to_string())
    };
    let rows = rows
        .iter()
        .map(|row| row_view(row, Some(&id), channel_of))
        .collect();
    Ok(Json(JournalView {
        rows,
        next: None,
        earlier_removed,
    }))
}

/// `GET /v1/journal`: the rows that have a note, the oldest first, a page at a time.
pub(super) async fn search(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
) -> Result<Json<JournalView>, Answer> {
    let search = Search::of(query.as_deref())?;
    Ok(Json(read(move || search.run(&app.store)).await?))
}

/// What is searched for.
#[derive(Debug, PartialEq, Eq)]
struct Search {
    /// A note's name and, where that is given, its value. Every row, where there is none.
    note: Option<(String, Option<String>)>,
    after: Cursor,
    limit: usize,
}

impl Search {
    fn of(query: Option<&str>) -> Result<Self, wharf_api::Problem> {
        let mut search = Self {
            note: None,
            after: Cursor(0),
            limit: LIST_ENTRIES_DEFAULT,
        };
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            match &*name {
                "note" => {
                    search.note = Some(match value.split_once('=') {
                        Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                        None => (value.into_owned(), None),
                    });
                }
                "after" => {
                    let why = "it takes what the page before gave as `next`, or a cursor";
                    let cursor = value.parse().map_err(|_| invalid("after", why))?;
                    search.after = Cursor(cursor);
                }
                "limit" => search.limit = limit(&value)?,
                _ => return Err(invalid(&name, "there are note, after, limit")),
            }
        }
        Ok(search)
    }

    /// Reads until there are enough rows, the journal ends, or the work of one request is done.
    fn run(&self, store: &Store) -> Result<JournalView, ReadError> {
        let mut rows = Vec::new();
        let mut after = self.after;
        let earlier_removed = after.0 + 1 < store.stats().space.journal_from.0;
        let mut left = JOURNAL_ROWS_SEARCHED_MAX;
        while left > 0 && rows.len() < self.limit {
            let page = store.journal(after, ROWS_PER_PAGE.min(left), EVENTS_BYTES_MAX)?;
            if page.end == after {
                return Ok(JournalView {
                    rows,
                    next: None,
                    earlier_removed,
                });
            }
            left = left.saturating_sub((page.end.0 - after.0) as usize);
            after = page.end;
            for entry in page.entries.iter().filter(|entry| self.has(entry)) {
                rows.push(entry_view(entry));
                if rows.len() == self.limit {
                    after = entry.row.cursor;
                    break;
                }
            }
        }
        Ok(JournalView {
            rows,
            earlier_removed,
            next: Some(after.0.to_string()),
        })
    }

    fn has(&self, entry: &JournalEntry) -> bool {
        let Some((name, value)) = &self.note else {
            return true;
        };
        let attempt = entry.row.attempt.as_ref();
        attempt.is_some_and(|attempt| {
            let mut notes = attempt.notes.iter();
            notes.any(|(key, noted)| {
                key == name && value.as_ref().is_none_or(|value| value == noted)
            })
        })
    }
}

/// Whether rows about a message are missing that were there once: one points back to it, or a delivery has it for its last.
fn is_cut(view: &MessageView, rows: &[journal::Row]) -> bool {
    let is_missing = |cursor: Cursor| {
        rows.binary_search_by_key(&cursor, |row| row.cursor)
            .is_err()
    };
    let mut previous = rows.iter().filter_map(|row| row.previous);
    let mut last = view.deliveries.iter().map(|delivery| delivery.last);
    rows.is_empty() || previous.any(is_missing) || last.any(is_missing)
}

fn entry_view(entry: &JournalEntry) -> RowView {
    let planned = entry.planned.as_ref();
    row_view(&entry.row, entry.message.as_ref(), |_| {
        planned.map(|planned| planned.channel.to_string())
    })
}

/// A journal row as the API shows it.
fn row_view(
    row: &journal::Row,
    message: Option<&MessageId>,
    channel_of: impl Fn(DeliveryId) -> Option<String>,
) -> RowView {
    let (delivery, from, to) = match row.subject {
        journal::Subject::Delivery { id, from, to } => {
            (Some(id), from.map(|s| s.to_string()), to.to_string())
        }
        journal::Subject::Message { standing, .. } => (None, None, standing.to_string()),
        journal::Subject::Gap { .. } => (None, None, "gap".to_owned()),
    };
    let gap = match row.subject {
        journal::Subject::Gap { first, last } => Some(GapView {
            first: first.0,
            last: last.0,
        }),
        journal::Subject::Delivery { .. } | journal::Subject::Message { .. } => None,
    };
    RowView {
        cursor: row.cursor.0,
        at: row.at.to_string(),
        message: message.map(MessageId::to_string),
        delivery: delivery.map(|d| d.0),
        channel: delivery.and_then(channel_of),
        from,
        to,
        gap,
        cause: row.cause.to_string(),
        due: row.due.map(|t| t.to_string()),
        attempt: row.attempt.as_deref().map(|attempt| AttemptView {
            number: attempt.number,
            started_at: attempt.started_at.to_string(),
            duration_ms: attempt.duration_us as f64 / 1000.0,
            code: attempt.code.clone(),
            reason: attempt.reason.clone(),
            effect: attempt.effect.map(|effect| {
                match effect {
                    wharf_core::outcome::Effect::None => "none",
                    wharf_core::outcome::Effect::Unknown => "unknown",
                }
                .to_owned()
            }),
            reference: attempt.reference.clone(),
            body_sha256: attempt.body_sha256.map(hex::encode),
            hooks: attempt.hooks.iter().map(hook_view).collect(),
            notes: attempt.notes.clone(),
        }),
    }
}

fn hook_view(run: &journal::HookRun) -> HookView {
    HookView {
        hook: run.hook.to_string(),
        digest: hex::encode(run.digest),
        duration_ms: run.duration_us as f64 / 1000.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(query: &str, note: Option<(&str, Option<&str>)>, after: u64, limit: usize) {
        let own = |text: &str| text.to_owned();
        let expected = Search {
            note: note.map(|(name, value)| (own(name), value.map(own))),
            after: Cursor(after),
            limit,
        };
        assert_eq!(Search::of(Some(query)).unwrap(), expected, "{query}");
    }

    #[test]
    fn a_query_names_a_note_and_a_page() {
        check("", None, 0, 100);
        check("note=http-status", Some(("http-status", None)), 0, 100);
        let with_value = Some(("http-status", Some("503")));
        check("note=http-status%3D503&after=7&limit=3", with_value, 7, 3);
        check("note=k=a%3Db", Some(("k", Some("a=b"))), 0, 100);
        check("note=k%3D", Some(("k", Some(""))), 0, 100);
        for query in ["after=x", "limit=0", "nite=a"] {
            let (name, _) = query.split_once('=').unwrap();
            let problem = Search::of(Some(query)).unwrap_err().to_string();
            assert!(problem.contains(name), "{query}: {problem}");
        }
    }
}
