//! What is printed: a table for people, and a line of JSON.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::lifecycle::{BATCHES, Lifecycle, Who};
use crate::sample::Sample;

/// Medians over rounds, as a Markdown table.
pub(crate) fn table(lifecycle: &Lifecycle) -> String {
    let mut out = String::from(
        "| batch | engine | messages/s | ÷ control | CPU µs a message | bytes written a payload byte | messages a commit | syncs a commit |\n\
         | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n",
    );
    for batch in BATCHES {
        for who in Who::ALL {
            let of = |value: fn(&Sample) -> f64| median(lifecycle.samples(batch, who).map(value));
            let syncs: Option<Vec<f64>> = lifecycle
                .samples(batch, who)
                .map(Sample::syncs_per_commit)
                .collect();
            let syncs = syncs.map_or("".to_owned(), |syncs| format!("{:.2}", median(syncs)));
            // Writing to a text does not fail.
            let _ = writeln!(
                out,
                "| {batch} | {} | {:.0} | {:.3} | {:.2} | {:.2} | {:.1} | {syncs} |",
                who.name(),
                of(Sample::messages_per_s),
                ratio(lifecycle, batch, who, Who::Control),
                of(Sample::cpu_us_per_message),
                of(Sample::amplification),
                of(Sample::messages_per_commit),
            );
        }
    }
    out
}

/// The figures, by name.
pub(crate) fn figures(lifecycle: &Lifecycle) -> Value {
    let ours = |batch| round3(ratio(lifecycle, batch, Who::Wharf, Who::Control));
    let of =
        |value: fn(&Sample) -> f64| round3(median(lifecycle.samples(256, Who::Wharf).map(value)));
    let times = |other| round3(ratio(lifecycle, 256, Who::Wharf, other));
    json!({
        "bench": "store",
        "lifecycle_ratio_64": ours(64),
        "lifecycle_ratio_256": ours(256),
        "lifecycle_ratio_1024": ours(1024),
        "vs_row_256": times(Who::Row),
        "vs_sqlite_256": times(Who::Sqlite),
        "vs_fjall_256": times(Who::Fjall),
        "write_amplification_256": of(Sample::amplification),
        "fsyncs_per_commit": of(|sample| sample.syncs_per_commit().unwrap_or(f64::NAN)),
    })
}

/// How many times as fast one is as another: the median of what it was in each round.
fn ratio(lifecycle: &Lifecycle, batch: usize, who: Who, to: Who) -> f64 {
    let (ours, theirs) = (lifecycle.samples(batch, who), lifecycle.samples(batch, to));
    median(
        ours.zip(theirs)
            .map(|(ours, theirs)| ours.messages_per_s() / theirs.messages_per_s()),
    )
}

/// The middle one; of an even count the lower middle.
fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values
        .get(values.len().saturating_sub(1) / 2)
        .copied()
        .unwrap_or(f64::NAN)
}

fn round3(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
