//! Lists that the host gives a page at a time.

use wharf_api::ClientError;

use crate::arguments::Page;
use crate::failure::Failure;

/// Entries where nobody says how many: what a person looks through.
const ENTRIES_DEFAULT: u32 = 100;

/// Entries that the host gives at once.
const PAGE_ENTRIES_MAX: usize = 1000;

/// Asks for page after page until there are as many entries as were asked for, and says where the list goes on: a page
/// may be short, or even empty, and not be the last one. `ask` is given the query of a page.
pub(super) fn gather<T>(
    part: &Page,
    mut ask: impl FnMut(&[(&str, &str)]) -> Result<(Vec<T>, Option<String>), ClientError>,
) -> Result<(Vec<T>, Option<String>), Failure> {
    let wanted = part.limit.unwrap_or(ENTRIES_DEFAULT) as usize;
    let mut found = Vec::new();
    let mut next = part.after.clone();
    loop {
        let limit = (wanted - found.len()).min(PAGE_ENTRIES_MAX).to_string();
        let after = next.take();
        let after = after.iter().map(|after| ("after", &**after));
        let query: Vec<_> = after.chain([("limit", &*limit)]).collect();
        let (entries, more) = ask(&query)?;
        found.extend(entries);
        next = more;
        if next.is_none() || found.len() >= wanted {
            return Ok((found, next));
        }
    }
}

/// Where a list goes on, beside what was printed of it.
pub(super) fn tell_next(next: Option<&String>) {
    if let Some(next) = next {
        eprintln!("there may be more: --after {next}");
    }
}
