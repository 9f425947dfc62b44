//! What operators' requests say: a small JSON object as the body, or the query of a list.

use axum::extract::Request;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use wharf_api::{Problem, ProblemCode};
use wharf_core::{ChannelName, DeliveryId, Standing, Status};
use wharf_store::{Filter, LIST_ENTRIES_MAX};

use super::body::collect;
use super::form::only_json;
use super::problem::Answer;
use crate::limits::OPERATOR_BODY_BYTES_MAX;

/// Entries of a page where the query does not say: what a person looks through.
pub(super) const LIST_ENTRIES_DEFAULT: usize = 100;

/// The body of a request that says nothing.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

/// The body of a request that changes something, as JSON; an empty one says nothing. The content type must be there all
/// the same: no page of another site can have a browser send that, to a listener that takes no token.
pub(super) async fn input<T: DeserializeOwned + Default>(request: Request) -> Result<T, Answer> {
    input_up_to(request, OPERATOR_BODY_BYTES_MAX).await
}

/// The same, of a body that may be larger.
pub(super) async fn input_up_to<T: DeserializeOwned + Default>(
    request: Request,
    bytes_max: usize,
) -> Result<T, Answer> {
    let (head, body) = request.into_parts();
    only_json(&head.headers)?;
    let body = collect(&head.headers, body, bytes_max).await?;
    let text = body.trim_ascii();
    if text.is_empty() {
        return Ok(T::default());
    }
    // Derived code would also take an array, as the fields in their order.
    if !text.starts_with(b"{") {
        let why = "the body is no JSON object";
        return Err(Problem::new(ProblemCode::MalformedBody, why).into());
    }
    serde_json::from_slice(text).map_err(|error| {
        let code = match error.classify() {
            serde_json::error::Category::Data => ProblemCode::InvalidField,
            _ => ProblemCode::MalformedBody,
        };
        Problem::new(code, error.to_string()).into()
    })
}

/// A page that is asked for.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) filter: Filter,
    pub(super) after: Option<DeliveryId>,
    pub(super) limit: usize,
}

impl Wanted {
    /// The first page of all that stands at one of these.
    pub(super) fn all(statuses: &[Status], standings: &[Standing]) -> Self {
        Self {
            filter: Filter {
                statuses: statuses.to_vec(),
                standings: standings.to_vec(),
                channel: None,
            },
            after: None,
            limit: LIST_ENTRIES_DEFAULT,
        }
    }

    /// What a query asks for of what stands at one of these.
    pub(super) fn of(
        query: Option<&str>,
        statuses: &[Status],
        standings: &[Standing],
    ) -> Result<Self, Problem> {
        let mut wanted = Self::all(statuses, standings);
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            match &*name {
                "status" => wanted.narrow(&value)?,
                "channel" => wanted.filter.channel = Some(ChannelName::new(&value)),
                "after" => wanted.after(&value)?,
                "limit" => wanted.limit = limit(&value)?,
                _ => {
                    let why = "there are status, channel, after, limit";
                    return Err(invalid(&name, why));
                }
            }
        }
        Ok(wanted)
    }

    /// Keeps what is named, a word each with commas between.
    pub(super) fn narrow(&mut self, words: &str) -> Result<(), Problem> {
        let Filter {
            statuses,
            standings,
            ..
        } = &mut self.filter;
        let words: Vec<_> = words.split(',').map(str::trim).collect();
        let known = statuses.iter().map(|status| status.as_str());
        let known = known.chain(standings.iter().map(|standing| standing.as_str()));
        let known: Vec<_> = known.collect();
        if let Some(unknown) = words.iter().find(|word| !known.contains(word)) {
            let known = known.join(", ");
            let why = format!("there is no {unknown:?} here; there are {known}");
            return Err(invalid("status", why));
        }
        statuses.retain(|one| words.contains(&one.as_str()));
        standings.retain(|one| words.contains(&one.as_str()));
        Ok(())
    }

    /// Goes on where a page ended.
    pub(super) fn after(&mut self, next: &str) -> Result<(), Problem> {
        self.after = Some(DeliveryId(place(next)?));
        Ok(())
    }
}

/// Where a page begins, as the one before said it.
pub(super) fn place(next: &str) -> Result<u64, Problem> {
    let why = "it takes what the page before gave as `next`";
    next.parse().map_err(|_| invalid("after", why))
}

/// As many entries as a page may have.
pub(super) fn limit(text: &str) -> Result<usize, Problem> {
    bounded(text.parse().unwrap_or(0))
}

pub(super) fn bounded(limit: usize) -> Result<usize, Problem> {
    if !(1..=LIST_ENTRIES_MAX).contains(&limit) {
        let why = format!("it takes a number of 1 to {LIST_ENTRIES_MAX}");
        return Err(invalid("limit", why));
    }
    Ok(limit)
}

pub(super) fn invalid(field: &str, why: impl std::fmt::Display) -> Problem {
    Problem::new(ProblemCode::InvalidField, format!("{field}: {why}")).field(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(query: &str, expected: &str) {
        let statuses = [Status::Dead, Status::Shed];
        let found = match Wanted::of(Some(query), &statuses, &[Standing::Unroutable]) {
            Ok(Wanted {
                filter,
                after,
                limit,
            }) => format!(
                "{:?} {:?} {:?} {after:?} {limit}",
                filter.statuses, filter.standings, filter.channel
            ),
            Err(problem) => problem.to_string(),
        };
        assert!(found.contains(expected), "{query:?}: {found}");
    }

    #[test]
    fn a_query_narrows_what_is_listed() {
        check("", "[Dead, Shed] [Unroutable] None None 100");
        check("status=shed", "[Shed] [] None");
        check("status=unroutable%2C+dead", "[Dead] [Unroutable]");
        let known = "there are dead, shed, unroutable";
        check(
            "status=delivered",
            &format!("no \"delivered\" here; {known}"),
        );
        check("status=", &format!("no \"\" here; {known}"));
        check(
            "channel=a&limit=7&after=65536",
            "(\"a\")) Some(DeliveryId(65536)) 7",
        );
        for query in ["limit=0", "limit=1001", "limit=x", "after=-1", "after="] {
            let (name, _) = query.split_once('=').unwrap();
            check(query, &format!("{name}: it takes"));
        }
        check("chanel=a", "chanel: there are status, channel");
    }
}
