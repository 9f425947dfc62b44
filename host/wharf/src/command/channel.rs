//! `wharf channel`

use wharf_api::{ChannelView, PauseInput};

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
    };
    let channel = client(&arguments.host).pause(&arguments.name, &input)?;
    show(channel, arguments.json)
}

pub(crate) fn resume(arguments: &ChannelResume) -> Result<(), Failure> {
    let channel = client(&arguments.host).resume(&arguments.name)?;
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
            vec![
                channel.name.clone(),
                channel.plugin.clone(),
                channel.status.clone(),
                channel.ready.to_string(),
                format!("{}/{}", channel.in_flight, channel.parallelism),
                dash(&channel.since),
                channel.reason.clone().unwrap_or_default(),
            ]
        })
        .collect();
    output::text(&output::table(
        &[
            "CHANNEL",
            "PLUGIN",
            "STATUS",
            "READY",
            "IN FLIGHT",
            "SINCE",
            "WHY",
        ],
        &rows,
    ))
}
