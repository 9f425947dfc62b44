//! What plugins did, over all channels and files of a name.

use std::fmt;

use prometheus_client::registry::Unit;
use wharf_plugin::{CallStats, Host, LATENCY_BUCKETS};

use super::{Numbers, Page, Spread};

pub(crate) struct PluginNumbers(pub(crate) Host);

impl Numbers for PluginNumbers {
    fn write(&self, page: &mut Page<'_>) -> fmt::Result {
        let stats = self.0.stats();
        let plugin = |name| vec![("plugin", name)];
        page.histogram(
            "hook_call_duration",
            "How long calls into plugins take, those that end in a fault among them.",
            Some(&Unit::Seconds),
            stats.iter().flat_map(|(name, stats)| {
                stats.calls.iter().map(move |(hook, calls)| {
                    let labels = vec![("plugin", name.as_str()), ("hook", hook.name())];
                    (labels, spread(calls))
                })
            }),
        )?;
        page.counter(
            "plugin_faults",
            "Traps and broken limits of plugins by kind.",
            stats.iter().flat_map(|(name, stats)| {
                stats.faults.iter().map(move |(kind, count)| {
                    let labels = vec![("plugin", name.as_str()), ("kind", kind.as_str())];
                    (labels, *count)
                })
            }),
        )?;
        page.gauge(
            "plugin_instances",
            "Instances of plugins that are alive, idle ones among them.",
            None,
            stats
                .iter()
                .map(|(name, stats)| (plugin(name.as_str()), stats.instances_live as f64)),
        )?;
        page.counter(
            "plugin_instances_retired",
            "Instances of plugins that were let go of after a clean call.",
            stats
                .iter()
                .map(|(name, stats)| (plugin(name.as_str()), stats.instances_retired)),
        )?;
        page.counter(
            "plugin_log_lines_dropped",
            "Lines of plugins' logs that were dropped, since they log faster than their limit.",
            stats
                .iter()
                .map(|(name, stats)| (plugin(name.as_str()), stats.log_lines_dropped)),
        )
    }
}

fn spread(calls: &CallStats) -> Spread {
    let bounds = LATENCY_BUCKETS.iter().map(|bound| bound.as_secs_f64());
    Spread {
        sum: calls.sum.as_secs_f64(),
        buckets: bounds.chain([f64::INFINITY]).zip(calls.buckets).collect(),
    }
}
