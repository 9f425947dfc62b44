//! `wharf why`: which route, which attempts, what the plugin said, what comes next.

use std::fmt::Write as _;

use wharf_api::{
    ChannelStatus, ChannelView, DeliveryView, JournalView, LaneStatus, LaneView, MessageView,
    Named, RowView,
};

use super::message::step;
use crate::arguments::ById;
use crate::command::client;
use crate::failure::Failure;
use crate::output;

pub(crate) fn run(arguments: &ById) -> Result<(), Failure> {
    let client = client(&arguments.host);
    let message = client.message(&arguments.id)?;
    let journal = client.journal(&arguments.id)?;
    if arguments.json {
        let mut all = serde_json::json!({ "message": message, "journal": journal.rows });
        // Left out where it is false, as the API does.
        if journal.earlier_removed {
            all["earlier_removed"] = true.into();
        }
        return output::json(&all);
    }
    let around = Around {
        channels: client.channels()?.channels,
        host: client
            .ready()
            .map(|health| health.reasons)
            .unwrap_or_default(),
    };
    output::text(&explain(&message, &journal, &around))
}

/// What a delivery may wait for.
struct Around {
    channels: Vec<ChannelView>,
    /// What does not work although the host runs.
    host: Vec<Named>,
}

impl Around {
    /// What keeps a delivery from being sent.
    fn holds(&self, delivery: &DeliveryView) -> Vec<String> {
        let mut holds = Vec::new();
        let name = &delivery.channel;
        match self.channels.iter().find(|channel| channel.name == *name) {
            None => holds.push(format!("channel {name} is not configured")),
            Some(channel) => {
                let by = channel.by.as_deref().unwrap_or("an operator");
                let reason = channel.reason.as_deref().unwrap_or("no reason was given");
                match channel.status {
                    ChannelStatus::Running => {}
                    ChannelStatus::Paused => {
                        let since = channel.since.as_deref().unwrap_or("some time ago");
                        holds.push(format!(
                            "the channel is paused since {since} by {by}: {reason}"
                        ));
                    }
                    ChannelStatus::Unavailable => {
                        holds.push(format!("the channel cannot send: {reason}"));
                    }
                }
                if let Some(until) = &channel.closed_until {
                    holds.push(format!(
                        "the channel begins no attempt before {until}: it fails again and again, or its rate is used up"
                    ));
                }
                let lane = channel
                    .lanes
                    .iter()
                    .find(|lane| Some(&lane.lane) == delivery.lane.as_ref());
                holds.extend(lane.and_then(hold_of));
            }
        }
        let host = self.host.iter();
        let of_all = host.filter(|named| ["disk", "suspects"].contains(&named.name.as_str()));
        holds.extend(of_all.map(|named| format!("the host: {}", named.reason)));
        holds
    }
}

/// What keeps a lane from sending.
fn hold_of(lane: &LaneView) -> Option<String> {
    let name = &lane.lane;
    match lane.status {
        LaneStatus::Running => None,
        LaneStatus::Paused => {
            let since = lane.since.as_deref().unwrap_or("some time ago");
            let by = lane.by.as_deref().unwrap_or("an operator");
            let reason = lane.reason.as_deref().unwrap_or("no reason was given");
            Some(format!(
                "its lane {name} is paused since {since} by {by}: {reason}"
            ))
        }
        LaneStatus::Open => {
            let until = lane.until.as_deref().unwrap_or("some time later");
            Some(format!(
                "its lane {name} fails again and again, and is left alone until {until}"
            ))
        }
        LaneStatus::HalfOpen => Some(format!(
            "its lane {name} failed again and again, and is tried by a few now"
        )),
    }
}

fn explain(message: &MessageView, journal: &JournalView, around: &Around) -> String {
    let mut text = format!("{} is {}\n", message.id, message.status);
    let _ = writeln!(text, "  accepted {}", message.accepted_at);
    if journal.earlier_removed {
        text.push_str("  earlier rows of its journal were removed by retention\n");
    }
    if message.deliveries.is_empty() {
        let mut rows = journal.rows.iter();
        let said = rows.find_map(|row| row.attempt.as_ref()?.reason.as_deref());
        let _ = match said {
            Some(said) => writeln!(text, "  the router sent it nowhere: {said}"),
            None => writeln!(text, "  no route matched it"),
        };
        text.push_str("  it is kept, and `wharf dead-letter redrive` routes it again\n");
    }
    for delivery in &message.deliveries {
        let _ = writeln!(
            text,
            "\nchannel {}, by route {}: {}",
            delivery.channel, delivery.route, delivery.status
        );
        for row in journal
            .rows
            .iter()
            .filter(|row| row.delivery == Some(delivery.id))
        {
            explain_row(&mut text, row);
        }
        let _ = writeln!(text, "  next: {}", next(delivery));
        if ["queued", "retrying"].contains(&delivery.status.as_str()) {
            for hold in around.holds(delivery) {
                let _ = writeln!(text, "      but {hold}");
            }
        }
    }
    for reserve in &message.in_reserve {
        let _ = writeln!(
            text,
            "\nchannel {}, by route {}: in reserve, for when the one before it is given up",
            reserve.channel, reserve.route
        );
    }
    text
}

fn explain_row(text: &mut String, row: &RowView) {
    let _ = write!(text, "  {}  {} ({}", row.at, step(row), row.cause);
    let Some(attempt) = &row.attempt else {
        text.push_str(")\n");
        return;
    };
    let _ = writeln!(
        text,
        ", attempt {}, {:.1} ms)",
        attempt.number, attempt.duration_ms
    );
    let hooks = attempt
        .hooks
        .iter()
        .map(|run| format!("{} {:.1} ms", run.hook, run.duration_ms));
    let hooks: Vec<_> = hooks.collect();
    if !hooks.is_empty() {
        let _ = writeln!(text, "      {}", hooks.join(", "));
    }
    if let (Some(code), Some(reason)) = (&attempt.code, &attempt.reason) {
        let _ = writeln!(text, "      {code}: {reason}");
    }
    if attempt.effect.as_deref() == Some("unknown") {
        text.push_str("      the receiver may have acted on it\n");
    }
    for (name, value) in &attempt.notes {
        let _ = writeln!(text, "      {name} = {value}");
    }
}

fn next(delivery: &DeliveryView) -> String {
    match (delivery.status.as_str(), &delivery.due) {
        ("delivered", _) => "nothing, the receiver has it".to_owned(),
        ("sending", _) if delivery.cancelling => {
            "what the attempt that is running comes to; there is no other".to_owned()
        }
        ("sending", _) => "an attempt is running".to_owned(),
        ("queued" | "retrying", Some(due)) => {
            format!("attempt {} at {due}", delivery.attempts + 1)
        }
        ("queued" | "retrying", None) => {
            format!(
                "attempt {}, as soon as its channel can",
                delivery.attempts + 1
            )
        }
        ("pending" | "provisional", _) => "it waits for the receiver's word".to_owned(),
        ("dead" | "rejected" | "shed", _) => {
            "nothing; it is kept, and `wharf dead-letter redrive` sends it again".to_owned()
        }
        ("superseded", _) => "nothing, the route went on to its next channel".to_owned(),
        (final_status, _) => format!("nothing, {final_status} is final"),
    }
}
