//! The reckoning: what was answered, against what the host shows, what the receivers have seen, and what is in the file.
//!
//! - A message that was answered 202 is there, with its content. One that got no answer is there like that or not at all,
//!   a batch as a whole.
//! - A delivery stands as its receiver's script says. `delivered`: the receiver has taken it, with its exact body.
//!   `rejected` and `dead`: the receiver has seen it. `cancelled`: someone asked for that, and must be so where the
//!   answer was that it is.
//! - What is dead as `crashed-host` was being attempted at two kills (the host cannot know that it was not to blame). It is
//!   counted, sent again, and then stands as all others do.
//! - The file passes the store's own check, and has every payload.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use wharf_api::{Client, ClientError, DeliveryView, MessageView, RedriveInput, ResumeInput};
use wharf_core::{Cause, MessageId, Standing, Status, TimeMs};
use wharf_store::{CheckError, Options, Store};
use wharf_testkit::process::{Host, eventually};
use wharf_testkit::sink::Sink;

use super::ledger::{Cancel, Entry, Ledger};
use super::life::STORE;
use super::receivers::{RECEIVERS, Receipts, Receiver, receivers_of, recover};
use super::report::Report;

/// How long what waits may take to end once every receiver takes it. A limit for what hangs: what is suspected is tried
/// alone, and then a debug build takes its time.
const DRAINED_WITHIN: Duration = Duration::from_secs(300);

/// Drains the host, stops it, and holds everything against everything else.
pub(super) fn reckon(
    host: &mut Host,
    sink: &Sink,
    ledger: &Ledger,
    receipts: &mut Receipts,
    report: &mut Report,
) -> Result<()> {
    let client = Client::new(&host.url(), None);
    recover(sink);
    for receiver in RECEIVERS {
        client.resume(receiver.name, &ResumeInput::default())?;
    }
    drain(&client)?;
    let crashed = crashed(&client)?;
    for (id, channel) in &crashed {
        let input = RedriveInput {
            channel: Some(channel.clone()),
            ..RedriveInput::default()
        };
        client.redrive(id, &input)?;
    }
    drain(&client)?;
    report.crashed_host_count = crashed.len() as u64;
    report.unexplained.extend(receipts.take(sink, ledger));
    report.duplicates_count = receipts.duplicates_count();
    report.accepted_count = ledger.accepted_count();
    report.cancelled_count = ledger.cancelled_count();

    let mut there = BTreeSet::new();
    for entry in ledger.entries() {
        let id = entry.message.id.as_str();
        match client.message(id) {
            Ok(view) => {
                there.insert(id);
                let explained = explain(entry, &view, ledger, receipts);
                report.unexplained.extend(explained.err());
            }
            Err(ClientError::Problem(problem)) if problem.status == 404 => {
                if entry.is_accepted {
                    report.lost.push(format!("{id} is not there"));
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    let unanswered = ledger.entries().iter().filter(|entry| !entry.is_accepted);
    let found = unanswered.filter(|entry| there.contains(entry.message.id.as_str()));
    report.unknown_found_count += found.count() as u64;
    report.unexplained.extend(torn_batches(ledger, &there));

    let status = host.terminate()?;
    if !status.success() {
        bail!("the host ended with {status}");
    }
    let file = host.path(STORE);
    report.file_bytes = std::fs::metadata(&file)?.len();
    tokio::runtime::Builder::new_current_thread()
        .build()?
        .block_on(check_file(&file, ledger, &there, report))
        .context("failed to check the store")
}

/// Waits until every delivery has ended.
fn drain(client: &Client) -> Result<()> {
    let waits = || -> Result<BTreeMap<String, u64>> {
        let mut waits = BTreeMap::new();
        for channel in client.channels()?.channels {
            for status in Status::ALL.iter().filter(|status| !status.is_final()) {
                if let Some(count) = channel.deliveries.get(status.as_str()) {
                    waits.insert(format!("{} {status}", channel.name), *count);
                }
            }
        }
        Ok(waits)
    };
    let mut last = Ok(BTreeMap::new());
    let drained = eventually(DRAINED_WITHIN, || {
        last = waits();
        let is_over = last.as_ref().map_or(true, BTreeMap::is_empty);
        is_over.then_some(())
    });
    let last = last?;
    if drained.is_none() {
        bail!("deliveries still wait after {DRAINED_WITHIN:?}: {last:?}");
    }
    Ok(())
}

/// Message and channel of what was given up as what may have killed the host.
fn crashed(client: &Client) -> Result<Vec<(String, String)>> {
    let mut crashed = Vec::new();
    let mut after = None;
    loop {
        let mut query = vec![("status", Status::Dead.as_str()), ("limit", "1000")];
        query.extend(after.as_deref().map(|after| ("after", after)));
        let page = client.dead_letters(&query)?;
        let entries = page.entries.into_iter();
        let of_crash =
            entries.filter(|entry| entry.cause.as_deref() == Some(Cause::CrashedHost.as_str()));
        crashed.extend(of_crash.map(|entry| (entry.message, entry.channel.unwrap_or_default())));
        match page.next {
            Some(next) => after = Some(next),
            None => return Ok(crashed),
        }
    }
}

/// Says what of a message is not as it should be.
fn explain(
    entry: &Entry,
    view: &MessageView,
    ledger: &Ledger,
    receipts: &Receipts,
) -> Result<(), String> {
    let message = &entry.message;
    let id = &message.id;
    let is_whole = view.attributes == message.attributes()
        && view.headers == message.headers()
        && view.payload_bytes == message.payload_bytes as u64;
    if !is_whole {
        return Err(format!("{id} has other content: {view:?}"));
    }
    let mut found: BTreeMap<&str, &DeliveryView> = view
        .deliveries
        .iter()
        .map(|delivery| (delivery.channel.as_str(), delivery))
        .collect();
    if found.len() != view.deliveries.len() {
        return Err(format!("{id} has two deliveries to a channel: {view:?}"));
    }
    let mut expected_count = 0;
    for receiver in receivers_of(message.to) {
        expected_count += 1;
        let delivery = found
            .remove(receiver.name)
            .ok_or_else(|| format!("{id} has no delivery to {}: {view:?}", receiver.name))?;
        explain_delivery(id, receiver, delivery, ledger, receipts)?;
    }
    if !found.is_empty() {
        return Err(format!(
            "{id} has more deliveries than its route makes: {view:?}"
        ));
    }
    if expected_count == 0 && view.status != Standing::Unroutable.as_str() {
        return Err(format!("{id} has no route and is {}", view.status));
    }
    Ok(())
}

fn explain_delivery(
    id: &str,
    receiver: &Receiver,
    delivery: &DeliveryView,
    ledger: &Ledger,
    receipts: &Receipts,
) -> Result<(), String> {
    let name = receiver.name;
    let cancel = ledger.cancel_of(id, receiver);
    let cancelled = Status::Cancelled.as_str();
    let status = delivery.status.as_str();
    let is_expected = match cancel {
        Cancel::Answered => status == cancelled,
        Cancel::Asked => status == cancelled || status == receiver.ends.as_str(),
        Cancel::No => status == receiver.ends.as_str(),
    };
    if !is_expected {
        let ends = receiver.ends;
        return Err(format!(
            "{id} to {name} is {status} instead of {ends} (cancel: {cancel:?}): {delivery:?}"
        ));
    }
    let seen = receipts.of(id, receiver);
    let is_seen = match receiver.ends {
        _ if status == cancelled => true,
        Status::Delivered => seen.taken_count > 0,
        _ => seen.count > 0,
    };
    if !is_seen {
        return Err(format!(
            "{id} to {name} is {status}, and {name} has not seen it"
        ));
    }
    Ok(())
}

/// Batches that got no answer and are there in part.
fn torn_batches(ledger: &Ledger, there: &BTreeSet<&str>) -> Vec<String> {
    let mut batches = BTreeMap::<&str, (usize, usize)>::new();
    for entry in ledger.entries().iter().filter(|entry| !entry.is_accepted) {
        if let Some(batch) = &entry.batch {
            let (found, all) = batches.entry(batch).or_default();
            *found += usize::from(there.contains(entry.message.id.as_str()));
            *all += 1;
        }
    }
    batches
        .into_iter()
        .filter(|(_, (found, all))| *found != 0 && found != all)
        .map(|(batch, (found, all))| format!("of the batch {batch} {found} of {all} are there"))
        .collect()
}

/// What the file itself says.
async fn check_file(
    path: &Path,
    ledger: &Ledger,
    there: &BTreeSet<&str>,
    report: &mut Report,
) -> Result<()> {
    // The stop before was clean: nothing is decided at this start that the time would matter to.
    let store = Store::open(path, &Options::new([0; 32], TimeMs(0)))?;
    match store.check().await {
        Ok(_) => {}
        Err(CheckError::Violations(violations)) => report
            .check_violations
            .extend(violations.iter().map(ToString::to_string)),
        Err(error) => return Err(error.into()),
    }
    let entries = ledger.entries().iter();
    for entry in entries.filter(|entry| there.contains(entry.message.id.as_str())) {
        let id = MessageId::parse(&entry.message.id)?;
        match store.get(&id)? {
            Some(view) if view.message.payload == entry.message.payload().as_bytes() => {}
            Some(_) => report
                .unexplained
                .push(format!("{id} has another payload in the file")),
            None => report.lost.push(format!("{id} is not in the file")),
        }
    }
    store.close().await?;
    Ok(())
}
