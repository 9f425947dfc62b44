//! The plot: how the rate goes with the batch, of every engine, and how ours goes with the backlog.

use std::path::Path;

use anyhow::{Context as _, Result};
use plotters::coord::Shift;
use plotters::prelude::*;

use crate::backlog::{BATCH, Backlog};
use crate::lifecycle::{BATCHES, Lifecycle, Who};
use crate::median::median;
use crate::report::Report;
use crate::sample::Sample;

/// Size of a panel, in pixels.
const PANEL: (u32, u32) = (860, 480);

/// Colours that people who see few colours can tell apart: Okabe and Ito's.
const COLOURS: [RGBColor; 7] = [
    RGBColor(0, 0, 0),
    RGBColor(86, 180, 233),
    RGBColor(0, 114, 178),
    RGBColor(230, 159, 0),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
];

type Panel<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// A line with its name.
struct Line {
    name: String,
    points: Vec<(f64, f64)>,
}

/// Writes a panel for each part that has one; no file where none has.
pub(super) fn save(report: &Report, path: &Path) -> Result<()> {
    let lifecycle = report.lifecycle.as_ref().map(|all| {
        let title = "enqueue, read and acknowledge";
        (title.to_owned(), "messages a batch", of_lifecycle(all))
    });
    let backlog = report.backlog.as_ref().map(|all| {
        let title = format!("with a backlog, {BATCH} a batch");
        (title, "messages waiting", of_backlog(all))
    });
    let panels: Vec<_> = lifecycle.into_iter().chain(backlog).collect();
    if panels.is_empty() {
        return Ok(());
    }
    let size = (PANEL.0, PANEL.1 * panels.len() as u32);
    let area = SVGBackend::new(path, size).into_drawing_area();
    area.fill(&WHITE)?;
    let areas = area.split_evenly((panels.len(), 1));
    for (area, (title, across, lines)) in areas.iter().zip(&panels) {
        draw(area, title, across, lines)?;
    }
    area.present()
        .with_context(|| format!("cannot write {}", path.display()))
}

fn of_lifecycle(all: &Lifecycle) -> Vec<Line> {
    let rate = |batch, who| median(all.samples(batch, who).map(Sample::messages_per_s));
    let line = |who: Who| Line {
        name: who.name().to_owned(),
        points: BATCHES
            .iter()
            .map(|batch| (*batch as f64, rate(*batch, who)))
            .collect(),
    };
    Who::ALL.into_iter().map(line).collect()
}

fn of_backlog(all: &Backlog) -> Vec<Line> {
    let line = |name: &str, of: fn(&(Sample, Sample)) -> Sample| Line {
        name: name.to_owned(),
        points: all
            .steps
            .iter()
            .map(|step| {
                let rates = step.rounds.iter().map(|both| of(both).messages_per_s());
                (step.waiting_count as f64, median(rates))
            })
            .collect(),
    };
    vec![
        line("in turn with it, nothing waiting", |both| both.0),
        line("wharf with so many waiting", |both| both.1),
    ]
}

/// Both axes are logarithmic: a factor is as far everywhere.
fn draw(area: &Panel<'_>, title: &str, across: &str, lines: &[Line]) -> Result<()> {
    let points = || lines.iter().flat_map(|line| &line.points);
    let (left, right) = ends(points().map(|point| point.0));
    let (low, high) = ends(points().map(|point| point.1));
    // Whole powers of ten above and below, so that a factor looks the same in each panel.
    let y = 10_f64.powf(low.log10().floor())..10_f64.powf(high.log10().ceil());
    let x = left / 1.25..right * 1.25;
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", 20))
        .margin(12)
        .x_label_area_size(44)
        .y_label_area_size(76)
        .build_cartesian_2d(x.log_scale(), y.log_scale())?;
    chart
        .configure_mesh()
        .x_desc(across)
        .y_desc("messages/s")
        .x_label_formatter(&|value| format!("{value:.0}"))
        .y_label_formatter(&|value| format!("{value:.0}"))
        .light_line_style(WHITE)
        .draw()?;
    for (line, colour) in lines.iter().zip(COLOURS.iter().cycle()) {
        let style = colour.stroke_width(2);
        let points = line.points.iter().copied();
        chart
            .draw_series(LineSeries::new(points.clone(), style))?
            .label(&line.name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
        chart.draw_series(points.map(|point| Circle::new(point, 3, colour.filled())))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK)
        .draw()?;
    Ok(())
}

/// The smallest and the largest.
fn ends(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::INFINITY, 0.0), |(low, high), value| {
        (low.min(value), high.max(value))
    })
}
