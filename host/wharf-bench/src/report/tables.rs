//! A table for each part, in Markdown. Rates, ratios and times are medians over the rounds; what was used is that of all
//! rounds together.

use crate::backlog::{BATCH, Backlog};
use crate::closed_loop::{ClosedLoop, Loop, Run};
use crate::lifecycle::{BATCHES, Lifecycle, Who};
use crate::median::median;
use crate::sample::Sample;

pub(super) fn lifecycle(all: &Lifecycle) -> String {
    let mut out = head(
        "Enqueue, read and acknowledge",
        "batch | engine | messages/s | ÷ control | CPU µs a message | bytes written a payload byte | messages a commit | syncs a commit",
    );
    for batch in BATCHES {
        for who in Who::ALL {
            let Some(total) = Sample::total(all.samples(batch, who)) else {
                continue;
            };
            let syncs = total.syncs_per_commit();
            out += &format!(
                "| {batch} | {} | {:.0} | {:.3} | {:.2} | {:.2} | {:.1} | {} |\n",
                who.name(),
                median(all.samples(batch, who).map(Sample::messages_per_s)),
                all.ratio(batch, who, Who::Control),
                total.cpu_us_per_message(),
                total.amplification(),
                total.messages_per_commit(),
                if syncs.is_nan() {
                    "not counted".to_owned()
                } else {
                    format!("{syncs:.2}")
                },
            );
        }
    }
    out
}

pub(super) fn closed_loop(all: &ClosedLoop) -> String {
    let mut out = head(
        "Producers that wait for each answer",
        "producers | messages/s | p50 µs | p99 µs | p50 ÷ the control's sync",
    );
    let controls = || {
        all.rounds
            .iter()
            .map(|round| (round.control, round.control))
    };
    out += &row("control: write and sync", controls());
    for which in Loop::ALL {
        let consumer = match which.has_consumer {
            true => "",
            false => ", nothing is consumed",
        };
        let name = format!("{}{consumer}", which.producers_count);
        out += &row(&name, all.of(which));
    }
    out
}

fn row(name: &str, rounds: impl Iterator<Item = (Run, Run)>) -> String {
    let rounds: Vec<_> = rounds.collect();
    let of = |value: fn(&(Run, Run)) -> f64| median(rounds.iter().map(value));
    format!(
        "| {name} | {:.0} | {:.0} | {:.0} | {:.2} |\n",
        of(|(run, _)| run.messages_per_s),
        of(|(run, _)| run.p50_us),
        of(|(run, _)| run.p99_us),
        of(|(run, control)| run.p50_us / control.p50_us),
    )
}

pub(super) fn backlog(all: &Backlog) -> String {
    let mut out = head(
        &format!("With a backlog, {BATCH} a batch"),
        "waiting | messages/s | ÷ none waiting | CPU µs a message | bytes written a payload byte",
    );
    for step in &all.steps {
        let full = || step.rounds.iter().map(|(_, full)| full);
        let Some(total) = Sample::total(full()) else {
            continue;
        };
        out += &format!(
            "| {} | {:.0} | {:.3} | {:.2} | {:.2} |\n",
            step.waiting_count,
            median(full().map(Sample::messages_per_s)),
            step.ratio(),
            total.cpu_us_per_message(),
            total.amplification(),
        );
    }
    let ready: Vec<_> = all.ready_s.iter().map(|s| format!("{s:.2}")).collect();
    out += &format!(
        "\nWith the last of them, in a process that has nothing else in it: {:.0} MiB resident under load, {:.0} MiB at most; \
         ready after kill -9 in {} s. The file has {:.0} MiB.\n",
        all.memory.resident_mib,
        all.memory.peak_mib,
        ready.join(", "),
        all.file_mib,
    );
    out
}

/// A heading, and a table's head: the first column of words is to the left, numbers are to the right.
fn head(title: &str, columns: &str) -> String {
    let names = ["engine", "producers"];
    let lines: Vec<_> = columns
        .split(" | ")
        .map(|column| {
            if names.contains(&column) {
                "---"
            } else {
                "---:"
            }
        })
        .collect();
    format!("## {title}\n\n| {columns} |\n| {} |\n", lines.join(" | "))
}
