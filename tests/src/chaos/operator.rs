//! The operator: cancels, sends dead letters again, pauses channels and lets them go on.

use anyhow::Result;
use wharf_api::{
    ChangeResult, ChangedView, ChannelStatus, ChannelView, Client, ClientError, PauseInput,
    RedriveInput, ResumeInput,
};
use wharf_core::Status;
use wharf_testkit::random::Random;

use super::ledger::{Ledger, Page};
use super::load::{Stop, heard};
use super::receivers::{ABSENT, HOPELESS, RECEIVERS, REFUSING};

/// Pauses between commands, at most.
const PAUSE_MS_MAX: u64 = 100;

/// The last messages, of which some still wait: two lives' or so.
const RECENT_COUNT: usize = 1000;

pub(super) fn operate(
    client: &Client,
    ledger: &Ledger,
    random: &mut Random,
    stop: &Stop,
) -> Result<Page> {
    let mut page = Page {
        pauses: ledger.pauses.clone(),
        ..Page::default()
    };
    while !stop.is_set() {
        match random.below(4) {
            0 | 1 => cancel(client, ledger, random, stop, &mut page)?,
            2 => redrive(client, ledger, random, stop, &mut page)?,
            _ => pause_or_resume(client, random, stop, &mut page)?,
        }
        stop.pause(random, PAUSE_MS_MAX);
    }
    Ok(page)
}

fn cancel(
    client: &Client,
    ledger: &Ledger,
    random: &mut Random,
    stop: &Stop,
    page: &mut Page,
) -> Result<()> {
    let paused = |to: &str| ledger.pauses.get(to).is_some_and(|is| *is != Some(false));
    let may_wait = |to: &str| to == ABSENT || paused(to);
    let found = ledger.pick(random, RECENT_COUNT, |entry| {
        entry.is_accepted && may_wait(entry.message.to)
    });
    let Some(entry) = found else { return Ok(()) };
    let id = &entry.message.id;
    page.cancel_asked.push(id.clone());
    let Some(changed) = changed(client.cancel(id), id, stop, page)? else {
        return Ok(());
    };
    for delivery in changed.deliveries {
        let is_done = delivery.result == ChangeResult::Changed
            || delivery.status == Status::Cancelled.as_str();
        if is_done {
            page.cancelled.push((id.clone(), delivery.channel));
        }
    }
    Ok(())
}

fn redrive(
    client: &Client,
    ledger: &Ledger,
    random: &mut Random,
    stop: &Stop,
    page: &mut Page,
) -> Result<()> {
    let found = ledger.pick(random, RECENT_COUNT, |entry| {
        entry.is_accepted && [HOPELESS, REFUSING].contains(&entry.message.to)
    });
    let Some(entry) = found else { return Ok(()) };
    let id = &entry.message.id;
    let answer = client.redrive(id, &RedriveInput::default());
    let changed = changed(answer, id, stop, page)?;
    page.redriven_count += u64::from(changed.is_some());
    Ok(())
}

/// What was changed; none where that cannot be, or nobody knows.
fn changed(
    answer: Result<ChangedView, ClientError>,
    id: &str,
    stop: &Stop,
    page: &mut Page,
) -> Result<Option<ChangedView>> {
    match answer {
        Err(ClientError::Problem(problem)) if problem.status == 409 => Ok(None),
        Err(ClientError::Problem(problem)) if problem.status == 404 => {
            page.forgotten.push(id.to_owned());
            Ok(None)
        }
        answer => heard(answer, stop),
    }
}

/// At most one channel is paused, so that the others go on.
fn pause_or_resume(
    client: &Client,
    random: &mut Random,
    stop: &Stop,
    page: &mut Page,
) -> Result<()> {
    let mut held = page.pauses.iter().filter(|(_, is)| **is != Some(false));
    let (name, answer, to) = match held.next().map(|(name, _)| *name) {
        Some(name) => (name, client.resume(name, &ResumeInput::default()), false),
        None => {
            let name = random.pick(RECEIVERS).name;
            let input = PauseInput {
                reason: Some("chaos".to_owned()),
                ..PauseInput::default()
            };
            (name, client.pause(name, &input), true)
        }
    };
    let is_paused = heard(answer, stop)?.map(|_| to);
    page.pauses.insert(name, is_paused);
    Ok(())
}

/// Channels that are not paused, or are, against what was answered last.
pub(super) fn undone_pauses(client: &Client, ledger: &Ledger) -> Result<Vec<String>> {
    let channels = client.channels()?.channels.into_iter();
    let undone = channels.filter(|channel| {
        let answered = ledger.pauses.get(channel.name.as_str()).copied().flatten();
        let is_paused = channel.status == ChannelStatus::Paused;
        answered.is_some_and(|answered| answered != is_paused)
    });
    let tell = |channel: ChannelView| {
        let (name, status) = (channel.name, channel.status.as_str());
        format!("{name} is {status} after a start: what an operator was answered is undone")
    };
    Ok(undone.map(tell).collect())
}
