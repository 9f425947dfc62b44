//! The figures that are compared from run to run.

use serde_json::{Value, json};

use super::Report;
use crate::closed_loop::{ClosedLoop, Loop};
use crate::lifecycle::{Lifecycle, Who};
use crate::median::median;
use crate::sample::Sample;

/// The batch that most figures are of.
const BATCH: usize = 256;

pub(super) fn all(report: &Report) -> Value {
    let lifecycle = |value: &dyn Fn(&Lifecycle) -> f64| report.lifecycle.as_ref().map(value);
    let to_control = |batch| lifecycle(&|all| all.ratio(batch, Who::Wharf, Who::Control));
    let times = |other| lifecycle(&|all| all.ratio(BATCH, Who::Wharf, other));
    let total = report
        .lifecycle
        .as_ref()
        .and_then(|all| Sample::total(all.samples(BATCH, Who::Wharf)));
    let backlog = report.backlog.as_ref();
    json!({
        "lifecycle_ratio_64": figure(to_control(64)),
        "lifecycle_ratio_256": figure(to_control(256)),
        "lifecycle_ratio_1024": figure(to_control(1024)),
        "vs_row_256": figure(times(Who::Row)),
        "vs_sqlite_256": figure(times(Who::Sqlite)),
        "vs_fjall_256": figure(times(Who::Fjall)),
        "write_amplification_256": figure(total.as_ref().map(Sample::amplification)),
        "fsyncs_per_commit": figure(total.as_ref().map(Sample::syncs_per_commit)),
        "single_p50_over_fsync": figure(report.closed_loop.as_ref().map(single)),
        "backlog_5m_ratio": figure(backlog.and_then(|all| Some(all.steps.last()?.ratio()))),
        "rss_mib_5m": figure(backlog.map(|all| all.memory.peak_mib)),
        "ready_s_5m": figure(backlog.map(|all| median(all.ready_s.iter().copied()))),
    })
}

/// A single producer's wait, in times that of a sync.
pub(super) fn single(all: &ClosedLoop) -> f64 {
    let rounds = all.of(Loop::SINGLE);
    median(rounds.map(|(run, control)| run.p50_us / control.p50_us))
}

/// Three places after the point.
fn figure(value: Option<f64>) -> Option<f64> {
    value.map(|value| (value * 1000.0).round() / 1000.0)
}
