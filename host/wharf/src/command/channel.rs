//! `wharf channel`

use wharf_api::{ChannelView, LaneView, PauseInput, ResumeInput};

use crate::arguments::{ChannelList, ChannelPause, ChannelResume};
use crate::command::client;
use crate::failure::Failure;
use crate::output;

pub(crate) fn list(arguments: &ChannelList) -> Result<(), Failure> {
    let view = client(&arguments.host).channels()?;
    if arguments.json {
        return output::json(&view);
    }
    tell(&view.channels)
}

pub(crate) fn pause(arguments: &ChannelPause) -> Result<(), Failure> {
    let input = PauseInput {
        reason: arguments.reason.clone(),
        lane: arguments.lane.clone(),
    };
    let channel = client(&arguments.host).pause(&arguments.name, &input)?;
    show(channel, arguments.json)
}

pub(crate) fn resume(arguments: &ChannelResume) -> Result<(), Failure> {
    let input = ResumeInput {
        lane: arguments.lane.clone(),
    };
    let channel = client(&arguments.host).resume(&arguments.name, &input)?;
    show(channel, arguments.json)
}

fn show(channel: ChannelView, json: bool) -> Result<(), Failure> {
    if json {
        return output::json(&channel);
    }
    tell(&[channel])
}

fn tell(channels: &[ChannelView]) -> Result<(), Failure> {
    let dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let rows: Vec<Vec<String>> = channels
        .iter()
        .map(|channel| {
            let count = |status| {
                let count = channel.deliveries.get(status);
                count.copied().unwrap_or_default().to_string()
            };
            vec![
                channel.name.clone(),
                channel.plugin.clone(),
                channel.status.as_str().to_owned(),
                channel.ready.to_string(),
                format!("{}/{}", channel.in_flight, channel.parallelism),
                count("retrying"),
                count("dead"),
                dash(&channel.behind_since),
                why(channel),
            ]
        })
        .collect();
    let lanes: Vec<Vec<String>> = channels
        .iter()
        .flat_map(|channel| channel.lanes.iter().map(|lane| lane_row(channel, lane)))
        .collect();
    let channels = output::table(
        &[
            "CHANNEL",
            "PLUGIN",
            "STATUS",
            "READY",
            "IN FLIGHT",
            "RETRYING",
            "DEAD",
            "BEHIND SINCE",
            "WHY",
        ],
        &rows,
    );
    if lanes.is_empty() {
        return output::text(&channels);
    }
    let headings = ["CHANNEL", "LANE", "STATUS", "IN FLIGHT", "IN LINE", "WHY"];
    let lanes = output::table(&headings, &lanes);
    output::text(&format!("{channels}\n{lanes}"))
}

fn lane_row(channel: &ChannelView, lane: &LaneView) -> Vec<String> {
    vec![
        channel.name.clone(),
        lane.lane.clone(),
        lane.status.as_str().to_owned(),
        lane.in_flight.to_string(),
        lane.in_line.to_string(),
        match &lane.until {
            Some(until) => format!("it fails again and again; until {until}"),
            None => paused(&lane.since, &lane.by, &lane.reason),
        },
    ]
}

/// Why a channel does not run, since when, and who wanted it.
fn why(channel: &ChannelView) -> String {
    match &channel.closed_until {
        Some(until) => format!("no attempt before {until}"),
        None => paused(&channel.since, &channel.by, &channel.reason),
    }
}

fn paused(since: &Option<String>, by: &Option<String>, reason: &Option<String>) -> String {
    let since = since.as_ref().map(|since| format!("since {since}"));
    let by = by.as_ref().map(|by| format!("by {by}"));
    let when: Vec<_> = since.into_iter().chain(by).collect();
    match (when.join(" "), reason) {
        (when, None) => when,
        (when, Some(reason)) if when.is_empty() => reason.clone(),
        (when, Some(reason)) => format!("{when}: {reason}"),
    }
}
