//! The store's numbers.

use std::fmt;

use prometheus_client::registry::Unit;
use wharf_core::{ChannelName, Standing, Status, TimeMs};
use wharf_store::{Distribution, Store};

use super::{Numbers, Page, Spread};
use crate::clock;

pub(crate) struct StoreNumbers(pub(crate) Store);

impl StoreNumbers {
    /// Without what cannot be read: the other numbers are worth having all the more then.
    fn behind(&self) -> Vec<(ChannelName, TimeMs)> {
        self.0.behind().unwrap_or_else(|error| {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "how far channels are behind cannot be read"
            );
            Vec::new()
        })
    }
}

impl StoreNumbers {
    fn parked(&self) -> Option<u64> {
        let count = self.0.parked_count().inspect_err(|error| {
            let error = error as &dyn std::error::Error;
            tracing::error!(error, "how much is parked cannot be read");
        });
        count.ok()
    }
}

impl Numbers for StoreNumbers {
    fn write(&self, page: &mut Page<'_>) -> fmt::Result {
        let stats = self.0.stats();
        let (behind, now) = (self.behind(), clock::now());
        page.gauge(
            "deliveries",
            "Deliveries by status.",
            None,
            Status::ALL.iter().map(|status| {
                let count = stats.counts.status(*status) as f64;
                (vec![("status", status.as_str())], count)
            }),
        )?;
        page.gauge(
            "messages_without_deliveries",
            "Messages without deliveries by where they stand.",
            None,
            Standing::ALL.iter().map(|standing| {
                let count = stats.counts.standing(*standing) as f64;
                (vec![("standing", standing.as_str())], count)
            }),
        )?;
        page.gauge(
            "messages",
            "Messages in the store.",
            None,
            [(vec![], stats.counts.messages() as f64)],
        )?;
        page.gauge(
            "parked",
            "What could not be used and was put aside.",
            None,
            self.parked().map(|count| (vec![], count as f64)),
        )?;
        let channels = || stats.channels.iter();
        page.gauge(
            "queue_ready",
            "Deliveries that can be sent now.",
            None,
            channels().map(|c| (vec![("channel", c.channel.as_str())], c.ready as f64)),
        )?;
        page.gauge(
            "queue_in_flight",
            "Deliveries that are being sent, or wait to be recorded.",
            None,
            channels().map(|c| (vec![("channel", c.channel.as_str())], c.leased as f64)),
        )?;
        page.gauge(
            "channel_deliveries",
            "Deliveries by channel and status; delivered ones are not counted by channel.",
            None,
            stats.channels.iter().flat_map(|c| {
                let counted = Status::ALL.iter().filter(|s| **s != Status::Delivered);
                counted.map(|status| {
                    let labels = vec![("channel", c.channel.as_str()), ("status", status.as_str())];
                    (labels, c.depths.status(*status) as f64)
                })
            }),
        )?;
        page.gauge(
            "queue_age",
            "How long ago the message was accepted that is sent next.",
            Some(&Unit::Seconds),
            behind.iter().map(|(channel, accepted_at)| {
                let age = now.since(*accepted_at);
                (vec![("channel", channel.as_str())], age.as_secs_f64())
            }),
        )?;
        page.gauge(
            "resident",
            "Memory of messages that wait for their first attempt.",
            Some(&Unit::Bytes),
            [(vec![], stats.resident_bytes as f64)],
        )?;
        page.histogram(
            "store_commit_duration",
            "How long a group commit takes, its sync included.",
            Some(&Unit::Seconds),
            [(vec![], spread(&stats.commit_us, 1e6))],
        )?;
        page.histogram(
            "store_commit_items",
            "Messages and settles in a group commit.",
            None,
            [(vec![], spread(&stats.group_items, 1.0))],
        )
    }
}

/// Bucket n of a distribution is below 2^n.
fn spread(distribution: &Distribution, per_unit: f64) -> Spread {
    let last = distribution.buckets.len().saturating_sub(1);
    let buckets = distribution.buckets.iter().enumerate().map(|(n, count)| {
        let bound = match n == last {
            true => f64::INFINITY,
            false => ((1_u64 << n) - 1) as f64 / per_unit,
        };
        (bound, *count)
    });
    Spread {
        sum: distribution.sum as f64 / per_unit,
        buckets: buckets.collect(),
    }
}
