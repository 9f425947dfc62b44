//! `wharf dead-letter`

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use wharf_api::{Client, RedriveInput, RedriveListInput};

use super::{cancel, delivery};
use crate::arguments::{List, Redrive};
use crate::command::client;
use crate::failure::Failure;
use crate::output;

/// Deliveries that are redriven at once: a part of a second where the rate is not bounded.
const PAGE: u32 = 100;

pub(crate) fn list(arguments: &List) -> Result<(), Failure> {
    let client = client(&arguments.host);
    let found = delivery::gather(arguments, |query| client.dead_letters(query))?;
    delivery::tell(&found, arguments.json)
}

pub(crate) fn redrive(arguments: &Redrive) -> Result<(), Failure> {
    let client = client(&arguments.host);
    match &arguments.id {
        Some(id) => redrive_one(&client, id, arguments),
        None => redrive_all(&client, arguments),
    }
}

fn redrive_one(client: &Client, id: &str, arguments: &Redrive) -> Result<(), Failure> {
    let input = RedriveInput {
        channel: arguments.channel.clone(),
        reconvert: arguments.reconvert,
        new_key: arguments.new_key,
        dry_run: arguments.dry_run,
    };
    let changed = client.redrive(id, &input)?;
    if arguments.json {
        return output::json(&changed);
    }
    cancel::tell(&changed)
}

/// Page by page; what was redriven stays so where a later page fails.
fn redrive_all(client: &Client, arguments: &Redrive) -> Result<(), Failure> {
    let limit = arguments.rate.map_or(PAGE, |rate| rate.min(PAGE));
    let mut input = RedriveListInput {
        status: arguments.status.clone(),
        channel: arguments.channel.clone(),
        limit: Some(limit as usize),
        after: None,
        reconvert: arguments.reconvert,
        new_key: arguments.new_key,
        dry_run: arguments.dry_run,
    };
    let (started_at, mut seen_count) = (Instant::now(), 0_u32);
    let mut results = BTreeMap::<&str, u64>::new();
    loop {
        let page = client.redrive_listed(&input).inspect_err(|_| {
            let counts = results
                .iter()
                .map(|(result, count)| format!("{count} {result}"));
            let counts: Vec<_> = counts.collect();
            eprintln!("so far: {}; the rest is as it was", counts.join(", "));
        })?;
        for entry in &page.deliveries {
            *results.entry(entry.changed.result.as_str()).or_default() += 1;
            seen_count += 1;
        }
        for (result, count) in [
            ("unroutable", page.unroutable),
            ("unreadable", page.unreadable),
        ] {
            if count > 0 {
                *results.entry(result).or_default() += count;
            }
        }
        input.after = page.next;
        if input.after.is_none() {
            break;
        }
        // A dry run sends nothing that would have to be spread.
        if let Some(rate) = arguments.rate.filter(|_| !arguments.dry_run) {
            let due = Duration::from_secs_f64(f64::from(seen_count) / f64::from(rate));
            thread::sleep(due.saturating_sub(started_at.elapsed()));
        }
    }
    if arguments.json {
        return output::json(&results);
    }
    let rows: Vec<_> = results
        .iter()
        .map(|(result, count)| vec![(*result).to_owned(), count.to_string()])
        .collect();
    output::text(&output::table(&["RESULT", "DELIVERIES"], &rows))
}
